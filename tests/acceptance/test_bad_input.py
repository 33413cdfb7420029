"""Bad input of every kind: the message says cause, value and next step, the exit code is 2, and nothing is started."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import tiny
from tests.acceptance.conftest import Said, Shell


def refused(said: Said, *parts: str) -> None:
    """The command ended with exit code 2, said all `parts` on standard error, nothing raw and no traceback."""
    assert said.code == 2, said.err
    assert [part for part in parts if part not in said.err] == []
    assert "Traceback" not in said.err
    assert "\x1b[2J" not in said.err
    assert said.out == ""


def test_no_model(shell: Shell) -> None:
    refused(shell.submit("--benchmark", "demo"), "No model is named", "-m smollm2")


def test_a_demo_models_name_misspelt(shell: Shell) -> None:
    refused(shell.submit("-m", "smolm2", "--benchmark", "demo"), "'smolm2'", "Did you mean smollm2?")


def test_a_model_folder_that_is_not_there(shell: Shell, tmp_path: Path) -> None:
    refused(shell.submit("-m", str(tmp_path / "nix"), "--benchmark", "demo"), "there is nothing at this path")


def test_a_folder_that_holds_no_model(shell: Shell, tmp_path: Path) -> None:
    refused(shell.submit("-m", str(tmp_path), "--benchmark", "demo"), "there is no config.json")


def test_a_gguf_file_that_is_empty(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").touch()
    refused(shell.submit("-m", str(tmp_path / "m.gguf"), "--benchmark", "demo"), "the file is empty")


def test_a_gguf_file_that_is_something_else(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"%PDF-1.7 " * 100)
    refused(shell.submit("-m", str(tmp_path / "m.gguf"), "--benchmark", "demo"), "it is no GGUF file")


def test_a_hub_model_without_a_network(shell: Shell) -> None:
    refused(shell.submit("-m", "org/never-seen@main", "--benchmark", "demo"), "org/never-seen")


def test_a_model_name_with_control_characters(shell: Shell) -> None:
    refused(shell.submit("-m", "evil\x1b[2Jname", "--benchmark", "demo"), "Unknown model")


def test_an_unknown_subject_offers_the_nearest(shell: Shell) -> None:
    said = shell.submit("-m", "smollm2", "--benchmark", "demo", "-s", "arithmetics")
    refused(said, "Unknown subject 'arithmetics'", "Did you mean arithmetic?")


def test_an_unknown_benchmark(shell: Shell) -> None:
    refused(shell.submit("-m", "smollm2", "--benchmark", "mmul"), "'mmul'", "mmlu")


def test_mmlu_without_a_network_says_to_give_a_folder(shell: Shell) -> None:
    refused(shell.submit("-m", "smollm2", "-s", "astronomy"), "cais/mmlu", "folder")


def test_a_benchmark_file_that_is_empty(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "q.csv").touch()
    refused(shell.submit("-m", "smollm2", "--benchmark", str(tmp_path / "q.csv")), "q.csv", "empty")


def test_a_benchmark_row_that_is_wrong_is_named(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"question": "Up?", "choices": ["yes", "no"], "answer": 7, "subject": "ways"}\n')
    refused(shell.submit("-m", "smollm2", "--benchmark", str(path), "--shots", "0"), "q.jsonl", "7")


def test_an_option_without_text_where_its_text_is_to_be_scored(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "ways.jsonl"
    path.write_text('{"question": "Up?", "choices": ["yes", ""], "answer": 0}\n')
    words = ("-m", "smollm2", "--benchmark", str(path), "--shots", "0", "--scoring", "text", "--chat-template")
    refused(shell.submit(*words), "question 0 of ways, option B", "--scoring letters")


def test_more_shots_than_there_are_examples(shell: Shell) -> None:
    refused(shell.submit("-m", "smollm2", "--benchmark", "demo", "--shots", "9"), "--shots 9", "Use --shots 5")


def test_a_chat_template_that_the_model_does_not_have(shell: Shell, tmp_path: Path) -> None:
    folder = tiny.make(tmp_path / "plain")
    (folder / "chat_template.jinja").unlink()
    said = shell.submit("-m", str(folder), "--benchmark", "demo", "--chat-template")
    refused(said, str(folder), "its tokenizer has no chat template", "Leave --chat-template out")


def test_a_gpu_where_there_is_none(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    refused(
        shell.submit("-m", "smollm2", "--benchmark", "demo", "--device", "cuda"), "no GPU was found", "--device cpu"
    )


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("-q", "3bit"), "3bit"),
        (("--shots", "-1"), "-1"),
        (("--limit", "0"), "0"),
        (("--device", "tpu"), "tpu"),
        (("--dtype", "int4"), "int4"),
        (("--priority", "99"), "99"),
        (("--nonsense",), "--nonsense"),
    ],
)
def test_an_option_with_a_value_that_cannot_be_meant(shell: Shell, words: tuple[str, ...], part: str) -> None:
    refused(shell.submit("-m", "smollm2", "--benchmark", "demo", *words), part)


def test_all_faults_of_a_request_come_at_once(shell: Shell, tmp_path: Path) -> None:
    said = shell.submit("-m", "smolm2", "-m", str(tmp_path / "nix"), "--benchmark", "demo", "--shots", "9")
    refused(said, "'smolm2'", "there is nothing at this path", "--shots 9")
    assert said.err.count("Error:") == 3


def test_a_sweep_file_with_an_unknown_name(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("modle: smollm2\n")
    refused(shell.submit(str(tmp_path / "s.yaml")), "'modle'", "Did you mean model?")


def test_a_sweep_file_that_is_not_there(shell: Shell) -> None:
    refused(shell.submit("nix.yaml"), "nix.yaml")


def test_sqlite_with_a_broker_on_another_host_is_refused(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCTOR_BROKER_URL", "redis://:secret@queue.example:6379/0")
    said = shell.submit("-m", "smollm2", "--benchmark", "demo")
    refused(said, "queue.example:6379", "PROCTOR_DATABASE_URL")
    assert "secret" not in said.err


def test_auto_in_a_fleet_without_a_worker_asks_for_the_device(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCTOR_BROKER_URL", "redis://127.0.0.1:1/0")
    said = shell.submit("-m", "smollm2", "--benchmark", "demo")
    refused(said, "--device auto: no worker of the fleet is alive", "--device cuda or --device cpu", "proctor worker")


def test_memory_for_workers_that_cannot_be_meant(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = ("-m", "smollm2", "--benchmark", "demo", "--device", "cpu")
    refused(shell.submit(*demo, "--max-memory", "much"), "--max-memory 'much' is no size", "8GB")
    refused(shell.submit(*demo, "--max-memory", "1MB"), "smollm2", "by --max-memory has 0.0 GB")
    refused(shell.submit(*demo, "--group", "2"), "--group 2 is for GPUs")
    monkeypatch.setenv("PROCTOR_BROKER_URL", "redis://127.0.0.1:1/0")
    refused(shell.submit(*demo, "--max-memory", "8GB"), "PROCTOR_BROKER_URL it starts none", "proctor worker")


def test_an_unknown_sweep_offers_the_nearest(shell: Shell) -> None:
    refused(shell("status", "nightly"), "nightly")
    refused(shell("cancel", "7"), "'7'")
    refused(shell("retry", "7"), "'7'")


def test_a_database_that_is_something_else_says_so(shell: Shell) -> None:
    shell.home.mkdir()
    (shell.home / "proctor.db").write_bytes(b"no database at all, but long enough to have a header" * 40)
    said = shell("status")
    assert said.code == 1
    assert "proctor.db" in said.err
    assert "Traceback" not in said.err


def test_a_home_that_cannot_be_written_says_so(shell: Shell) -> None:
    shell.home.write_text("a file where the folder should be")
    said = shell("status")
    assert said.code == 1
    assert "PROCTOR_HOME" in said.err


def test_an_unknown_command(shell: Shell) -> None:
    refused(shell("repotr"), "repotr")


def test_a_gpu_that_torch_cannot_use_is_refused_before_anything_starts_and_auto_takes_the_cpu(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho '0, GPU-0123, NVIDIA of a test, 23034, 8.9'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setenv("PROCTOR_CACHE", str(tmp_path / "cache"))
    words = ("-m", str(tiny.make(tmp_path / "model")), "--benchmark", "demo", "-s", "arithmetic", "--limit", "2")
    refused(shell.submit(*words, "--device", "cuda"), "--device cuda: NVIDIA of a test: ", "use --device cpu")
    planned = shell.submit(*words, "--plan")
    assert planned.code == 0
    assert "1 Run on cpu" in planned.out
    assert "The CPU does it: NVIDIA of a test: " in planned.out
