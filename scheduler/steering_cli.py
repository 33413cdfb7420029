"""`proctor pause`, `resume` and `priority`, and `attempts`: what was tried with one Run."""

from __future__ import annotations

import json
import os

import click

from proctor.help import HELP
from proctor.prose import tell


@click.command(context_settings=HELP, short_help="Hold a sweep; what is at work keeps its pack.")
@click.argument("sweep")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def pause(sweep: str, as_json: bool) -> None:
    """Pause a sweep, by number or name: no Run of it starts until `proctor resume`.

    A worker that is at one finishes the questions at hand, keeps them, and goes on with other sweeps.

    \b
    Example:
      proctor pause 3
    """
    from proctor.settings import Settings
    from proctor.store.database.open import open_store
    from proctor.store.runs import steering, sweeps
    from scheduler.steering_words import paused

    with open_store(Settings.read(os.environ)) as store:
        found = sweeps.find(store, sweep)
        left = steering.pause(store, found.id)
    if as_json:
        click.echo(json.dumps({"sweep": found.id, "paused": True, "waiting": left.pending, "running": left.running}))
        return
    tell(paused(found.id, found.name, left.pending, left.running))


@click.command(context_settings=HELP, short_help="Let a paused sweep go on.")
@click.argument("sweep")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def resume(sweep: str, as_json: bool) -> None:
    """Let a paused sweep go on: the workers of its fleet, or of its command, take it up by themselves.

    \b
    Example:
      proctor resume 3
    """
    from proctor.settings import Settings
    from proctor.store.database.open import open_store
    from proctor.store.runs import steering, sweeps
    from scheduler.steering_words import resumed

    with open_store(Settings.read(os.environ)) as store:
        found = sweeps.find(store, sweep)
        left = steering.resume(store, found.id)
    if as_json:
        click.echo(json.dumps({"sweep": found.id, "paused": False, "waiting": left.pending, "running": left.running}))
        return
    tell(resumed(found.id, found.name, left.pending, left.running, was_paused=found.paused_at is not None))


@click.command(
    context_settings={**HELP, "ignore_unknown_options": True}, short_help="Put a sweep before or behind others."
)
@click.argument("sweep")
@click.argument("number", type=click.IntRange(-10, 10), metavar="N")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def priority(sweep: str, number: int, as_json: bool) -> None:
    """Give a sweep the priority N, from -10 to 10, also while it runs. Higher goes first; sweeps begin with 0.

    It holds from the next Run that any worker takes. Sweeps of one priority share the workers.

    \b
    Examples:
      proctor priority 3 5
      proctor priority nightly -1
    """
    from proctor.settings import Settings
    from proctor.store.database.open import open_store
    from proctor.store.runs import steering, sweeps

    with open_store(Settings.read(os.environ)) as store:
        found = sweeps.find(store, sweep)
        before = steering.prioritize(store, found.id, number)
    said = f"Sweep {found.id} ({found.name}) has priority {number}, before {before}."
    tell(json.dumps({"sweep": found.id, "priority": number, "before": before}) if as_json else said)


@click.command(context_settings=HELP, short_help="What was tried with one Run, with tracebacks.")
@click.argument("run", type=click.IntRange(min=1))
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def attempts(run: int, as_json: bool) -> None:
    """Show every attempt at the Run of this number: which worker, when, how it ended and why, with its traceback.

    `proctor status SWEEP` gives the numbers of Runs that failed.

    \b
    Examples:
      proctor attempts 17
      proctor attempts 17 --json
    """
    from proctor.settings import Settings
    from proctor.store.database.open import open_store
    from proctor.store.reads import records
    from scheduler.watch import attempts as tried
    from scheduler.watch.sweep_grid import names_of

    with open_store(Settings.read(os.environ)) as store:
        found = records.run(store, run)
        label = names_of(records.progress(store, found.sweep_id))[found.spec.lane]
    if as_json:
        click.echo(json.dumps(tried.as_json(found, label), ensure_ascii=False))
    else:
        tell(tried.told(found, label))
