"""`proctor verify`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from analysis.terminal import our_store, print_captioned, print_table
from proctor.help import HELP
from proctor.prose import tell

MOST = 20  # rows of what differs on a terminal; --json has all


@click.command(context_settings=HELP)
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
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def verify(
    ctx: click.Context,
    /,
    sweep: str | None,
    against: tuple[Path, ...],
    contestant: str | None,
    subjects: tuple[str, ...],
    tolerance: float,
    *,
    as_json: bool,
) -> None:
    """Hold the Answers of finished Runs against what lm-evaluation-harness made of the same prompts.

    Prompts are known by their hash, to the byte: log-probabilities and picks are compared question by question. SWEEP
    is a name or number; without it, the latest sweep that put one of these prompts to a model.

    \b
    Examples:
      lm_eval run --model hf ... --log_samples --output_path out
      proctor verify --against out/my-model
      proctor verify 3 --against samples_mmlu_anatomy.jsonl -c my-model:none
      proctor verify bf16 --against out/my-model --tolerance 0.05

    Scored by text, an option's log-probability is a sum over its tokens, and so are the differences.

    Exit code: 0 all within the tolerance and picked alike, 1 something differs, 2 bad input.
    """
    from analysis.exchange.lm_eval_samples import read_samples
    from analysis.exchange.verify import Selection
    from analysis.exchange.verify import verify as hold
    from analysis.report.verification import as_object, differing_table, subjects_table, summary
    from proctor.printing import visible

    harvest = read_samples(against)
    samples = [sample for file in harvest.files for sample in file.samples]
    with our_store() as store:
        found = hold(store, samples, Selection(sweep, contestant, subjects, Path.cwd()), tolerance)
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
