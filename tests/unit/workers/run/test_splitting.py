"""Packs in parts where memory runs out: fixed by lengths and one number, in order, told before it is used."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.errors import OutOfMemory
from proctor.exams.packs import compose
from proctor.nouns.exams import Choose, Exchange, Pack, Scored
from proctor.nouns.models import Device, DType
from proctor.nouns.runs import Cost, Provenance
from tests import tiny
from workers.engines.scoring import Prepared
from workers.run.replies import PackReplies
from workers.run.splitting import SplittingAnswerer, parts_of, size_of, with_cut

LENGTHS = (90, 80, 60, 40, 30, 20, 10, 10)


class SmallDevice:
    """An engine with memory for so many tokens at once; a question's score is its number."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.seen: list[tuple[int, ...]] = []

    def answer(self, prepared: Prepared, pack: Pack) -> PackReplies:
        if tokens_of(prepared, pack) > self.tokens:
            raise OutOfMemory("big", "a small device")
        self.seen.append(pack.members)
        return PackReplies(tuple(map(reply_of, pack.members)), tokens_of(prepared, pack), 1, Cost(1.0))


def reply_of(member: int) -> tuple[Exchange]:
    return (Exchange(Choose("x", ()), Scored((float(member),))),)


def tokens_of(ready: Prepared, part: Pack) -> int:
    """What a device has to hold for a part, counted here: `size_of` is under test."""
    own = [ready.lengths[member] for member in part.members]
    return len(own) * max(own) if ready.padded else sum(own)


def prepared(lengths: tuple[int, ...], *, padded: bool = False) -> Prepared:
    return Prepared((tiny.prompt("x"),) * len(lengths), lengths, Cost(), padded=padded)


def test_a_pack_that_is_too_large_goes_through_in_halves_and_the_size_stays() -> None:
    told: list[int] = []
    device = SmallDevice(150)
    scorer = SplittingAnswerer(device, None, told.append)
    ready = prepared(LENGTHS)
    found = scorer.answer(ready, Pack(0, (0, 1, 2)))
    assert found.exchanges == (reply_of(0), reply_of(1), reply_of(2))
    assert (found.tokens_computed, found.tokens_saved, found.cost) == (230, 3, Cost(3.0))
    scorer.answer(ready, Pack(1, (3, 4, 5, 6, 7)))
    assert told == [115]
    assert device.seen == [(0,), (1,), (2,), (3, 4, 5, 6, 7)]


def test_the_new_size_is_told_before_anything_is_computed_with_it() -> None:
    device = SmallDevice(100)
    seen_when_told: list[int] = []
    scorer = SplittingAnswerer(device, None, lambda _: seen_when_told.append(len(device.seen)))
    scorer.answer(prepared((60, 50, 10)), Pack(0, (0, 1, 2)))
    assert seen_when_told == [0]
    assert device.seen == [(0,), (1, 2)]


def test_it_halves_again_until_it_fits_and_gives_up_on_one_question() -> None:
    told: list[int] = []
    scorer = SplittingAnswerer(SmallDevice(50), None, told.append)
    scorer.answer(prepared((40,) * 8), Pack(0, tuple(range(8))))
    assert told == [160, 80, 40]
    with pytest.raises(OutOfMemory):
        scorer.answer(prepared((60, 40)), Pack(0, (0, 1)))


def test_padding_counts_in_the_half_of_what_was_too_large() -> None:
    told: list[int] = []
    scorer = SplittingAnswerer(SmallDevice(200), None, told.append)
    scorer.answer(prepared((90, 10, 10, 10), padded=True), Pack(0, (0, 1, 2, 3)))
    assert told == [180]  # half of 4 × 90, where the members have 120 tokens together


def test_a_recorded_size_is_kept_to_where_there_is_memory_for_more() -> None:
    device = SmallDevice(10_000)
    SplittingAnswerer(device, 100, lambda _: pytest.fail("nothing ran out")).answer(
        prepared(LENGTHS), Pack(0, (0, 1, 2))
    )
    assert device.seen == [(0,), (1,), (2,)]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=30), st.integers(1, 200), st.booleans())
def test_parts_have_the_packs_members_in_its_order(lengths: list[int], cut: int, padded: bool) -> None:
    ready = prepared(tuple(lengths), padded=padded)
    for pack in compose(lengths, 200, padded=padded):
        parts = parts_of(ready, pack, cut)
        assert tuple(member for part in parts for member in part.members) == pack.members
        assert all(tokens_of(ready, part) <= cut or len(part.members) == 1 for part in parts)
        assert [tokens_of(ready, part) for part in parts] == [size_of(ready, part) for part in parts]


def test_parts_follow_from_lengths_and_size_alone() -> None:
    ready = prepared((90, 80, 60, 40, 30, 20))
    cut = parts_of(ready, Pack(7, (0, 1, 2, 3, 4, 5)), 100)
    assert [(part.index, part.members) for part in cut] == [(7, (0,)), (7, (1,)), (7, (2, 3)), (7, (4, 5))]


def test_a_run_says_that_it_was_cut() -> None:
    whole = Provenance(DType.FLOAT32, "cascade", "a CPU", Device.CPU, notes=("sampled",))
    assert with_cut(whole, None) == whole
    cut = with_cut(whole, 1024)
    assert cut.cut_tokens == 1024
    assert cut.notes == ("sampled", cut.notes[1])
    assert "parts of at most 1,024 tokens" in cut.notes[1]


def test_what_others_keep_is_let_go_before_a_pack_is_cut() -> None:
    device = SmallDevice(150)

    def let_go() -> bool:
        grown = device.tokens < 300
        device.tokens = 300
        return grown

    scorer = SplittingAnswerer(device, None, lambda _: pytest.fail("there was room"), let_go)
    scorer.answer(prepared(LENGTHS), Pack(0, (0, 1, 2)))
    assert device.seen == [(0, 1, 2)]


def test_a_pack_is_cut_where_nobody_has_anything_to_let_go() -> None:
    told: list[int] = []
    scorer = SplittingAnswerer(SmallDevice(150), None, told.append, lambda: False)
    scorer.answer(prepared(LENGTHS), Pack(0, (0, 1, 2)))
    assert told == [115]
