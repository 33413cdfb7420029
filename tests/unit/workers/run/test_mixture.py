"""A Run that another device or other versions go on with says so."""

from __future__ import annotations

from dataclasses import replace

from proctor.nouns.models import DType
from proctor.nouns.runs import Provenance
from workers.run.mixture import continued_by

H200 = Provenance(
    DType.BFLOAT16, "cascade (varlen)", "NVIDIA H200", "a", {"torch": "2.13.0", "driver": "580.65"}, ("x",)
)


def test_the_same_device_and_versions_say_nothing() -> None:
    assert continued_by(H200, replace(H200, host="b", notes=())) == H200


def test_another_device_is_noted_with_the_versions_that_differ() -> None:
    l4 = replace(H200, device_name="NVIDIA L4", versions={"torch": "2.12.1", "driver": "580.65", "git": "abc"})
    assert continued_by(H200, l4).notes == (
        "x", "continued on NVIDIA L4 with torch 2.12.1 instead of 2.13.0: packs since then may differ in rounding",
    )  # fmt: skip


def test_other_versions_on_the_same_device_are_noted() -> None:
    newer = replace(H200, versions={"torch": "2.13.0", "driver": "590.1"})
    assert continued_by(H200, newer).notes[-1] == (
        "continued with driver 590.1 instead of 580.65: packs since then may differ in rounding"
    )
    unknown = replace(H200, versions={"torch": "2.13.0"})
    assert "driver unknown instead of 580.65" in continued_by(H200, unknown).notes[-1]


def test_what_is_noted_already_is_noted_once() -> None:
    l4 = replace(H200, device_name="NVIDIA L4")
    once = continued_by(H200, l4)
    assert len(once.notes) == 2
    assert continued_by(once, l4) == once
