"""How a worker process is told who it is, and how it reports: two variables that its launcher sets."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict

from proctor.embedded.reports import Report
from proctor.errors import BadInput
from proctor.nouns.models import Device, Quant
from proctor.nouns.workers import WorkerCard

CARD = "PROCTOR_WORKER_CARD"  # the WorkerCard as JSON
REPORTS = "PROCTOR_WORKER_REPORTS"  # a file descriptor that takes `proctor.embedded.reports`


def card_environ(card: WorkerCard, reports_fd: int) -> dict[str, str]:
    """The variables that tell a worker who it is and where to report."""
    return {CARD: json.dumps(asdict(card)), REPORTS: str(reports_fd)}


def read_card(environ: Mapping[str, str]) -> WorkerCard:
    """Who this worker is.

    Raises
    ------
    BadInput
        in a process that no launcher started.
    """
    try:
        fields = json.loads(environ[CARD])
        return WorkerCard(
            name=fields["name"],
            host=fields["host"],
            device=Device(fields["device"]),
            device_name=fields["device_name"],
            memory_bytes=fields["memory_bytes"],
            lanes=tuple(fields["lanes"]),
            sweep_id=fields["sweep_id"],
            quants=tuple(Quant(quant) for quant in fields["quants"]),
            versions=fields["versions"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"This process was not told which device it owns ({CARD} is not set or damaged).",
            "Start workers with `proctor worker`, not with `celery worker`.",
        ) from error


def tell_launcher(report: Report, environ: Mapping[str, str]) -> None:
    """Report to the launcher; where it is gone there is nobody to tell, and this process is about to end too."""
    if REPORTS in environ:
        try:
            os.write(int(environ[REPORTS]), report.to_line())
        except BrokenPipeError:
            return
