"""`proctor report` and `export`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.terminal import ids_of, objects, our_settings, our_store, print_table, read_named
from proctor.help import HELP
from proctor.prose import tell

if TYPE_CHECKING:
    from proctor.store.database.session import Store

REPORT_FORMATS = ("html", "png", "svg", "csv", "md")
EXPORT_FORMATS = ("jsonl", "csv", "parquet", "questions", "lm-eval")
ENDINGS = {".jsonl": "jsonl", ".csv": "csv", ".parquet": "parquet"}


@click.command(context_settings=HELP, short_help="Graphs, tables and one offline HTML page.")
@click.argument("sweeps", nargs=-1, metavar="[SWEEP]...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("report"),
    show_default=True,
    metavar="DIR",
    help="Folder for the page, the graphs and the tables.",
)
@click.option(
    "--format",
    "formats",
    default="html,png,svg,csv",
    show_default=True,
    metavar="LIST",
    help=f"What to write, parted by commas: {', '.join(REPORT_FORMATS)}.",
)
@click.option(
    "--margin",
    type=click.FloatRange(min=0, min_open=True, max=100),
    default=1.0,
    show_default=True,
    metavar="POINTS",
    help="Loss of accuracy, in points, below which a quantization is called fine.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the accuracies and the files as JSON.")  # fmt: skip
def report(sweeps: tuple[str, ...], output: Path, formats: str, margin: float, *, as_json: bool) -> None:
    """Write graphs, tables and one offline HTML page about SWEEPs (names or numbers; default: the latest).

    The accuracies are printed with their 95 % intervals. Runs that can't be compared (other benchmark, exam content,
    shots, template or prompt) are never mixed; what failed or is missing comes first. DIR holds one report: the files
    of the one before go, and files that no report wrote are never touched.

    \b
    Examples:
      proctor report
      proctor report demo -o demo-report
      proctor report 3 4 --format html,png
    """
    from datetime import UTC, datetime

    from analysis.report.write import Options, write_report
    from proctor.printing import visible

    options = Options(_formats(formats), margin / 100)
    results = read_named(sweeps)
    written = write_report(results, output, options, datetime.now(UTC))
    if as_json:
        accuracies = [objects(table) for table in written.accuracies]
        files = [str(path) for path in written.files]
        page = None if written.page is None else str(written.page)
        noise = [objects(table) for table in written.noise]
        said = {"page": page, "files": files, "sets": accuracies, "findings": written.findings, "noise": noise}
        said["terms"] = [str(panel.terms) for panel in results.panels]
        click.echo(json.dumps(said, indent=1))
        return
    for table, sentences in zip(written.accuracies, written.findings, strict=True):
        print_table(table)
        tell("\n" + "\n".join(visible(sentence) for sentence in sentences) + "\n")
    unfinished = len(results.unfinished())
    if unfinished:
        tell(f"{unfinished} of {len(results.records)} Runs did not finish: see the report.")
    click.echo(f"Report: {written.page or written.folder}")


@click.command(context_settings=HELP, short_help="A row an Answer, as JSONL, CSV or Parquet.")
@click.argument("sweeps", nargs=-1, metavar="[SWEEP]...")
@click.option(
    "--format",
    "kind",
    type=click.Choice(EXPORT_FORMATS),
    default=None,
    help="Default: by the ending of -o, else jsonl. `questions` is a JSON file a Run; `lm-eval` is what "
    "lm-evaluation-harness would have written.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE|DIR|-",
    default=None,
    help="Where to; - is standard output (jsonl and csv). Default: answers.FORMAT, or the folder questions or lm-eval.",
)
@click.option("--raw", is_flag=True, help="In a CSV: text as it is, also what a spreadsheet would run as a formula.")
@click.option("--force", is_flag=True, help="Write over what is there.")  # fmt: skip
def export(sweeps: tuple[str, ...], kind: str | None, output: str | None, *, raw: bool, force: bool) -> None:
    """Write a row for every Answer of SWEEPs or imported results (names or numbers; default: the latest sweep).

    Each row can be read alone: question, choices, key, what was picked, the log-probability of every option, and what
    computed it; a Run's costs and provenance are in its first row. `proctor import` takes it into another database.
    A file is whole or absent, and none is overwritten without --force.

    In a CSV, text that a spreadsheet would run as a formula (it begins with =, +, - or @) gets an apostrophe in front;
    --raw leaves that away. One more stands before a text that begins with an apostrophe and such a sign, in either way:
    `proctor import` takes one off.

    What lm-evaluation-harness would have written has all that is stored: of options whether each is the likeliest
    stands as None, and a metric that goes by it (exact_match) is left out, and said to be.

    \b
    Examples:
      proctor export -o answers.parquet
      proctor export demo --format csv -o - | head
      proctor export --format questions -o question_data
      proctor export --format lm-eval -o out
    """
    from analysis.exchange import export as exporting
    from analysis.exchange.imports import kept

    kind = kind or ENDINGS.get(Path(output or "").suffix.lower(), "jsonl")
    if output == "-" and kind not in ("jsonl", "csv"):
        raise click.UsageError(f"--format {kind} can't go to standard output: name a file or folder with -o.")
    home = our_settings().home
    sets = [one for name in sweeps if (taken := kept(name, home)) is not None for one in taken.sets]
    ours = [name for name in sweeps if kept(name, home) is None]
    if sets and kind in ("questions", "lm-eval"):
        raise click.UsageError(f"--format {kind} is for sweeps: imported results have no Runs.")
    with ExitStack() as stack:
        rows: Iterator[dict[str, Any]] = exporting.imported_rows(sets)
        if ours or not sweeps:
            store = stack.enter_context(our_store())
            sweep_ids = ids_of(store, ours)
            if kind in ("questions", "lm-eval"):
                _export_folder(store, sweep_ids, kind, Path(output or kind), force=force)
                return
            rows = chain(exporting.rows_of(store, sweep_ids), rows)
        if output == "-":
            exporting.write_stream(rows, kind, sys.stdout, raw=raw)
            return
        path = Path(output or f"answers.{kind}")
        count = exporting.write_file(rows, kind, path, force=force, raw=raw)
        click.echo(f"{count:,} answers in {path}")


def _export_folder(store: Store, sweep_ids: list[int], kind: str, folder: Path, *, force: bool) -> None:
    from analysis.exchange.export import export_questions
    from analysis.exchange.lm_eval_export import export_lm_eval, lm_eval_notes

    write = export_questions if kind == "questions" else export_lm_eval
    paths = write(store, sweep_ids, folder, force=force)
    click.echo(f"{len(paths)} files in {folder}")
    for note in lm_eval_notes(store, sweep_ids) if kind == "lm-eval" else ():
        click.echo(f"Note: {note}.", err=True)


def _formats(text: str) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))
    unknown = [name for name in wanted if name not in REPORT_FORMATS]
    if unknown or not wanted:
        raise click.UsageError(f"--format {text!r}: give some of {', '.join(REPORT_FORMATS)}, parted by commas.")
    return wanted
