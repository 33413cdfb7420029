"""`proctor mark`."""

from __future__ import annotations

import json

import click

from analysis.terminal import ids_of, our_store, print_captioned, print_table
from proctor.help import HELP
from proctor.prose import tell

MOST = 20  # rows of what changed on a terminal; --json has all


@click.command(context_settings=HELP, short_help="Judge stored replies again, by every filter.")
@click.argument("sweeps", nargs=-1, metavar="[SWEEP]...")
@click.option("--with", "chain", default="", metavar="FILTER", help="Make this filter's marks those of the Answers.")
@click.option("--run-code", is_flag=True, help="Run replies that are programs, in isolation, and keep what passed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def mark(sweeps: tuple[str, ...], chain: str, *, run_code: bool, as_json: bool) -> None:
    """Judge the stored replies of SWEEPs again, by every filter of their exams; nothing is generated.

    SWEEP is a name or number; without any, the latest. Filters stand side by side (GSM8K's strict-match and
    flexible-extract), each with what it could not read: nothing extracted, empty, cut by the limit, thinking
    unfinished. Where this release marks an answer otherwise than it stands in the database, that is shown.

    Where a question has several replies (`repeats` of a task), each with a seed of its own, pass@k and the vote of k
    replies stand below, and in --json whether each reply is right.

    With --with the marks of that filter become those of the Answers, in every done Run whose exam has it; the Run
    says so from then on, and is never compared with one that is marked by another. The filter of the exam brings the
    first marks back.

    Programs (HumanEval, MBPP) are run with --run-code alone, each by itself in namespaces of its own: without network,
    files, environment or rights, within limits of time, memory, processes and disk. Until then they are no answers.
    Where this machine gives no such isolation nothing is run.

    \b
    Examples:
      proctor mark
      proctor mark gsm8k --json
      proctor mark gsm8k --with flexible-extract
      proctor mark gsm8k --with strict-match
      proctor mark humaneval --run-code
    """
    from analysis.report.marked import as_object, changed_table, figures_table, repeats_table, summary
    from analysis.verdicts.marked import judge_again, keep
    from analysis.verdicts.programs import judge_programs
    from proctor.printing import visible

    if chain and run_code:
        raise click.UsageError("--with and --run-code can't be given together.")
    written = bool(chain) or run_code
    with our_store() as store:
        ids = ids_of(store, sweeps)
        again = judge_programs(store, ids) if run_code else judge_again(store, ids, chain)
        if written:
            keep(store, again)
    if as_json:
        click.echo(json.dumps(as_object(again, written=written), indent=1))
        return
    if again.runs:
        print_table(figures_table(again))
    repeats = repeats_table(again)
    if repeats.rows:
        print_captioned(repeats)
    changed = changed_table(again)
    if changed.rows:
        print_captioned(changed, MOST)
    notes = [f"Note: {note}." for note in again.notes]
    tell("\n".join(map(visible, [*(summary(again, written=written) if again.runs else ()), *notes])))
