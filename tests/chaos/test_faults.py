"""One fleet of two workers, PostgreSQL and a broker, struck by one fault after the other.

`make test` strikes with those that other tests don't. `make chaos` strikes with each, and then for minutes with several
at once in a random order; the seed is printed, and CHAOS_SEED repeats it.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

import pytest

from proctor.nouns.models import ModelRef
from tests.chaos.faults import FAULTS, SELDOM_SEEN, Fault
from tests.chaos.fleet import Fleet, a_fleet

AT_ONCE = 3  # faults during one sweep, at most
FOR_MINUTES = "CHAOS_SECONDS" in os.environ


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, model: ModelRef) -> Iterator[Fleet]:
    with a_fleet(tmp_path_factory.mktemp("fleet"), model, count=2) as made:
        yield made


@pytest.mark.postgres
@pytest.mark.parametrize("fault", FAULTS if FOR_MINUTES else SELDOM_SEEN, ids=lambda fault: fault.__name__)
def test_a_sweep_that_was_struck_ends_as_if_undisturbed(fleet: Fleet, fault: Fault) -> None:
    sweep = fleet.sweep_in_its_middle()
    fault(fleet, sweep)
    fleet.check_end(sweep)


@pytest.mark.postgres
@pytest.mark.skipif(not FOR_MINUTES, reason="make chaos runs it, for minutes")
@pytest.mark.timeout(0)
def test_sweeps_struck_at_random_end_as_if_undisturbed(fleet: Fleet) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(10**6))
    end = time.monotonic() + float(os.environ["CHAOS_SECONDS"])
    rolls = random.Random(seed)  # noqa: S311 -- a schedule, no secret
    while time.monotonic() < end:
        chosen = rolls.sample(FAULTS, rolls.randint(1, AT_ONCE))
        say(f"seed {seed}: {', '.join(fault.__name__ for fault in chosen)}")
        sweep = fleet.sweep_in_its_middle(subjects=4)
        for fault in chosen:
            fault(fleet, sweep)
            time.sleep(rolls.random())
        fleet.check_end(sweep)


def say(text: str) -> None:
    """Onto the real standard error: what pytest holds back is lost where a person stops it."""
    os.write(2, f"{text}\n".encode())
