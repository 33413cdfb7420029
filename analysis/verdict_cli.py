"""`proctor compare`, `quant`, `overlap`, `suspects` and `show`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.terminal import objects, our_settings, our_store, print_captioned, print_table, read_named
from proctor.help import HELP
from proctor.prose import tell

if TYPE_CHECKING:
    from analysis.data.panel import Panel
    from analysis.data.tables import Table, Value
    from analysis.verdicts.candidates import Candidate, Roll
    from proctor.store.reads.replies import WrittenAnswer

CONDITIONS = ("shots", "template", "scoring", "prompts")  # `analysis.data.terms.Condition`, which takes long to import
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
margin_option = click.option(
    "--margin", type=click.FloatRange(min=0, min_open=True, max=100), default=1.0, show_default=True, metavar="POINTS",
    help="Loss of accuracy, in points, below which it doesn't matter.",
)  # fmt: skip
most_option = click.option(
    "-n", "--most", type=click.IntRange(min=1), default=20, show_default=True, help="Rows to print; --json has all."
)
sweeps_option = click.option(
    "-s", "--sweep", "sweeps", multiple=True, metavar="SWEEP",
    help="Sweep or imported results, by name or number; default: the latest sweep.",
)  # fmt: skip


@click.command(context_settings=HELP, short_help="Is one model better than another, by how much?")
@click.argument("first")
@click.argument("second")
@sweeps_option
@click.option("-b", "--benchmark", metavar="NAME", help="Of a sweep of several benchmarks, compare on this one.")
@click.option("--judged-by", default="", metavar="MODEL", help="By the ratings of this judge.")
@click.option(
    "--across", multiple=True, type=click.Choice(CONDITIONS), metavar="CONDITION",
    help=f"Compare although this differs: {', '.join(CONDITIONS)}. Repeat for more.",
)  # fmt: skip
@margin_option
@most_option
@as_json_option
def compare(  # noqa: PLR0913 -- an argument an option
    first: str,
    second: str,
    sweeps: tuple[str, ...],
    *,
    benchmark: str | None,
    judged_by: str,
    across: tuple[str, ...],
    margin: float,
    most: int,
    as_json: bool,
) -> None:
    """Say whether SECOND is better or worse than FIRST, and by how much, question by question.

    A contestant is a label of the report, a model or its path as it was submitted, MODEL:QUANT, or a sweep in which
    there is only one; a name that may be several is refused. With two --sweep, FIRST is of the one and SECOND of the
    other. Runs under other terms or on other exams are refused, with the difference; questions put after another
    number of shots, where a window held no more, are left out and counted. With --across the conditions themselves are
    compared, and the verdict names them.

    p: mid-p McNemar, how often chance alone would make such a difference. Interval: Bonett-Price, 95 %.

    Loss at most: the margin from which on "within" holds, by an exact test, one-sided 95 %.

    Smallest detectable: what so many questions would have shown four times in five.

    Each call errs on its own: of 20 pairs of equals, one is called better or worse (5 %), and of 20 calls more
    than six in ten have such a one. Where you compare many, report and quant adjust for all of them (Holm).

    \b
    Examples:
      proctor compare smollm2 smollm2:4bit
      proctor compare Qwen2.5-0.5B-Instruct Llama-3.2-1B-Instruct --margin 2
      proctor compare before after
      proctor compare smollm2 smollm2:4bit --benchmark hellaswag
      proctor compare org/a org/b --judged-by org/large-model
      proctor compare smollm2 smollm2 -s before -s after --json
      proctor compare smollm2 smollm2 -s no-shots -s five-shots --across shots
    """
    from analysis.data.terms import Condition
    from analysis.report.comparison import as_object, comparison_tables, summary
    from analysis.verdicts.candidates import distinct
    from analysis.verdicts.compare import compare as judge
    from analysis.verdicts.compare import named_across

    conditions = tuple(map(Condition, dict.fromkeys(across)))
    mine, theirs = _candidates((first, second), sweeps, benchmark, judged_by)
    found = judge(*distinct(*named_across(mine, theirs, conditions)), margin / 100, conditions)
    if as_json:
        click.echo(json.dumps(as_object(found), indent=1))
        return
    for line in summary(found):
        tell(line)
    for table in comparison_tables(found):
        print_captioned(table, most)


@click.command(context_settings=HELP, short_help="What each quantization cost.")
@click.argument("sweeps", nargs=-1, metavar="[SWEEP]...")
@margin_option
@as_json_option
def quant(sweeps: tuple[str, ...], margin: float, *, as_json: bool) -> None:
    """Say what each quantization cost, against the same model unquantized on the same questions.

    Lost and gained are questions that only the one or the other has right; KL is how far the options' probabilities
    moved, in nats, which shows long before accuracy does. p is corrected for all rows (Holm).

    \b
    Examples:
      proctor quant
      proctor quant demo --margin 2 --json
    """
    from analysis.data.sets import of_set
    from analysis.report.quantizations import changes_table
    from analysis.verdicts.quantization import quantization_changes

    tables = [
        of_set(changes_table(panel, quantization_changes(panel, margin / 100)), name)
        for panel, name in _level_panels(sweeps)
    ]
    _say(tables, "Nothing here was run both quantized and not.", as_json=as_json)


@click.command(context_settings=HELP, short_help="Which contestants make the same mistakes.")
@click.argument("sweeps", nargs=-1, metavar="[SWEEP]...")
@most_option
@as_json_option
def overlap(sweeps: tuple[str, ...], most: int, *, as_json: bool) -> None:
    """Say which contestants make the same mistakes, the most alike first.

    Kappa: 1 is being wrong on the same questions, 0 is independence. Questions differ in difficulty, so every pair
    lies above 0: compare a pair with the median pair, and the same wrong option with that of other pairs.

    \b
    Examples:
      proctor overlap
      proctor overlap demo -n 5
    """
    from analysis.data.sets import of_set
    from analysis.report.mistakes import pairs_table

    panels = [(panel, name) for panel, name in _level_panels(sweeps) if panel.has_mistakes]
    tables = [of_set(pairs_table(panel), name) for panel, name in panels]
    _say(tables, "There is no pair to compare by mistakes.", most, as_json=as_json)


@click.command(context_settings=HELP, short_help="Questions whose answer key looks wrong.")
@click.argument("sweeps", nargs=-1, metavar="[SWEEP]...")
@most_option
@as_json_option
def suspects(sweeps: tuple[str, ...], most: int, *, as_json: bool) -> None:
    """List questions whose answer key looks wrong, the most suspect first.

    The models vote, weighted by their accuracy, one vote a model; the score says how far they outvote the key, here
    and in the rest of the subject. These are leads and no verdicts: weak models agree on wrong answers, too.
    --json holds every question with its score; where the margin is above 0, the key is outvoted.

    \b
    Examples:
      proctor suspects
      proctor suspects helm_mmlu -n 50
    """
    from analysis.data.sets import of_set
    from analysis.report.leads import suspects_table, why_left_out
    from analysis.verdicts.suspects import scored_keys
    from analysis.verdicts.suspects import suspects as find

    chosen = scored_keys if as_json else find
    panels = _level_panels(sweeps)
    tables = [of_set(suspects_table(chosen(panel)), name) for panel, name in panels]
    outvoted = "No key is outvoted (it takes three models)."
    left_out = None if any(p.has_keys for p, _ in panels) else why_left_out([p for p, _ in panels])
    _say(tables, left_out or outvoted, most, as_json=as_json)


@click.command(context_settings=HELP, short_help="One question, and what each contestant answered.")
@click.argument("question")
@sweeps_option
@as_json_option
def show(question: str, sweeps: tuple[str, ...], *, as_json: bool) -> None:
    """Show a QUESTION, by its id or SUBJECT:INDEX (from 0), and what each contestant answered: the options'
    probabilities, or what it wrote and what was read out of that.

    \b
    Examples:
      proctor show anatomy:12
      proctor show 85e9298b9a3bdfeb -s helm_mmlu
    """
    from analysis.data.sets import of_set, set_names
    from analysis.report.question import (
        answers_table,
        find_question,
        heard_by_judge,
        heard_lines,
        question_text,
        reply_lines,
        written_to,
    )

    panels = read_named(sweeps).panels
    panel, place = find_question(panels, question)
    name = next(name for one, name in zip(panels, set_names(panels), strict=True) if one is panel)
    table = of_set(answers_table(panel, place), name)
    written, heard = {}, {}
    if panel.replies is not None or panel.terms.judge is not None:
        with our_store() as store:
            written, heard = written_to(store, panel, place), heard_by_judge(store, panel, place)
    if as_json:
        row = panel.questions.iloc[place]
        about = {name: row[name] for name in ("subject", "question_id", "question")}
        key = int(row["answer"])
        asked = about | {"choices": list(row["choices"]), "answer": None if key < 0 else key}
        asked |= {name: row[name] for name in ("further", "reference") if row.get(name)}
        answers = [_with_replies(one, written.get(str(one["contestant"]))) for one in objects(table)]
        for one in answers:
            if told := heard.get(str(one["contestant"])):
                one |= {"replies": list(told.answers), "judge": panel.terms.judge_name, "judged": list(told.said)}
        click.echo(json.dumps(asked | {"answers": answers}, indent=1))
        return
    tell(question_text(panel, place))
    print_table(table)
    for label, answer in written.items():
        tell("\n" + "\n".join(reply_lines(label, answer)).rstrip())
    for label, told in heard.items():
        tell("\n" + "\n".join(heard_lines(label, panel.terms.judge_name, told)).rstrip())


def _with_replies(row: dict[str, Value], answer: WrittenAnswer | None) -> dict[str, object]:
    if answer is None:
        return dict(row)
    return {**row, "extracted": answer.extracted, "replies": [reply.text for reply in answer.replies]}


def _candidates(wanted: tuple[str, str], sweeps: Sequence[str], benchmark: str | None, judge: str) -> list[Candidate]:
    from analysis.exchange.imports import kept
    from analysis.verdicts.candidates import pick, roll_of_panels, roll_of_sweep

    with ExitStack() as stack:
        store = cache(lambda: stack.enter_context(our_store()))

        @cache
        def roll(name: str | None) -> Roll:
            taken = None if name is None else kept(name, our_settings().home)
            if name is None or taken is None:
                return roll_of_sweep(store(), name, benchmark, judge, Path.cwd())
            if benchmark is not None or judge:
                raise click.UsageError(f"--benchmark and --judged-by are for sweeps, and {name} was imported.")
            return roll_of_panels(taken.panels, name)

        here = Path.cwd()
        if not sweeps:
            return [pick(one, here, roll) for one in wanted]
        return [roll(name).candidate(one, here) for one, name in zip(wanted, (sweeps[0], sweeps[-1]), strict=True)]


def _level_panels(sweeps: Sequence[str]) -> list[tuple[Panel, str]]:
    """Each panel on common ground, with its set's name where there are several."""
    from analysis.data.panel import level
    from analysis.data.sets import set_names

    panels = read_named(sweeps).panels
    return [(level(panel).panel, name) for panel, name in zip(panels, set_names(panels), strict=True)]


def _say(tables: Sequence[Table], nothing: str, most: int | None = None, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([objects(table) for table in tables], indent=1))
        return
    filled = [table for table in tables if table.rows]
    for table in filled:
        print_table(table, most)
    if not filled:
        tell(nothing)
