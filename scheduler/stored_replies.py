"""Judges over replies that are stored: judged again, by a second judge, or for the first time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from proctor.allotment import WHOLE, Allotment
from proctor.errors import BadInput, ProctorError, SeveralFaults
from proctor.nouns.models import Device
from proctor.nouns.runs import RunSpec, RunStatus, SweepRequest
from proctor.settings import Settings
from proctor.store.database.session import Store
from proctor.store.reads.records import RunRecord, runs
from proctor.store.runs import briefs
from proctor.store.runs.sweeps import identity_of
from scheduler.device_notes import SAID, device_notes, gpu_notes
from scheduler.faults import tried
from scheduler.found_models import bench_of
from scheduler.judging import JUDGEABLE, bias_notes, judged
from scheduler.plan import Plan, choose_device, undecided
from scheduler.prepare import Prepared, allotment_faults, fleet, here, seen
from scheduler.workplace import Workplace


@dataclass(frozen=True)
class Replies:
    """Done Runs whose answers are written: what a judge may read."""

    records: tuple[RunRecord, ...]
    left_out: int  # Runs with written answers that aren't done

    @property
    def specs(self) -> list[RunSpec]:
        return [record.spec for record in self.records]


def replies_in(store: Store, sweep_ids: Sequence[int]) -> Replies:
    """The Runs of these sweeps that can be judged, of several with one identity the last.

    Raises
    ------
    BadInput
        where there is none.
    """
    written = [record for record in runs(store, sweep_ids) if record.spec.conditions.scoring in JUDGEABLE]
    done = {identity_of(record.spec): record for record in written if record.status is RunStatus.DONE}
    if not done:
        raise BadInput(
            "There is nothing to judge: a judge reads written answers of Runs that are done.",
            "`proctor status` shows how far they are.",
        )
    return Replies(tuple(done.values()), sum(record.status is not RunStatus.DONE for record in written))


def prepare_judges(
    request: SweepRequest, replies: Replies, settings: Settings, store: Store, allotment: Allotment = WHOLE
) -> Prepared:
    """Plan judges of stored replies against what is there; errors as of `scheduler.prepare.prepare`."""
    faults: list[ProctorError] = []
    in_fleet = settings.broker_url is not None
    machine = seen(request, settings)
    targets = fleet(store) if in_fleet else tried(faults, partial(here, machine, Workplace(allotment))) or ()
    device = choose_device(request.device, targets)[0]
    if in_fleet and request.device == "auto":
        faults += undecided(targets, None)
    faults += allotment_faults(allotment, None if in_fleet else device)
    bfloat16 = all(gpu.bfloat16 is not False for gpu in machine.gpus) if device is Device.GPU else machine.cpu_bfloat16
    settled = replace(request, device=SAID[device])
    bench = bench_of(settled, device, faults, bfloat16=bfloat16)
    digests = {identity_of(record.spec): _digest(store, record.run_id) for record in replies.records}
    plan = Plan(settled, tuple(replies.specs), (), 0)
    planned = judged(plan, bench, () if in_fleet else targets, device, faults, digests)
    if faults or planned is None:
        raise SeveralFaults(faults)
    told = (
        *([f"Left out: {replies.left_out} Runs that aren't done."] if replies.left_out else ()),
        *bias_notes(bench, [spec.model.name for spec in replies.specs]),
        *gpu_notes(machine, device),
    )
    quants = request.judges.quants if request.judges else ()
    stored = {identity_of(record.spec): record.run_id for record in replies.records}
    return Prepared(
        replace(planned, request=request), (), (*device_notes(quants, device, targets), *told), told, stored
    )


def _digest(store: Store, run_id: int) -> str:
    """64 hex digits of the sha256 over the replies of a Run."""
    texts = {question: [one.text for one in said] for question, said in briefs.replies(store, run_id).items()}
    return hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()
