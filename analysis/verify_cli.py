"""`proctor verify`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.terminal import our_store, print_captioned, print_table
from proctor.help import HELP
from proctor.prose import tell

if TYPE_CHECKING:
    from analysis.exchange.lm_eval_samples import Found
    from analysis.exchange.verify import Selection

MOST = 20  # rows of what differs on a terminal; --json has all


@click.command(context_settings=HELP, short_help="Our Answers beside lm-evaluation-harness's.")
@click.argument("sweep", required=False)
@click.option(
    "--against", multiple=True, required=True, metavar="PATH", type=click.Path(exists=True, path_type=Path),
    help="A samples_*.jsonl of lm-evaluation-harness, or a folder of them. Repeat for more.",
)  # fmt: skip
@click.option("-c", "--contestant", metavar="NAME", help="A model, or MODEL:QUANT; needed where the sweep has several.")
@click.option("-s", "--subject", "subjects", multiple=True, metavar="SUBJECT", help="Only this one. Repeat for more.")
@click.option(
    "--tolerance", type=click.FloatRange(min=0), default=1e-4, show_default=True, metavar="NATS",
    help="How far two log-probabilities of the same option may lie apart.",
)  # fmt: skip
@click.option(
    "--replies", type=click.FloatRange(0, 100), default=100.0, show_default=True, metavar="PERCENT",
    help="How many of the written replies must be equal.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def verify(  # noqa: PLR0913 -- an argument an option
    ctx: click.Context,
    /,
    sweep: str | None,
    against: tuple[Path, ...],
    contestant: str | None,
    subjects: tuple[str, ...],
    tolerance: float,
    replies: float,
    *,
    as_json: bool,
) -> None:
    """Hold the Answers of finished Runs against what lm-evaluation-harness made of the same prompts.

    Prompts are known by their hash, to the byte: log-probabilities and picks are compared question by question, of
    written answers the replies, and of equal replies what each filter and metric makes of them. SWEEP is a name or
    number; without it, the latest sweep that put one of these prompts to a model.

    \b
    Examples:
      lm_eval run --model hf ... --log_samples --output_path out
      proctor verify --against out/my-model
      proctor verify 3 --against samples_mmlu_anatomy.jsonl -c my-model:none
      proctor verify bf16 --against out/my-model --tolerance 0.05
      proctor verify --against samples_gsm8k_2026-11-30.jsonl --replies 95

    Scored by text, an option's log-probability is a sum over its tokens, and so are the differences.

    Exit code: 0 all within the tolerance and picked alike, enough replies equal and judged alike, 1 something differs,
    2 bad input.
    """
    from analysis.exchange.lm_eval_lines import is_mmlu
    from analysis.exchange.lm_eval_samples import found_in, read_samples
    from analysis.exchange.verify import Selection
    from analysis.exchange.verify import verify as hold
    from analysis.report.verification import as_object, differing_table, subjects_table, summary
    from proctor.errors import BadInput
    from proctor.printing import visible

    selection = Selection(sweep, contestant, subjects, Path.cwd())
    there, passed_over = found_in(against)
    in_forms = [one for one in there if not is_mmlu(one.path)]
    if in_forms:
        if len(in_forms) < len(there):
            names = ", ".join(sorted(one.task for one in there if one not in in_forms)[:4])
            raise BadInput(
                f"Samples of MMLU's columns ({names}) stand beside others.", "Verify them apart, by --against."
            )
        ctx.exit(_verify_forms(in_forms, passed_over, selection, tolerance, replies / 100, as_json=as_json))
    harvest = read_samples(against)
    samples = [sample for file in harvest.files for sample in file.samples]
    with our_store() as store:
        found = hold(store, samples, selection, tolerance)
    if as_json:
        click.echo(json.dumps(as_object(found) | {"notes": harvest.notes}, indent=1))
    else:
        notes = [visible(f"Note: {note}.") for note in harvest.notes]
        tell("\n".join([*summary(found), *notes]) + "\n")
        print_table(subjects_table(found))
        differing = differing_table(found)
        if differing.rows:
            print_captioned(differing, MOST)
    ctx.exit(0 if found.passed else 1)


def _verify_forms(
    found: Sequence[Found], notes: Sequence[str], selection: Selection, tolerance: float, least: float, *, as_json: bool
) -> int:
    """The same for exams in a form, of which samples are of every kind; the exit code."""
    from analysis.exchange.lm_eval_lines import read_lines
    from analysis.exchange.verify_forms import verify_forms
    from analysis.report.verified_forms import as_object, differing_table, summary, tasks_table
    from proctor.printing import visible

    files = [read_lines(one) for one in found]
    with our_store() as store:
        verified = verify_forms(store, files, selection, tolerance, least)
    if as_json:
        click.echo(json.dumps(as_object(verified) | {"notes": list(notes)}, indent=1))
    else:
        tell("\n".join([*summary(verified), *(visible(f"Note: {note}.") for note in notes)]) + "\n")
        print_table(tasks_table(verified))
        differing = differing_table(verified)
        if differing.rows:
            print_captioned(differing, MOST)
    return 0 if verified.passed else 1
