"""Regular expressions from outside: those of Python, with an end to what each may take."""

from __future__ import annotations

import re
import signal
import threading
from pathlib import Path

import pytest

from proctor.errors import BadExam
from proctor.exams.benchmarks.own_written import own_written
from proctor.exams.judging import patterns
from proctor.exams.judging.chains import made
from proctor.exams.judging.filters import Piece
from proctor.exams.judging.marking import check
from proctor.exams.judging.patterns import Pattern, PatternTooSlow, pattern_of
from proctor.exams.tasks.form import Chain, Form, Headline, Kind, Metric, Step
from proctor.exams.tasks.templates import read_template
from proctor.nouns.exams import Question

HOSTILE = r"(a+)+$"
BAIT = "a" * 60 + "!"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "MOST_CPU_S", 0.05)
    monkeypatch.setattr(patterns, "PROBE_CPU_S", 0.2)
    monkeypatch.setattr(patterns, "_slow", set())


def regex(pattern: str) -> Step:
    return Step("regex", {"regex_pattern": pattern})


def test_a_match_that_explodes_ends_in_an_error_that_names_it() -> None:
    with pytest.raises(PatternTooSlow, match=re.escape("expression (a+)+$ takes")) as caught:
        made(regex(HOSTILE))([Piece(BAIT)], Question("", 0, ""))
    assert "a text of 61 characters" in str(caught.value)
    assert "stored stay stored" in str(caught.value)


def test_one_that_exploded_is_not_waited_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pattern = pattern_of(HOSTILE)
    with pytest.raises(PatternTooSlow):
        pattern.findall(BAIT)
    monkeypatch.setattr(patterns, "cpu_time", None)  # none is begun
    with pytest.raises(PatternTooSlow):
        pattern.search("a")


def test_others_find_what_python_finds() -> None:
    for written, text in ((r"(\d+)|(x)", "1x22"), (r"\w+", "a b_c"), ("", "ab")):
        plain = re.compile(written)
        assert pattern_of(written).findall(text) == plain.findall(text)
        assert pattern_of(written).sub("-", text) == plain.sub("-", text)
        assert pattern_of(written).sub("-", text, 1) == plain.sub("-", text, count=1)
    found = pattern_of("b").search("abc")
    assert found is not None
    assert found.start() == 1


def test_what_was_set_before_the_limit_is_set_behind_it() -> None:
    before = signal.getsignal(signal.SIGVTALRM)
    pattern_of("x").findall("x")
    assert signal.getsignal(signal.SIGVTALRM) is before
    assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] == 0


def test_in_another_thread_it_still_finds() -> None:
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.extend(pattern_of("a").findall("aa")))
    thread.start()
    thread.join()
    assert found == ["a", "a"]


@pytest.mark.parametrize("hostile", [HOSTILE, r"(?:\d+)*x", r"(foo|foo)*bar", r"^(\w+\s?)*$", r"(.*)*=", r"(x|x)*y"])
def test_expressions_that_explode_are_refused_before_anything_is_asked(hostile: str) -> None:
    chain = Chain("odd", (regex(hostile), Step("take_first")))
    with pytest.raises(PatternTooSlow):
        check(Form(Kind.WRITE, (Metric("exact_match"),), Headline("exact_match", "odd"), chains=(chain,)))
    ignoring = Metric("exact_match", {"regexes_to_ignore": [hostile]})
    with pytest.raises(PatternTooSlow):
        check(Form(Kind.WRITE, (ignoring,), Headline("exact_match", "none")))
    with pytest.raises(PatternTooSlow):
        own_written(Path("sums.jsonl"), f"regex:{hostile}")


def test_expressions_of_benchmarks_pass_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "PROBE_CPU_S", 2.0)
    for usual in (
        r"#### (\-?[0-9\.\,]+)", r"(-?[$0-9.,]{2,})|(-?[0-9]+)", r"(?s).*#### ", r"(?<=the answer is )(.*)(?=.)",
        r"answer is \(?([ABCDEFGHIJ])\)?", r"The answer is (\-?[0-9\.\,]+).", r"\s*([A-D])\s*", r"(\([A-Z]\))",
    ):  # fmt: skip
        Pattern(re.compile(usual)).probe()


def test_a_template_that_replaces_without_end_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "MOST_CPU_S", 0.05)
    template = read_template("{{ text | regex_replace('(a+)+$', '') }}", "doc_to_text")
    with pytest.raises(BadExam, match="takes more than"):
        template.render({"text": BAIT})
