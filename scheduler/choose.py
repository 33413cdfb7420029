"""What a worker should do next: a pure decision, taken inside the one claim transaction.

Loading a model is the dearest thing that a worker does, so it goes on with what it holds for as long as that
waits, and joins another lane only where its load pays for itself. Between sweeps of one priority it is fair with
whole workers: see `choose`.
"""

from __future__ import annotations

from collections.abc import Sequence

from proctor.nouns.models import Lane
from proctor.nouns.workers import LaneLoad


def choose(held: Lane | None, loads: Sequence[LaneLoad]) -> Lane | None:
    """The lane to claim from, or None where staying idle ends the work sooner.

    Higher priority goes first; lanes of a lower priority are looked at where the higher ones are not worth a load.
    Among lanes of one priority:

    - the lane that is held, unless others serve its sweep as well while nobody serves another sweep that waits: of
      several workers on one sweep, one goes over;
    - else, of those worth a load, the sweep that the fewest other workers serve, then the one whose turn it is; of a
      sweep's lanes the one with the most work waiting for each worker, counting this one; ties go by the lane's name,
      so that the choice is the same wherever it is made.

    Work is waiting Runs times what one takes: as measured, else by what the model weighs in memory, at the rate of the
    lanes that are measured. So the models that take longest, and that only the largest devices hold, come first:
    a sweep that ends with them waits for few workers (`bench/simulate.py` has what that is worth).

    If another sweep holds two workers or more, a waiting sweep waits for one Run of it. If each holds one, it waits for
    one lane: a turn costs a load, and more turns would cost more.

    `loads` are the lanes with at least one claimable Run for this worker; `LaneLoad.workers` counts the others.
    """
    for priority in sorted({load.priority for load in loads}, reverse=True):
        level = [load for load in loads if load.priority == priority]
        mine = next((load for load in level if load.lane == held), None)
        if mine is not None and (mine.share == 0 or all(load.share > 0 for load in level)):
            return held
        worth = [load for load in level if pays_for_itself(load)]
        if worth or mine is not None:
            return min(worth, key=_Order(loads)).lane if worth else held
    return None


class _Order:
    """What is first among lanes of one priority that are worth a load is the least."""

    def __init__(self, loads: Sequence[LaneLoad]) -> None:
        measured = [(load.mean_run_s, load.needs_bytes) for load in loads if load.mean_run_s is not None]
        self.usual_s = sum(seconds for seconds, _ in measured) / len(measured) if measured else 1.0
        weighed = [(seconds, bytes_) for seconds, bytes_ in measured if bytes_]
        self.s_per_byte = (
            sum(seconds for seconds, _ in weighed) / sum(bytes_ for _, bytes_ in weighed)
            if weighed
            else 1e-9 * self.usual_s  # nothing was measured: larger is longer, whatever the rate
        )

    def __call__(self, load: LaneLoad) -> tuple[int, int, float, str]:
        return load.share, load.turn, -load.waiting * self.run_s(load) / (load.workers + 1), str(load.lane)

    def run_s(self, load: LaneLoad) -> float:
        """What a Run of the lane takes, measured or guessed."""
        if load.mean_run_s is not None:
            return load.mean_run_s
        return load.needs_bytes * self.s_per_byte if load.needs_bytes else self.usual_s


def pays_for_itself(load: LaneLoad) -> bool:
    """Whether one more worker on this lane would be of use by the time that it has loaded the model.

    Nobody there: somebody must. Otherwise the workers that are there must still be busy for longer than a load
    takes: waiting / workers x mean run > mean load. Before anything was measured the answer is yes.
    """
    if load.workers == 0 or load.mean_run_s is None or load.mean_load_s is None:
        return True
    return load.waiting / load.workers * load.mean_run_s > load.mean_load_s
