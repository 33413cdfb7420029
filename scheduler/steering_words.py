"""What a person is told who paused, resumed, cancelled or retried a sweep."""

from __future__ import annotations

from scheduler.watch.wording import counted


def paused(sweep_id: int, name: str, pending: int, running: int) -> str:
    """What waits now, and what is still at work."""
    busy = f" {running} at work stop after the questions at hand." if running else ""
    return f"Paused sweep {sweep_id} ({name}): {counted(pending, 'Run')} waiting.{busy} `proctor resume {sweep_id}`."


def resumed(sweep_id: int, name: str, pending: int, running: int, *, was_paused: bool) -> str:
    """What goes on."""
    was = "goes on" if was_paused else "was not paused"
    return f"Sweep {sweep_id} ({name}) {was}: {counted(pending, 'Run')} waiting, {running} at work."


def cancelled(sweep_id: int, name: str, stopped: int) -> str:
    """How many Runs that leaves out; of a sweep that was over, that nothing changed."""
    if not stopped:
        return f"Of sweep {sweep_id} ({name}) nothing was left to run, and nothing is changed."
    left_out = counted(stopped, "Run")
    return f"Cancelled sweep {sweep_id} ({name}): {left_out} left out. `proctor retry {sweep_id}` undoes it."


def retried(sweep_id: int, name: str, waiting: int) -> str:
    """How many Runs wait again; none where none had failed."""
    if not waiting:
        return f"Nothing of sweep {sweep_id} ({name}) failed or was cancelled."
    return f"{counted(waiting, 'Run')} of sweep {sweep_id} ({name}) waiting to run again."
