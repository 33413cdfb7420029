"""The grid of a sweep: what a person sees at each width, and the words around it."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime

from rich.console import Console

from proctor.nouns.exams import Scoring
from proctor.nouns.models import Device, Lane, Quant
from proctor.nouns.runs import Noise, RunStatus, ShotsShown
from proctor.store.reads.records import RunProgress, SweepProgress
from proctor.store.reads.shown_answers import ShownAnswer
from scheduler.watch import wording
from scheduler.watch.accuracy import NONE
from scheduler.watch.aside import aside, share_right
from scheduler.watch.follow import outcome
from scheduler.watch.speed import Speed
from scheduler.watch.sweep_grid import board, cell, overall, totals

LANE = Lane(Device.CPU, "org/Model-1B@abc", Quant.NONE)


def run(subject: str, status: RunStatus, answered: int, correct: int = 0, lane: Lane = LANE) -> RunProgress:
    return RunProgress(
        run_id=abs(hash((subject, str(lane)))),
        lane=lane,
        benchmark="demo",
        subject=subject,
        status=status,
        attempt=1,
        worker=None,
        questions=40,
        answered=answered,
        correct=correct,
        tied=0,
        failures=3 if status is RunStatus.FAILED else 0,
        reason="out of\x1b[2Jmemory" if status is RunStatus.FAILED else "",
        started_at=None,
        moved_at=None,
        ended_at=None,
    )


def sweep(*runs: RunProgress) -> SweepProgress:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return SweepProgress(7, "night", 0, now, None, now, runs)


def drawn(progress: SweepProgress, width: int, height: int = 40) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    console.print(board(progress, Speed(), width, height))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


MIXED = sweep(
    run("tides", RunStatus.DONE, 40, 30),
    run("birds", RunStatus.RUNNING, 20, 5),
    run("clocks", RunStatus.FAILED, 0),
    run("kings", RunStatus.PENDING, 0),
)


def test_before_the_workers_of_a_command_have_begun_they_are_said_to_start_and_are_no_fault() -> None:
    assert totals(MIXED, Speed(staffed=False, starting=True)).endswith("starting a worker · 1 failed")
    assert totals(MIXED, Speed(staffed=True, starting=True)).endswith("starting a worker · 1 failed")
    assert totals(MIXED, Speed(staffed=False)).endswith("no worker is up · 1 failed")
    assert "worker" not in totals(MIXED, Speed())


def test_a_wide_terminal_shows_accuracy_and_counts_in_the_cells() -> None:
    text = drawn(MIXED, 120)
    assert "Model-1B" in text
    assert "75.0%" in text
    assert "20/40" in text
    assert "failed" in text
    assert "60/160" in text


def test_a_narrow_terminal_has_the_subjects_in_rows_each_whole_and_with_its_interval() -> None:
    """30 of 40 is 75 %, and Wilson's 95 % interval by hand is 59.8 to 85.8 %."""
    assert [line.rstrip() for line in drawn(MIXED, 60).splitlines()] == [
        "night     answered  right",
        "Model-1B    60/160  58.3% (45.7 to 69.9)",
        "  tides      40/40  75.0% (59.8 to 85.8)",
        "  birds      20/40  25.0% (11.2 to 46.9)",
        "  clocks      0/40  failed",
        "  kings       0/40  –",
        "1/4 Runs, 60/160 questions · 58.3% (45.7 to 69.9) right so",
        "far · 1 failed",
    ]


def test_a_terminal_too_small_for_rows_shows_a_filling_mark_for_each_subject() -> None:
    text = drawn(MIXED, 60, height=10)
    assert "█▄✗·" in text
    assert "58.3% (45.7 to 69.9)" in text


def test_no_subject_is_ever_cut_at_any_width() -> None:
    for width in range(50, 140):
        text = drawn(MIXED, width)
        assert all(subject in text.split() for subject in ("tides", "birds", "clocks", "kings")), width
        assert max(len(line.rstrip()) for line in text.splitlines()) <= width


