"""What is said of a sweep that was steered: of one Run, of several, and of none."""

from __future__ import annotations

from scheduler.steering_words import cancelled, paused, resumed, retried


def test_a_sweep_that_is_over_is_not_said_to_have_been_stopped_or_to_run_again() -> None:
    assert cancelled(3, "night", 0) == "Of sweep 3 (night) nothing was left to run, and nothing is changed."
    assert retried(3, "night", 0) == "Nothing of sweep 3 (night) failed or was cancelled."


def test_what_a_command_undoes_is_said_where_there_is_something_to_undo() -> None:
    assert cancelled(3, "night", 1) == "Cancelled sweep 3 (night): 1 Run left out. `proctor retry 3` undoes it."
    assert retried(3, "night", 2) == "2 Runs of sweep 3 (night) waiting to run again."


def test_what_waits_and_what_is_at_work_are_told_apart() -> None:
    assert paused(3, "night", 2, 1) == (
        "Paused sweep 3 (night): 2 Runs waiting. 1 at work stop after the questions at hand. `proctor resume 3`."
    )
    assert resumed(3, "night", 1, 0, was_paused=True) == "Sweep 3 (night) goes on: 1 Run waiting, 0 at work."
    assert "was not paused" in resumed(3, "night", 1, 0, was_paused=False)
