"""What a worker should do next: a pure decision, taken inside the one claim transaction.

Loading a model is the dearest thing that a worker does, so it goes on with what it holds for as long as that
waits, and joins another lane only where its load pays for itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from proctor.nouns import Lane, LaneLoad


def choose(held: Lane | None, loads: Sequence[LaneLoad]) -> Lane | None:
    """The lane to claim from, or None where staying idle ends the work sooner.

    Higher priority goes first. Among lanes of one priority: the lane that is held; else, of those worth a load,
    the one with the most waiting Runs for each worker, counting this one; ties go by the lane's name, so that the
    choice is the same wherever it is made. Lanes of a lower priority are looked at where the higher ones are not
    worth a load.

    `loads` are the lanes with at least one claimable Run for this worker; `LaneLoad.workers` counts the others.
    """
    for priority in sorted({load.priority for load in loads}, reverse=True):
        level = [load for load in loads if load.priority == priority]
        if any(load.lane == held for load in level):
            return held
        worth = [load for load in level if pays_for_itself(load)]
        if worth:
            return min(worth, key=lambda load: (-load.waiting / (load.workers + 1), str(load.lane))).lane
    return None


def pays_for_itself(load: LaneLoad) -> bool:
    """Whether one more worker on this lane would be of use by the time that it has loaded the model.

    Nobody there: somebody must. Otherwise the workers that are there must still be busy for longer than a load
    takes: waiting / workers x mean run > mean load. Before anything was measured the answer is yes.
    """
    if load.workers == 0 or load.mean_run_s is None or load.mean_load_s is None:
        return True
    return load.waiting / load.workers * load.mean_run_s > load.mean_load_s