def test_an_interval_stands_beside_each_accuracy_also_in_the_cells() -> None:
    assert "75.0% 60–86" in drawn(MIXED, 120)
    assert "58.3% (45.7 to 69.9)" in drawn(MIXED, 120)


def test_several_lanes_have_no_accuracy_together() -> None:
    other = run("tides", RunStatus.DONE, 40, 10, lane=Lane(Device.CPU, "org/Other@abc", Quant.NONE))
    assert totals(sweep(*MIXED.runs, other), Speed()) == "2/5 Runs, 100/200 questions · 1 failed"


def test_no_line_is_wider_than_the_terminal() -> None:
    many = sweep(*(run(f"subject {i}", RunStatus.DONE, 40, 10) for i in range(57)))
    assert max(len(line) for line in drawn(many, 110).splitlines()) <= 110


def test_lanes_that_do_not_fit_are_counted_and_those_at_work_are_shown() -> None:
    lanes = [Lane(Device.CPU, f"org/m{i}", Quant.NONE) for i in range(80)]
    progress = sweep(
        *(run("tides", RunStatus.RUNNING if i == 70 else RunStatus.DONE, 20, lane=lanes[i]) for i in range(80))
    )
    text = drawn(progress, 100, height=20)
    assert "m70" in text
    assert "and 66 more" in text
    assert len(text.splitlines()) <= 20


def test_the_totals_name_what_failed() -> None:
    assert totals(MIXED, Speed()) == ("1/4 Runs, 60/160 questions · 58.3% (45.7 to 69.9) right so far · 1 failed")


def test_a_reason_never_reaches_the_terminal_raw() -> None:
    assert "\x1b" not in wording.outcome(MIXED)
    assert "failed: Model-1B, clocks: out of" in wording.outcome(MIXED)


def test_two_models_that_end_alike_are_two_rows_wherever_they_are_named() -> None:
    one, two = (Lane(Device.CPU, f"/w/run{n}/checkpoint-500@{n}{n}", Quant.NONE) for n in (1, 2))
    twins = sweep(
        run("tides", RunStatus.DONE, 40, 11, lane=one),
        run("birds", RunStatus.DONE, 40, 11, lane=one),
        run("tides", RunStatus.DONE, 40, 6, lane=two),
        run("birds", RunStatus.FAILED, 0, lane=two),
    )
    said = [line.split() for line in wording.outcome(twins).splitlines()]
    assert [said[0][:2], said[0][5:8]] == [["run1/checkpoint-500", "27.5%"], ["22", "of", "80"]]
    assert [said[1][:2], said[1][5:8]] == [["run2/checkpoint-500", "15.0%"], ["6", "of", "40"]]
    assert said[2][:3] == ["failed:", "run2/checkpoint-500,", "birds:"]
    text = drawn(twins, 120)
    assert "27.5%" in text
    assert "15.0%" in text
    labels = [each["label"] for each in wording.as_json(twins)["runs"]]
    assert labels == ["run1/checkpoint-500"] * 2 + ["run2/checkpoint-500"] * 2


def test_labels_too_long_for_the_grid_still_differ() -> None:
    lanes = [Lane(Device.CPU, f"org/{'a' * 30}{n}{'b' * 30}@r", Quant.NONE) for n in (1, 2)]
    text = drawn(sweep(*(run("tides", RunStatus.DONE, 40, 11, lane=lane) for lane in lanes)), 130)
    assert all(f"a{n}b" in text for n in (1, 2))


def test_an_answer_shows_what_was_picked_and_the_key() -> None:
    shown = ShownAnswer(1, LANE, "tides", 3, "What\x07 pulls?", ("Sun", "Moon"), key=1, picked=0, correct=False)
    text = wording.answer(shown, "Model-1B")
    assert text.splitlines()[0] == "[Model-1B] tides:3: wrong"
    assert "A. Sun ← picked" in text
    assert "B. Moon (key)" in text
    assert "\x07" not in text


