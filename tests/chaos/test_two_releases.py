"""A rolling upgrade: workers of the release before and of the next one, side by side, on one sweep."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

import proctor
from proctor.nouns.models import ModelRef
from proctor.store.database.session import Store
from proctor.store.migrations import HEAD
from tests.chaos.fleet import a_fleet
from tests.chaos.scene import runs_of
from tests.support import ROOT, wait_until

NEXT = "999.0.0"
REVISION = "9999"
ROOMS = ("proctor", "scheduler", "workers")


def next_release(folder: Path) -> Mapping[str, str]:
    """A copy of our code that is a release newer and has one more migration; returns what makes a process take it."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    about = folder / "proctor" / "__init__.py"
    about.write_text(about.read_text().replace(proctor.__version__, NEXT))
    migrations = folder / "proctor" / "store" / "migrations"
    known = migrations / "__init__.py"
    known.write_text(known.read_text() + f'\nKNOWN = (*KNOWN, "{REVISION}")\nHEAD = "{REVISION}"\n')
    (migrations / "versions" / f"{REVISION}_of_the_next_release.py").write_text(
        f'"""One more column and one more table."""\n\nimport sqlalchemy as sa\nfrom alembic import op\n\n'
        f'revision = "{REVISION}"\ndown_revision = "{HEAD}"\nbranch_labels = None\ndepends_on = None\n\n\n'
        "def upgrade() -> None:\n"
        '    op.add_column("run", sa.Column("of_the_next_release", sa.String(), nullable=True))\n'
        '    op.create_table("of_the_next_release", sa.Column("id", sa.Integer(), primary_key=True))\n'
    )
    return {"PYTHONPATH": str(folder)}


@pytest.mark.postgres
def test_workers_of_two_releases_end_a_sweep_together_and_the_tables_grow_under_the_older(
    tmp_path: Path, model: ModelRef
) -> None:
    newer = next_release(tmp_path / "next")
    with a_fleet(tmp_path, model, count=1) as fleet:
        (older,) = fleet.members
        shared = fleet.sweep_in_its_middle(subjects=4)
        fleet.start(newer)  # its launcher adds what the next release has to the tables
        fleet.wait_until_up()
        fleet.check_end(shared)
        fleet.leave(older)
        alone = fleet.sweep_in_its_middle(subjects=1)
        fleet.check_end(alone)
        assert proctor.__version__ in releases_of(fleet.store, shared)
        assert releases_of(fleet.store, alone) == {NEXT}
        left_behind = fleet.start()  # of the older release, after the upgrade: it says what is wrong, and ends
        wait_until(lambda: left_behind.launcher.poll() is not None, "a worker of the older release was refused")
        fleet.members.remove(left_behind)
    assert f"tables of revision {REVISION}, which this Proctor doesn't know" in (tmp_path / "launchers.log").read_text()


def releases_of(store: Store, sweep: int) -> set[str]:
    """Of the workers that ended this sweep's Runs."""
    return {run.provenance.versions["proctor"] for run in runs_of(store, sweep) if run.provenance}
