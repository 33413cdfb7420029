"""Labels of contestants, and who is meant by a name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.contestants import Contestant, cut, labels, lane_labels, match, one_a_model
from proctor.errors import AmbiguousName, UnknownName
from proctor.nouns.models import Device, Lane, Quant

HERE = Path("/home/me")
REV1, REV2 = "1111111aaaa", "2222222bbbb"
PARTS = st.sampled_from(["a", "b", "ckpt", "ckpt.gguf", "run 1", "x" * 70])
ANYONE = st.builds(
    Contestant,
    st.lists(PARTS, min_size=1, max_size=4).map("/".join)
    | st.lists(PARTS, min_size=1).map(lambda p: f"/{'/'.join(p)}"),
    st.sampled_from(["", REV1, REV2, f"{REV1}b"]),
    st.sampled_from(["none", "8bit", "4bit"]),
    st.sampled_from(["cpu", "gpu"]),
    st.sampled_from(["float32", "bfloat16", "auto"]),
)


@pytest.mark.parametrize(
    ("models", "called"),
    [
        (["/w/run1/checkpoint-500", "/w/run2/checkpoint-500"], ("run1/checkpoint-500", "run2/checkpoint-500")),
        (["org/tiny", "other/tiny"], ("org/tiny", "other/tiny")),
        (["org/tiny", "org/large"], ("tiny", "large")),
        (["/w/a/out/last", "/w/b/out/last", "/w/b/in/last"], ("a/out/last", "b/out/last", "in/last")),
        (["tiny", "/w/tiny"], ("tiny", "w/tiny")),
        (["org/tiny", "/org/tiny"], ("org/tiny", "/org/tiny")),
        (["/w/tiny", "/w/tiny.gguf", "/w/tiny/"], ("/w/tiny", "/w/tiny.gguf", "/w/tiny/")),
        (["/w/big-00001-of-00002.gguf", "/w/small-00003-of-00003.gguf"], ("big", "small")),
        (["/v/big-00001-of-00002.gguf", "/w/big.gguf"], ("v/big", "w/big")),
    ],
)
def test_models_that_end_alike_get_as_much_of_their_path_as_differs(models: list[str], called: tuple[str, ...]) -> None:
    assert labels([Contestant(model, "r", device="cpu") for model in models]) == called


def test_namesakes_get_only_the_parts_that_differ_among_them() -> None:
    who = [
        Contestant("a/Qwen", REV1, "none", "gpu", "bfloat16"),
        Contestant("a/Qwen", REV1, "4bit", "gpu", "bfloat16"),
        Contestant("b/Qwen", REV1, "4bit", "gpu", "bfloat16"),
        Contestant("c/phi", REV1, "none", "gpu", "bfloat16"),
        Contestant("c/phi", REV1, "none", "cpu", "float32"),
        Contestant("d/old", REV1, "none", "cpu", "float32"),
        Contestant("d/old", REV2, "none", "cpu", "float32"),
        Contestant("e/two", REV1, "8bit", "cpu", "float32"),
        Contestant("e/two", REV1, "8bit", "cpu", "bfloat16"),
        Contestant("e/two", REV1, "8bit", "cpu", "auto"),
    ]
    assert labels(who) == (
        "a/Qwen", "a/Qwen 4 bit", "b/Qwen 4 bit", "phi (gpu)", "phi (cpu)", "old@1111111", "old@2222222",
        "two 8 bit (float32)", "two 8 bit (bfloat16)", "two 8 bit (not begun)",
    )  # fmt: skip


def test_a_revision_is_as_long_as_tells_it_from_the_others() -> None:
    who = [Contestant("a/x", "123456789"), Contestant("a/x", "123456788"), Contestant("a/x", "")]
    assert labels(who) == ("x@123456789", "x@123456788", "x")


@given(st.lists(ANYONE, unique=True, max_size=8))
def test_distinct_contestants_have_distinct_labels_in_any_order(who: list[Contestant]) -> None:
    called = dict(zip(who, labels(who), strict=True))
    assert len(set(called.values())) == len(who)
    if not any("#" in label for label in called.values()):
        assert dict(zip(who[::-1], labels(who[::-1]), strict=True)) == called


@given(st.lists(ANYONE, unique=True, min_size=1, max_size=8))
def test_a_label_means_its_contestant(who: list[Contestant]) -> None:
    called = labels(who)
    assert [match(who, called, label, HERE) for label in called] == list(range(len(who)))


def test_long_names_lose_their_middle_unless_they_differ_there() -> None:
    same = f"{'a' * 40}{{}}{'b' * 40}"
    assert cut(["short", "x" * 70], 60)[1] == "x" * 30 + "…" + "x" * 29
    assert cut([same.format(1), same.format(2)], 60) == (same.format(1), same.format(2))


def test_lanes_are_called_what_their_contestants_are() -> None:
    lanes = [Lane(device, f"org/tiny@{REV1}", Quant.FOUR_BIT) for device in Device]
    assert lane_labels([*lanes, lanes[0]]) == {lane: f"tiny 4 bit ({lane.device.value})" for lane in lanes}


def test_a_lane_of_a_folder_with_an_at_sign_keeps_its_name() -> None:
    lane = Lane(Device.CPU, f"/models/me@home/tiny@{REV1}", Quant.NONE)
    other = Lane(Device.CPU, f"/models/tiny@{REV1}", Quant.NONE)
    assert list(lane_labels([lane, other]).values()) == ["me@home/tiny", "models/tiny"]


def test_a_model_votes_once_with_its_least_quantized_weights() -> None:
    who = [Contestant("a", quant="4bit"), Contestant("b", quant="8bit"), Contestant("a"), Contestant("b", quant="4bit")]
    assert one_a_model(who) == [1, 2]


def meant(who: list[Contestant], name: str, folder: Path = HERE) -> int:
    return match(who, labels(who), name, folder)


def test_contestants_are_found_by_any_of_their_names() -> None:
    who = [Contestant("org/Qwen", quant="4bit"), Contestant("org/Qwen"), Contestant("/models/tiny.gguf")]
    names = {"Qwen": 1, "qwen:4bit": 0, "org/Qwen:none": 1, "QWEN 4 BIT": 0, "tiny": 2, "tiny.gguf:none": 2}
    assert {name: meant(who, name) for name in names} == names
    assert meant(who[:2], "4bit") == 0


@pytest.mark.parametrize(
    "path",
    [
        "run1/ckpt", "./run1/ckpt/", "/home/me/run1/ckpt", "/home/me/run2/../run1/ckpt/", "../me/run1/ckpt",
        "run1/ckpt:none", "/home/me/run1/ckpt@11111", "run1/ckpt@1111111aaaa:none",
    ],
)  # fmt: skip
def test_a_path_is_taken_as_it_was_submitted(path: str) -> None:
    who = [Contestant("/home/me/run2/ckpt", REV2), Contestant("/home/me/run1/ckpt", REV1)]
    assert meant(who, path) == 1


def test_a_folder_is_named_from_within_it() -> None:
    who = [Contestant("/home/me/run1/ckpt"), Contestant("/home/me/run2/ckpt")]
    assert meant(who, ".", Path("/home/me/run2/ckpt")) == 1
    assert meant(who, "ckpt", Path("/home/me/run2")) == 1


@pytest.mark.parametrize(
    ("who", "name", "candidates"),
    [
        ([Contestant("/w/run1/ckpt"), Contestant("/w/run2/ckpt")], "ckpt", ("run1/ckpt", "run2/ckpt")),
        ([Contestant("org/x"), Contestant("other/x", quant="4bit")], "x", ("org/x", "other/x 4 bit")),
        ([Contestant("a/x", REV1), Contestant("a/x", REV2)], "a/x", ("x@1111111", "x@2222222")),
        ([Contestant("x", device="cpu"), Contestant("x", device="gpu")], "x:none", ("x (cpu)", "x (gpu)")),
    ],
)
def test_a_name_that_may_be_several_is_an_error_with_all_of_them(
    who: list[Contestant], name: str, candidates: tuple[str, ...]
) -> None:
    with pytest.raises(AmbiguousName, match=f"{name!r} may be ") as caught:
        meant(who, name)
    assert caught.value.candidates == candidates


def test_what_stands_behind_a_name_can_settle_who_is_meant() -> None:
    who = [Contestant("org/x", REV1), Contestant("other/x", REV2, "4bit"), Contestant("org/x", REV2)]
    assert [meant(who, name) for name in ("x:4bit", "org/x@1", "org/x@22")] == [1, 0, 2]


def test_an_unknown_name_is_offered_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean Qwen"):
        meant([Contestant("org/Qwen"), Contestant("org/phi")], "Quen")
