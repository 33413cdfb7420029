"""Putting the report together and writing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from analysis.data.panel import Level, Panel, level
from analysis.data.phrases import counted, listed
from analysis.data.results import Results
from analysis.data.sets import of_set, scoped, set_names, short
from analysis.data.shots import short_sentences
from analysis.data.tables import Table, to_csv
from analysis.graphs.style import Graph, write_png
from analysis.report.blocks import Block, Folded, Section
from analysis.report.costs import Measured, costs_section
from analysis.report.folder import report_folder
from analysis.report.judge_words import unjudged_notes, unjudged_sentences
from analysis.report.judges import judges_section
from analysis.report.leads import leads_section
from analysis.report.limits import calibration_section, limits_section
from analysis.report.mistakes import mistakes_section
from analysis.report.noise import floors, noise_section, noise_table
from analysis.report.overview import missing_section, provenance_section, ran_section
from analysis.report.page import page_html, page_markdown
from analysis.report.quantizations import quantizations_section
from analysis.report.standing import (
    accuracy_table,
    finding_section,
    finding_sentences,
    overall_section,
    subjects_section,
)
from analysis.verdicts.perplexities import of_pages
from analysis.verdicts.standings import Standings, stand
from proctor import __version__
from proctor.errors import BadInput

FORMATS = ("html", "png", "svg", "csv", "md")
PAGES = {"html": "report.html", "md": "report.md"}


@dataclass(frozen=True)
class Options:
    """What to write, and the loss of accuracy (a fraction) that a quantization may have and still be called fine."""

    formats: tuple[str, ...] = ("html", "png", "svg", "csv")
    margin: float = 0.01


@dataclass(frozen=True)
class WrittenReport:
    """What was written. `accuracies`, `findings` and `noise` are of the panels, the largest first."""

    folder: Path
    page: Path | None  # None where HTML was not asked for
    files: tuple[Path, ...]
    accuracies: tuple[Table, ...]
    findings: tuple[tuple[str, ...], ...]  # sentences
    noise: tuple[Table, ...]  # a row a contestant whose noise was measured
    sets: tuple[str, ...]  # names, empty where there is a single one


@dataclass(frozen=True, eq=False)
class Part:
    """One panel on common ground, its standings and the finding. `number` is 1 for the first of the panels."""

    number: int
    name: str  # of the set, empty where it is the only one
    panel: Panel
    standings: Standings
    sentences: tuple[str, ...]


def write_report(results: Results, folder: Path, options: Options, now: datetime) -> WrittenReport:
    """Write the report on `results` into `folder`, in the place of the report that lies there (see `report_folder`).

    Raises
    ------
    BadInput
        where nothing has been answered yet, the folder can't be written to, or a file that no report wrote is in the
        way.
    """
    if not results.panels and not results.judged:
        if unjudged := unjudged_notes(results):
            raise BadInput(unjudged[0], "Have them judged with: proctor judge SWEEP -m MODEL")
        raise BadInput(
            f"None of the {counted(len(results.records), 'Run')} has an answer yet.",
            "See how far it is with: proctor status",
        )
    try:
        with report_folder(folder, [PAGES[kind] for kind in options.formats if kind in PAGES]) as beside:
            levels = [level(panel) for panel in results.panels]
            names = set_names(results.panels)
            parts = [
                _part(
                    number,
                    name,
                    one.panel,
                    [*short_sentences(panel), *unjudged_sentences(results, panel)],
                    options.margin,
                )
                for number, (name, one, panel) in enumerate(zip(names, levels, results.panels, strict=True), start=1)
            ]
            sections = report_sections(results, levels, parts, options.margin)
            files = _write_files(beside, _title(results), sections, options.formats, now)
    except OSError as error:
        raise BadInput(f"The report can't be written to {folder}: {error.strerror or error}.") from error
    page = folder / PAGES["html"] if PAGES["html"] in files else None
    return WrittenReport(
        folder,
        page,
        tuple(folder / name for name in files),
        tuple(of_set(accuracy_table(part.panel, part.standings), part.name) for part in parts),
        tuple(part.sentences for part in parts),
        tuple(of_set(noise_table(part.panel, floors(results, part.panel)), part.name) for part in parts),
        names,
    )


def _part(number: int, name: str, panel: Panel, short: Sequence[str], margin: float) -> Part:
    standings = stand(panel)
    return Part(number, name, panel, standings, scoped([*finding_sentences(panel, standings, margin), *short], name))


def report_sections(results: Results, levels: Sequence[Level], parts: Sequence[Part], margin: float) -> list[Section]:
    """The sections in the order of a reader's questions: what is missing, what was run, what came of it, how sure."""
    evidence = [_of_part(section, part) for part in parts for section in evidence_sections(part, margin)]
    certainty = [_of_part(section, part) for part in parts for section in certainty_sections(part, results, margin)]
    judges = judges_section(results)
    costs = costs_section(results, [Measured(part.number, part.name, part.panel, part.standings) for part in parts])
    provenance = provenance_section(results)
    ordered = [missing_section(results, levels), ran_section(results), *evidence, judges, costs, *certainty, provenance]
    return [section for section in ordered if section is not None]


