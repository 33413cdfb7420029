"""`proctor benchmarks`: which exams there are, and what one of them puts to a model, without any model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proctor.help import HELP
from proctor.prose import tell

if TYPE_CHECKING:
    from proctor.exams.tasks.definition import Settings


@click.group(context_settings=HELP, invoke_without_command=True, short_help="Built-in exams, and their prompts.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@click.pass_context
def benchmarks(ctx: click.Context, as_json: bool) -> None:
    """List the built-in benchmarks: what they ask for, of which data, under which licence, what they need.

    \b
    Examples:
      proctor benchmarks
      proctor benchmarks show gsm8k 3
      proctor benchmarks show my_task.yaml --data rows --shots 2
    """
    if ctx.invoked_subcommand is not None:
        return
    from proctor.exams.benchmarks.registry import BUILT_IN
    from scheduler.benchmarks import as_table, entry

    entries = [entry(one) for one in BUILT_IN]
    tell(json.dumps([one.as_object() for one in entries]) if as_json else as_table(entries))


@benchmarks.command(context_settings=HELP, short_help="The prompt of one question.")
@click.argument("name", metavar="NAME|PATH[:SUBJECT]")
@click.argument("number", type=click.IntRange(min=0), default=0, metavar="[N]")
@click.option("--data", type=click.Path(exists=True, file_okay=False), metavar="FOLDER",
              help="Where its rows lie, instead of the hub.")  # fmt: skip
@click.option("--tasks", type=click.Path(exists=True, file_okay=False), metavar="FOLDER",
              help="Where task files lie. Default: an installed lm_eval's.")  # fmt: skip
@click.option("--shots", type=click.IntRange(0, 100), help="Examples. Default: the benchmark's own number.")
@click.option("--judge", default="", metavar="WAY", help="Of a file of yours whose answers are written.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def show(
    name: str, number: int, data: str | None, tasks: str | None, shots: int | None, judge: str, as_json: bool
) -> None:
    """Show question N (from 0) of a benchmark as it is put to a model: as text and as a chat, and what is scored.

    A prompt may be shorter for a model with a small window: examples are left out from the front.

    \b
    Examples:
      proctor benchmarks show demo
      proctor benchmarks show hellaswag 12 --shots 5
      proctor benchmarks show mmlu:astronomy 3
    """
    from proctor.exams.benchmarks.registry import check_judged
    from scheduler.benchmarks import shown
    from scheduler.request_exams import parted

    check_judged([parted(name, ())[0]], judge)
    found = shown(name, number, _settings(data, tasks, shots, judge))
    tell(json.dumps(found.as_object()) if as_json else found.as_text())


def _settings(data: str | None, tasks: str | None, shots: int | None, judge: str) -> Settings:
    from proctor.exams.tasks.definition import Settings

    return Settings(shots=shots, folder=Path(data) if data else None, tasks=Path(tasks) if tasks else None, judge=judge)
