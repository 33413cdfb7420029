"""`proctor import`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.terminal import our_settings

if TYPE_CHECKING:
    from analysis.panel import Panel

HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@click.command("import", context_settings=HELP)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(exists=True, path_type=Path))
@click.option("--name", default=None, help="What to call them; default: the first file's name.")
@click.option("--model", default=None, help="Whose samples these are; default: the folder in which they lie.")
@click.option("--force", is_flag=True, help="Replace what was imported under this name.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def import_(files: tuple[Path, ...], name: str | None, model: str | None, *, force: bool, as_json: bool) -> None:
    """Take other people's results into the analysis: report, compare, overlap, suspects and show know them by name.

    \b
    A CSV with subject, question, A, B, …, answer, then a column of letters for each model (empty: no answer); or
    samples_*.jsonl of lm-evaluation-harness (--log_samples), or folders of them.

    Of samples, shots, chat template and model are read from the results_*.json beside them. What was asked in other
    ways, or under another answer key, comes into sets of its own, and is never mixed. Of several files of one task and
    model the newest counts, by the date in their names. What is passed over or dropped is said.

    \b
    Examples:
      proctor import helm_mmlu.csv
      proctor import out/my-model/samples_mmlu_*.jsonl --name mine
      proctor import out --name all-of-them
      proctor report helm_mmlu
    """
    from analysis.imported import keep, read_foreign
    from analysis.tables import visible

    taken = read_foreign(files, model)
    called = name or files[0].resolve().name.removesuffix(".gz").removesuffix(files[0].suffix)
    keep(taken, called, our_settings().home, force=force)
    if as_json:
        click.echo(
            json.dumps({"name": called, "notes": taken.notes, "sets": list(map(_object, taken.panels))}, indent=1)
        )
        return
    for number, panel in enumerate(taken.panels, start=1):
        which = f"Set {number}, never mixed with the others: " if len(taken.panels) > 1 else ""
        click.echo(visible(f"{which}{_size(panel)} ({panel.terms})"))
    for note in taken.notes:
        click.echo(visible(f"Note: {note}."))
    click.echo(f"Kept as {called}. Next: proctor report {called}")


def _size(panel: Panel) -> str:
    """`4 questions in 2 subjects, 3 models`"""
    from analysis.findings import counted

    subjects, models = counted(len(panel.subjects), "subject"), counted(len(panel.contestants), "model")
    return f"{counted(len(panel.questions), 'question')} in {subjects}, {models}"


def _object(panel: Panel) -> dict[str, object]:
    return {
        "terms": str(panel.terms),
        "shots": panel.terms.shots,
        "chat_template": panel.terms.chat_template,
        "scoring": panel.terms.scoring,
        "questions": len(panel.questions),
        "subjects": list(panel.subjects),
        "contestants": list(panel.labels),
    }