def evidence_sections(part: Part, margin: float) -> list[Section]:
    """What there is to say about one panel."""
    panel, standings = part.panel, part.standings
    sections = (
        finding_section(part.sentences),
        overall_section(panel, standings),
        subjects_section(panel) if len(panel.subjects) > 1 else None,  # of one, the figures stand above
        quantizations_section(panel, margin),
        *(() if of_pages(panel) else (mistakes_section(panel), leads_section(panel))),
    )
    return [section for section in sections if section is not None]


def certainty_sections(part: Part, results: Results, margin: float) -> list[Section]:
    """How far the panel's numbers can be believed, and what they could not show."""
    if of_pages(part.panel):  # whose perplexities have their intervals where they stand
        return []
    calibration = calibration_section(part.panel)
    noise = noise_section(part.panel, floors(results, part.panel))
    rest = [noise, limits_section(part.panel, part.standings, margin)]
    return rest if calibration is None else [calibration, *rest]


def _of_part(section: Section, part: Part) -> Section:
    """The section as one of several panels': all that is in it says which, and its files have names of their own."""
    if not part.name:
        return section
    blocks = tuple(_in_set(block, part) for block in section.blocks)
    called = short(part.name)
    if called != f"Set {part.number}":  # its benchmark, and what else is to be known of it stands in each caption
        heading = link = f"{section.heading}: {called}"
    else:
        heading = f"{section.heading}, {part.name[:1].lower()}{part.name[1:]}"
        link = f"{section.heading}, set {part.number}"
    return Section(_numbered(section.anchor, part.number), heading, blocks, link)


def _in_set(block: Block, part: Part) -> Block:
    match block:
        case Folded():
            return replace(block, blocks=tuple(_in_set(inner, part) for inner in block.blocks))
        case Graph():
            return replace(block.of_set(part.name), name=_numbered(block.name, part.number))
        case Table():
            return replace(of_set(block, part.name), name=_numbered(block.name, part.number))
        case _:
            return block


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}_{number}"


def _title(results: Results) -> str:
    of_panels = [(panel.terms.benchmark, panel.contestants) for panel in results.panels]
    everything = [*of_panels, *((run.benchmark, run.candidates) for run in results.judged)]
    benchmarks = listed(list(dict.fromkeys(benchmark for benchmark, _ in everything)))
    models = {contestant.model for _, contestants in everything for contestant in contestants}
    return f"{counted(len(models), 'model')} on {benchmarks}"


def _write_files(
    folder: Path, title: str, sections: Sequence[Section], formats: Sequence[str], now: datetime
) -> list[str]:
    """The graphs and tables as files of their own, then the page; the names of all, in that order."""
    texts: dict[str, str] = {}
    names = []
    for graph in (graph for section in sections for graph in section.graphs()):
        if "png" in formats:
            names.append(f"{graph.name}.png")
            write_png(graph, folder / names[-1])
        if "svg" in formats:
            texts[f"{graph.name}.svg"] = graph.svg
    if "csv" in formats:
        texts |= {f"{table.name}.csv": to_csv(table) for section in sections for table in section.tables()}
    subtitle = f"Written on {now:%Y-%m-%d at %H:%M %Z} by Proctor {__version__}"
    if "md" in formats:
        texts[PAGES["md"]] = page_markdown(title, subtitle, sections, formats)
    if "html" in formats:
        texts[PAGES["html"]] = page_html(title, subtitle, sections, formats)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [*names, *texts]