def test_a_tie_is_said_to_be_one() -> None:
    shown = ShownAnswer(1, LANE, "tides", 3, "?", ("a", "b"), key=1, picked=None, correct=False)
    assert "no single best option" in wording.answer(shown, "Model-1B")


def test_json_tells_what_the_table_tells() -> None:
    told = wording.as_json(MIXED)
    assert told["counts"] == {"pending": 1, "running": 1, "done": 1, "failed": 1, "cancelled": 0}
    assert [each["accuracy"] for each in told["runs"]] == [0.75, 0.25, None, None]


def test_what_belongs_beside_an_accuracy_stands_there() -> None:
    noise = Noise(questions=10, flips=1, largest=0.125, mean=0.01, pack_tokens=1024, wall_s=1.0)
    by_text = replace(run("tides", RunStatus.DONE, 40, 10), scoring=Scoring.TEXT, correct_norm=14, tied=2, noise=noise)
    other = replace(run("birds", RunStatus.DONE, 40, 10), scoring=Scoring.TEXT, correct_norm=10, tied=1, noise=noise)
    words = "30.0% (21.1 to 40.8) right per character, 3 tied, noise: 2 of 20 picks, 0.12 nats at most"
    assert aside([by_text, other]) == words
    assert f"({words})" in wording.outcome(sweep(by_text, other))
    assert f"Model-1B: {words}" in drawn(sweep(by_text, other), 120)
    told = wording.as_json(sweep(by_text))["runs"][0]
    assert (told["scoring"], told["accuracy_norm"], told["tied"]) == ("text", 0.35, 2)
    assert [round(end, 3) for end in told["accuracy_norm_interval"]] == [0.221, 0.505]  # Wilson, 14 of 40
    assert told["noise"]["flips"] == 1


def test_shots_that_were_dropped_stand_beside_an_accuracy() -> None:
    short = replace(run("tides", RunStatus.DONE, 40, 10), shots=ShotsShown(3, 5, 12))
    whole = replace(run("birds", RunStatus.DONE, 40, 10), shots=ShotsShown(5, 5, 0))
    words = "3 to 5 shots, fewer than asked for on 12 of 80 questions"
    assert aside([short, whole]) == words
    assert aside([whole]) == ""
    assert f"({words})" in wording.outcome(sweep(short, whole))
    assert wording.as_json(sweep(short))["runs"][0]["shots"] == {"fewest": 3, "most": 5, "short": 12}
    none_left = replace(short, shots=ShotsShown(2, 2, 40))
    assert aside([none_left]) == "2 shots, fewer than asked for on 40 of 40 questions"


def test_nothing_stands_beside_an_accuracy_of_which_there_is_nothing_to_say() -> None:
    assert aside([run("tides", RunStatus.DONE, 40, 10), run("kings", RunStatus.PENDING, 0)]) == ""
    assert aside([replace(run("kings", RunStatus.PENDING, 0), scoring=Scoring.TEXT)]) == ""


def test_a_terminal_too_low_for_words_beside_every_lane_shows_fewer_lanes() -> None:
    lanes = [Lane(Device.CPU, f"org/m{i}", Quant.NONE) for i in range(80)]
    tied = sweep(*(replace(run("tides", RunStatus.DONE, 40, 10, lane=lane), tied=1) for lane in lanes))
    assert len(drawn(tied, 100, height=20).splitlines()) <= 20


def test_the_last_lines_of_a_sweep_have_an_interval_beside_each_accuracy() -> None:
    """29 of 120 is 24.2 %, and Wilson's 95 % interval by hand is 17.4 to 32.6 %."""
    done = (run(name, RunStatus.DONE, 40, right) for name, right in (("a", 9), ("b", 10), ("c", 10)))
    assert "24.2% (17.4 to 32.6)      29 of 120  3/3 Runs done" in wording.outcome(sweep(*done))
    assert "–" in wording.outcome(sweep(run("a", RunStatus.PENDING, 0)))


