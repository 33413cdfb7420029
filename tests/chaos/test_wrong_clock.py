"""Workers whose clocks are five minutes off, both ways: leases go by the database's clock, so nobody loses a Run."""

from __future__ import annotations

from pathlib import Path

import pytest

from proctor.nouns.models import ModelRef
from tests.chaos.fleet import a_fleet
from tests.chaos.scene import outcomes, runs_of

SWEEPS = 10


def faketime() -> str:
    """The library of Debian's package `faketime`, which shifts a process's clock; skips by name where it isn't."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        pytest.skip("libfaketime is not on this machine (apt install faketime)")
    return str(found[0])


@pytest.mark.postgres
def test_workers_whose_clocks_are_five_minutes_off_take_no_run_from_anybody(tmp_path: Path, model: ModelRef) -> None:
    shift = {"LD_PRELOAD": faketime(), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    with a_fleet(tmp_path, model, count=1) as fleet:
        fleet.start({**shift, "FAKETIME": "+5m"})
        fleet.start({**shift, "FAKETIME": "-5m"})
        fleet.wait_until_up()
        launchers: set[str] = set()
        for _ in range(SWEEPS):  # which worker takes a Run is chance
            sweep = fleet.sweep_in_its_middle(subjects=6)
            fleet.check_end(sweep)
            assert outcomes(fleet.store, sweep) == ["done"] * 6
            launchers |= {
                name.split(":")[1].split("-")[0] for run in runs_of(fleet.store, sweep) if (name := run.worker)
            }
            if len(launchers) == len(fleet.members):
                return
    pytest.fail(f"not every worker had a part in it: {launchers} alone")
