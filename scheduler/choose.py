"""What a worker should do next: a pure decision, taken inside the one claim transaction.

Loading a model is the dearest thing that a worker does, so it goes on with what it holds for as long as that
waits, and joins another lane only where its load pays for itself. Between sweeps of one priority it is fair with
whole workers: see `choose`.
"""

from __future__ import annotations

from collections.abc import Sequence

from proctor.nouns import Lane, LaneLoad


def choose(held: Lane | None, loads: Sequence[LaneLoad]) -> Lane | None:
    """The lane to claim from, or None where staying idle ends the work sooner.

    Higher priority goes first; lanes of a lower priority are looked at where the higher ones are not worth a load.
    Among lanes of one priority:

    - the lane that is held, unless others serve its sweep as well while nobody serves another sweep that waits: of
      several workers on one sweep, one goes over;
    - else, of those worth a load, the sweep that the fewest other workers serve, then the one whose turn it is; of a
      sweep's lanes the one with the most waiting Runs for each worker, counting this one; ties go by the lane's name,
      so that the choice is the same wherever it is made.

    So a sweep waits for one Run of another where that has two workers or more, and for one lane of it where all have
    one: a turn costs a load, and more turns would cost more.

    `loads` are the lanes with at least one claimable Run for this worker; `LaneLoad.workers` counts the others.
    """
    for priority in sorted({load.priority for load in loads}, reverse=True):
        level = [load for load in loads if load.priority == priority]
        mine = next((load for load in level if load.lane == held), None)
        if mine is not None and (mine.share == 0 or all(load.share > 0 for load in level)):
            return held
        worth = [load for load in level if pays_for_itself(load)]
        if worth or mine is not None:
            return min(worth, key=_order).lane if worth else held
    return None


def _order(load: LaneLoad) -> tuple[int, int, float, str]:
    return load.share, load.turn, -load.waiting / (load.workers + 1), str(load.lane)


def pays_for_itself(load: LaneLoad) -> bool:
    """Whether one more worker on this lane would be of use by the time that it has loaded the model.

    Nobody there: somebody must. Otherwise the workers that are there must still be busy for longer than a load
    takes: waiting / workers x mean run > mean load. Before anything was measured the answer is yes.
    """
    if load.workers == 0 or load.mean_run_s is None or load.mean_load_s is None:
        return True
    return load.waiting / load.workers * load.mean_run_s > load.mean_load_s
