"""The promises that the store's docstrings make name tests that exist."""

from __future__ import annotations

import re

from proctor.store import runs
from tests.support import ROOT


def test_every_promise_of_a_runs_life_is_held_by_a_test() -> None:
    named = set(re.findall(r"test_\w+", runs.__doc__ or ""))
    written = set(re.findall(r"def (test_\w+)", "".join(p.read_text("utf-8") for p in ROOT.glob("tests/*/test_*.py"))))
    assert len(named) > 10
    assert named - written == set()
