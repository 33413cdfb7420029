"""How a worker process is told who it is and which server it asks, and how it reports: variables of its launcher."""

from __future__ import annotations

import os
from collections.abc import Mapping

from proctor.catalog.endpoint import Endpoint, Vllm
from proctor.embedded.reports import Report
from proctor.errors import BadInput
from proctor.nouns.workers import WorkerCard
from proctor.wire import from_json, to_json

CARD = "PROCTOR_WORKER_CARD"  # the WorkerCard as JSON
ENDPOINT = "PROCTOR_WORKER_ENDPOINT"  # the Endpoint as JSON, of a worker that asks a server
VLLM = "PROCTOR_WORKER_VLLM"  # the Vllm as JSON, of a worker that starts one
REPORTS = "PROCTOR_WORKER_REPORTS"  # a file descriptor that takes `proctor.embedded.reports`


def card_environ(card: WorkerCard, reports_fd: int) -> dict[str, str]:
    """The variables that tell a worker who it is and where to report."""
    return {CARD: to_json(card), REPORTS: str(reports_fd)}


def read_card(environ: Mapping[str, str]) -> WorkerCard:
    """Who this worker is.

    Raises
    ------
    BadInput
        in a process that no launcher started.
    """
    try:
        return from_json(WorkerCard, environ[CARD])
    except (KeyError, BadInput) as error:
        raise BadInput(
            f"This process was not told which device it owns ({CARD} is not set or damaged).",
            "Start workers with `proctor worker`, not with `celery worker`.",
        ) from error


def read_endpoint(environ: Mapping[str, str]) -> Endpoint:
    """The server that this worker asks. Raises `BadInput` where none was named to it."""
    return from_json(Endpoint, environ.get(ENDPOINT, ""))


def read_vllm(environ: Mapping[str, str]) -> Vllm | None:
    """How this worker starts vLLM; None for one that asks a server that is there."""
    return from_json(Vllm, environ[VLLM]) if VLLM in environ else None


def tell_launcher(report: Report, environ: Mapping[str, str]) -> None:
    """Report to the launcher; where it is gone there is nobody to tell, and this process is about to end too."""
    if REPORTS in environ:
        try:
            os.write(int(environ[REPORTS]), report.to_line())
        except BrokenPipeError:
            return
