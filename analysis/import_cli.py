"""`proctor import` and `imports`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.terminal import our_settings, print_table

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


@click.group(context_settings=HELP)
def imports() -> None:
    """List, show and delete imported results; `proctor export NAME` writes them.

    \b
    Examples:
      proctor imports list
      proctor imports show helm_mmlu
      proctor imports delete helm_mmlu
    """


@imports.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(*, as_json: bool) -> None:
    """List imported results, the latest first.

    \b
    Examples:
      proctor imports list
      proctor imports list --json
    """
    from analysis.imported import names, opened
    from analysis.tables import Column, Table

    home = our_settings().home
    found = {name: opened(name, home).panels for name in names(home)}
    if as_json:
        click.echo(
            json.dumps([{"name": name, "sets": list(map(_object, sets))} for name, sets in found.items()], indent=1)
        )
        return
    if not found:
        click.echo("Nothing is imported. Next: proctor import --help")
        return
    columns = (
        Column("name"), Column("set", numeric=True), Column("questions", numeric=True), Column("models", numeric=True),
        Column("terms"),
    )  # fmt: skip
    rows = [
        (name, number, len(panel.questions), len(panel.contestants), str(panel.terms))
        for name, sets in found.items()
        for number, panel in enumerate(sets, start=1)
    ]
    print_table(Table("imports", "Imported results; sets are never mixed.", columns, rows))


@imports.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, *, as_json: bool) -> None:
    """Show what was imported as NAME: its sets, who answered, how many right, and what was passed over or dropped.

    \b
    Examples:
      proctor imports show helm_mmlu
    """
    from analysis.imported import opened
    from analysis.tables import PERCENT, Column, Table, visible

    taken = opened(name, our_settings().home)
    if as_json:
        click.echo(json.dumps({"name": name, "notes": taken.notes, "sets": list(map(_object, taken.panels))}, indent=1))
        return
    columns = (
        Column("model"), Column("right", numeric=True), Column("asked", numeric=True),
        Column("accuracy", PERCENT, numeric=True), Column("no answer", numeric=True),
    )  # fmt: skip
    for number, panel in enumerate(taken.panels, start=1):
        right, asked = (panel.correct & panel.asked).sum(axis=1), panel.asked.sum(axis=1)
        rows = [
            (panel.labels[place], int(right[place]), int(asked[place]), right[place] / asked[place], int(none))
            for place, none in enumerate(panel.unanswered)
        ]
        which = f"Set {number}, never mixed with the others: " if len(taken.panels) > 1 else ""
        click.echo(visible(f"{which}{_size(panel)} ({panel.terms})"))
        print_table(Table("who", "Who answered.", columns, rows))
    for note in taken.notes:
        click.echo(visible(f"Note: {note}."))


@imports.command("delete")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def delete(names: tuple[str, ...]) -> None:
    """Delete imported results for good. The files that they came from stay.

    \b
    Examples:
      proctor imports delete helm_mmlu
    """
    from analysis.imported import forget

    for name in names:
        forget(name, our_settings().home)
        click.echo(f"{name} is deleted.")