def test_a_cancelled_sweep_says_so_and_how_to_undo_it() -> None:
    some = sweep(run("a", RunStatus.DONE, 40), run("b", RunStatus.CANCELLED, 3))
    assert wording.cancelled(some) == (
        "Cancelled: 1 Run of 2 did not end; what was answered stays. `proctor retry 7` undoes it."
    )
    assert wording.cancelled(sweep(run("a", RunStatus.DONE, 40))) == ""


def test_of_pages_nothing_is_right_or_wrong() -> None:
    pages = replace(run("wikitext", RunStatus.DONE, 40, 1), scoring=Scoring.PAGES)
    assert cell(pages, wide=True).plain == overall([pages]) == "–"
    assert aside([pages]) == "the report has the perplexity"


def test_programs_that_were_not_run_are_told_with_the_next_step_and_have_no_accuracy() -> None:
    waiting = replace(run("code", RunStatus.DONE, 40), tied=40, programs=True, scoring=Scoring.WRITTEN)
    assert waiting.not_run == 40
    assert aside([waiting]) == "40 programs not run yet: proctor mark --run-code"
    assert share_right([waiting]) == NONE
    assert wording.as_json(sweep(waiting))["runs"][0]["programs_not_run"] == 40
    ran = replace(waiting, tied=3, correct=20)
    assert (ran.not_run, aside([ran])) == (0, "3 without an answer")
    assert share_right([ran]).startswith("50.0%")


def test_right_per_character_is_told_where_a_task_has_it_alone() -> None:
    both = replace(run("colours", RunStatus.DONE, 40, 20), scoring=Scoring.TEXT, correct_norm=10)
    assert "right per character" in aside([both])
    plain = replace(both, per_character=False)
    assert aside([plain]) == ""
    assert wording.as_json(sweep(plain))["runs"][0]["accuracy_norm"] is None


def test_a_pack_that_is_being_written_shows_how_far_it_is() -> None:
    writing = replace(run("sums", RunStatus.RUNNING, 64), being_written=(12, 64), scoring=Scoring.WRITTEN)
    assert aside([writing, run("law", RunStatus.RUNNING, 8)]) == "12 of 64 being written"
    assert " · 12 of 64 being written" in totals(sweep(writing), Speed())
    assert wording.as_json(sweep(writing))["runs"][0]["being_written"] == [12, 64]
    assert "being_written" not in wording.as_json(sweep(run("law", RunStatus.RUNNING, 8)))["runs"][0]


def test_of_several_benchmarks_it_is_said_whose_perplexity_the_report_has() -> None:
    pages = replace(run("wikitext", RunStatus.DONE, 12), scoring=Scoring.PAGES, benchmark="wikitext")
    assert aside([pages]) == "the report has the perplexity"
    assert aside([pages, run("tides", RunStatus.DONE, 40, 30)]) == "the report has the perplexity of wikitext"


def test_a_run_that_ended_is_told_by_what_its_answers_can_be() -> None:
    done = run("astronomy", RunStatus.DONE, 4, 3)
    assert outcome(done).startswith("3 of 4 right, 75.0%")
    assert outcome(replace(done, scoring=Scoring.PAGES)) == "4 pages"
    assert outcome(run("astronomy", RunStatus.FAILED, 0)) == "no answers"
    without_key = replace(done, correct=0, tied=4, scoring=Scoring.OPEN, unjudged=True)
    assert outcome(without_key) == "4 answers, unjudged yet"
    assert aside([without_key]) == ""
    assert outcome(replace(without_key, scoring=Scoring.JUDGED, unjudged=False)) == "4 answers, none judged"
