"""`proctor import` and `imports`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.terminal import our_settings, our_store, print_table
from proctor.help import HELP
from proctor.prose import tell

if TYPE_CHECKING:
    from analysis.data.panel import Panel
    from proctor.store.runs.taking_in import TakenIn


@click.command("import", context_settings=HELP, short_help="Take in other people's results, or an export.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(exists=True, path_type=Path))
@click.option("--name", default=None, help="What to call them; default: the first file's name.")
@click.option("--model", default=None, help="Whose samples these are; default: the folder in which they lie.")
@click.option("--force", is_flag=True, help="Replace what was imported under this name.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def import_(files: tuple[Path, ...], name: str | None, model: str | None, *, force: bool, as_json: bool) -> None:
    """Take other people's results into the analysis: report, compare, overlap, suspects and show know them by name.

    A CSV with subject, question, A, B, …, answer, then a column of letters for each model (empty: no answer); or
    samples_*.jsonl of lm-evaluation-harness (--log_samples), or folders of them; or what `proctor export` wrote.

    An export (CSV, JSONL or Parquet) of sweeps comes into the database as those sweeps, with costs and provenance, so
    that the results of several machines merge; a sweep that is here already is passed over. Its rows are answers: what
    answered nothing isn't in it, nor are the examples before the questions.

    Samples of tasks in other columns than MMLU's (HellaSwag, GSM8K, LAMBADA, …) are taken by their first metric and
    filter that is worth 0 to 1 on each question, each task as a set of its own.

    Of samples, shots, chat template and model are read from the results_*.json beside them. What was asked in other
    ways, or under another answer key, comes into sets of its own, and is never mixed. Of several files of one task and
    model the newest counts, by the date in their names. What is passed over or dropped is said.

    \b
    Examples:
      proctor import helm_mmlu.csv
      proctor import out/my-model/samples_mmlu_*.jsonl --name mine
      proctor import out --name all-of-them
      proctor import laptop.parquet
      proctor report helm_mmlu
    """
    from analysis.exchange.exported import is_export
    from analysis.exchange.imports import keep, read_foreign
    from proctor.printing import visible

    exports = [is_export(path) for path in files]
    if any(exports):
        _import_exports(files, exports, name, force=force, as_json=as_json)
        return
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
        tell(visible(f"{which}{_size(panel)} ({panel.terms})"))
    for note in taken.notes:
        tell(visible(f"Note: {note}."))
    click.echo(f"Kept as {called}. Next: proctor report {called}")


def _import_exports(
    files: Sequence[Path], exports: Sequence[bool], name: str | None, *, force: bool, as_json: bool
) -> None:
    """Take in what `proctor export` wrote: Runs into the database, what has no Run beside other imported results."""
    from dataclasses import asdict

    from analysis.data.panel_rows import gather
    from analysis.exchange.exported import read_export
    from analysis.exchange.imports import Taken, keep
    from analysis.exchange.merging import merge
    from proctor.errors import BadInput
    from proctor.printing import visible

    if not all(exports):
        raise BadInput("Some of these files are exports of Proctor, others are not.", "Import them apart.")
    read = [read_export(path) for path in files]
    gathered = gather([sheet for one in read for sheet in one.sheets])
    called = name or files[0].resolve().name.removesuffix(".gz").removesuffix(files[0].suffix)
    merged: list[TakenIn] = []
    if any(one.sat for one in read):
        with our_store() as store:
            for one in read:
                merged += merge(store, one.sat, None if gathered.sets else name)
    if gathered.sets:
        keep(Taken(gathered.sets, tuple(map(str, gathered.copies))), called, our_settings().home, force=force)
    if as_json:
        sets = [_object(each.panel) for each in gathered.sets]
        click.echo(json.dumps({"sweeps": list(map(asdict, merged)), "name": called if sets else None, "sets": sets}))
        return
    for each in merged:
        tell(visible(_merged(each)))
    for kept in gathered.sets:
        tell(visible(f"Kept as {called}: {_size(kept.panel)} ({kept.panel.terms})"))
    names = [*(str(each.sweep_id) for each in merged), *([called] if gathered.sets else ())]
    click.echo(f"Next: proctor report {' '.join(names)}")


def _merged(what: TakenIn) -> str:
    """What became of a sweep, in a sentence or two."""
    from analysis.data.phrases import counted

    sweep = f"Sweep {what.sweep_id} ({what.name})"
    size = f"{counted(what.runs, 'Run')}, {counted(what.answers, 'answer')}"
    if what.known:
        return f"{sweep} is here already: {size} passed over."
    if not what.not_done:
        return f"{sweep}: {size}."
    open_ = f"{counted(what.not_done, 'Run')} did not end where it was exported"
    return f"{sweep}: {size}. {open_}: cancelled here, until `proctor retry {what.sweep_id}`."


def _size(panel: Panel) -> str:
    """`4 questions in 2 subjects, 3 models`"""
    from analysis.data.phrases import counted

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


@click.group(context_settings=HELP, short_help="List, show and delete what was imported.")
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
    from analysis.data.tables import Column, Table
    from analysis.exchange.imports import names, opened

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


@imports.command("show", short_help="One of them: sets, contestants, what was dropped.")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, *, as_json: bool) -> None:
    """Show what was imported as NAME: its sets, who answered, how many right, and what was passed over or dropped.

    \b
    Examples:
      proctor imports show helm_mmlu
    """
    from analysis.data.tables import PERCENT, Column, Table
    from analysis.exchange.imports import opened
    from proctor.printing import visible

    taken = opened(name, our_settings().home)
    if as_json:
        click.echo(json.dumps({"name": name, "notes": taken.notes, "sets": list(map(_object, taken.panels))}, indent=1))
        return
    columns = (
        Column("model"), Column("right", numeric=True), Column("asked", numeric=True),
        Column("accuracy", PERCENT, numeric=True), Column("low", PERCENT, numeric=True),
        Column("high", PERCENT, numeric=True), Column("no answer", numeric=True),
    )  # fmt: skip
    for number, panel in enumerate(taken.panels, start=1):
        right, asked = (panel.correct & panel.asked).sum(axis=1), panel.asked.sum(axis=1)
        rows = [
            (panel.labels[place], int(right[place]), int(asked[place]), one.estimate, one.low, one.high, int(none))
            for place, (one, none) in enumerate(zip(panel.accuracies, panel.unanswered, strict=True))
        ]
        which = f"Set {number}, never mixed with the others: " if len(taken.panels) > 1 else ""
        tell(visible(f"{which}{_size(panel)} ({panel.terms})"))
        print_table(Table("who", "Who answered, with 95 % Wilson intervals.", columns, rows))
    for note in taken.notes:
        tell(visible(f"Note: {note}."))


@imports.command("delete")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def delete(names: tuple[str, ...]) -> None:
    """Delete imported results for good. The files that they came from stay.

    \b
    Examples:
      proctor imports delete helm_mmlu
    """
    from analysis.exchange.imports import forget

    for name in names:
        forget(name, our_settings().home)
        click.echo(f"{name} is deleted.")
