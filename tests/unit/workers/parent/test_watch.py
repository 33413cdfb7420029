"""When a worker's parent takes its child for hung."""

from __future__ import annotations

from workers.channel import Channel
from workers.parent.watch import LONGEST_LOOK_S, Watch
from workers.run.liveness import Liveness

LIMIT_S = 30.0


def looks(watch: Watch, seconds: range, beats: int = 0, pid: int = 7, *, busy: bool = True) -> list[bool]:
    return [watch.hangs([pid], beats, float(second), busy=busy) for second in seconds]


def test_a_child_at_work_that_shows_nothing_for_longer_than_the_limit_hangs() -> None:
    watch = Watch(LIMIT_S)
    assert not any(looks(watch, range(100, 131)))
    assert looks(watch, range(131, 132)) == [True]
    assert watch.silent_s > LIMIT_S


def test_a_child_without_work_never_hangs_and_its_time_counts_from_the_next_work() -> None:
    watch = Watch(LIMIT_S)
    assert not any(looks(watch, range(100, 1000), busy=False))
    assert not any(looks(watch, range(1000, 1030)))


def test_a_sign_of_life_or_another_child_begins_the_time_anew() -> None:
    watch = Watch(LIMIT_S)
    assert not any(looks(watch, range(100, 125), beats=1))
    assert not any(looks(watch, range(125, 150), beats=2))
    assert not any(looks(watch, range(150, 175), beats=2, pid=8))


def test_what_passed_while_the_parent_itself_was_paused_does_not_count() -> None:
    watch = Watch(LIMIT_S)
    assert not any(looks(watch, range(100, 110)))
    assert not watch.hangs([7], 0, 100_000.0, busy=True)
    assert watch.silent_s <= 10.0 + LONGEST_LOOK_S


def test_the_parent_sees_what_the_child_notes_and_what_its_work_beats() -> None:
    channel = Channel()
    seen = [channel.beats]
    for show in (
        channel.beat,
        Liveness(channel.beat).beat,
        lambda: channel.hold(None),
        lambda: channel.wait_for("a hub"),
    ):
        show()
        seen.append(channel.beats)
    assert seen == [0, 1, 2, 3, 4]
