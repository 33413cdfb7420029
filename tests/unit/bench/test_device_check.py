"""The check of a device: what runs it, and its checks, rehearsed on a CPU or done on a GPU."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.device_check import of_device, of_memory, of_replies, results
from bench.device_check.asked import Off, prepared, prompts
from bench.device_check.check import TIME_IS_OVER, Check, chosen, run_all, tried
from bench.device_check.everything import CHECKS
from bench.device_check.of_scores import TOLERANCES
from bench.device_check.results import Began, Found, Result, Verdict
from bench.device_check.shapes import VOCABULARY
from bench.device_check.supervise import Limits, Order, Stopped, Work, supervise
from bench.device_check.workshop import ON_CPU, Need, TooSmall, Workshop, opened
from proctor.exams.packs import compose
from proctor.nouns.conversations import Sampling
from proctor.nouns.exams import Pack
from proctor.nouns.models import Device, DType
from tests import tiny
from tests.support import ROOT, wait_until
from tests.unit.bench import checks_of_device
from tests.unit.workers.engines.hf.scoring.test_varlen import by_the_book, lines_joined, to_base_2, unscaled
from workers.engines.hf.generation.sampling import Chosen, choose
from workers.engines.hf.scoring import varlen
from workers.engines.hf.scoring.choose import scorer_for
from workers.engines.scoring import PackScores, Prepared, Scorer
from workers.run.splitting import size_of

FAR = 1e12
# What the whole of Proctor takes part in has a test of its own in tests/acceptance.
REHEARSED = [one for one in CHECKS if not {Need.PROJECT, Need.CUDA, Need.KERNEL, Need.TWO_GPUS} & {*one.needs}]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    folder = tmp_path_factory.mktemp("device-check")
    return Workshop(tiny.CPU, ON_CPU, folder / "cache", folder)


@pytest.fixture(scope="module")
def gpu(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    folder = tmp_path_factory.mktemp("device-check")
    return opened(Device.GPU, Path(os.environ.get("PROCTOR_CACHE") or ROOT / ".cache"), folder)


@pytest.mark.parametrize("check", REHEARSED, ids=lambda check: check.name)
def test_a_check_is_passed_on_a_cpu(shop: Workshop, check: Check) -> None:
    found = check.run(shop)
    assert found.good in (True, None), found.said
    assert found.said


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_check_is_passed_on_a_gpu(gpu: Workshop, check: Check) -> None:
    result, sick = tried(check, gpu)
    if result.verdict is Verdict.NOT_TRIED:
        pytest.skip(result.found)
    assert (result.verdict is not Verdict.FAILED, sick) == (True, False), result.found


# ------------------------------------------------------------------------------------------ what is wrong is found


@pytest.mark.parametrize("kernel", [to_base_2, unscaled, lines_joined])
def test_scores_through_a_wrong_kernel_fail_their_check(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, kernel: Callable[..., object]
) -> None:
    monkeypatch.setattr(varlen, "serves", lambda query, _: query.dtype != torch.float32)
    monkeypatch.setattr(varlen, "varlen_attn", kernel)
    assert named("scores-llama-bfloat16").run(shop).good is False


def test_scores_through_a_right_kernel_pass_their_check(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(varlen, "serves", lambda query, _: query.dtype != torch.float32)
    monkeypatch.setattr(varlen, "varlen_attn", by_the_book)
    found = named("scores-llama-bfloat16").run(shop)
    assert found.good, found.said


@pytest.mark.parametrize(("kernel", "good"), [(by_the_book, True), (to_base_2, False), (lines_joined, False)])
def test_the_kernels_check_tells_a_right_one_from_a_wrong_one(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, kernel: Callable[..., object], good: bool
) -> None:
    monkeypatch.setattr(varlen, "varlen_attn", kernel)
    monkeypatch.setattr(of_device, "_HEADS", ((6, 2, 64),))
    found = named("kernel-bfloat16").run(shop)
    assert (found.good, found.figures["cases"]) == (good, 15), found.said


def test_a_difference_that_is_no_number_is_within_no_tolerance() -> None:
    for tolerance in TOLERANCES.values():
        assert tolerance.holds(Off(0.0, 0.0), Off(0.0, 0.0))
        assert not tolerance.holds(Off(math.nan, 0.0), Off(0.0, 0.0))
        assert not tolerance.holds(Off(0.0, 0.0), Off(math.nan, math.nan))
        assert not tolerance.holds(Off(math.inf, math.inf), Off(math.inf, math.inf))


def test_draws_that_depend_on_the_moment_fail_their_check(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(range(10_000))

    def at_this_moment(logits: torch.Tensor, options: Sampling, before: tuple[int, ...], place: int) -> Chosen:
        return choose(logits, replace(options, seed=next(moments)), before, place)

    monkeypatch.setattr(of_replies, "choose", at_this_moment)
    assert named("draws").run(shop).good is False


class TightScorer:
    """A real scorer on a device that has memory for so many tokens at once."""

    def __init__(self, scorer: Scorer, tokens: int) -> None:
        self.scorer, self.tokens, self.name = scorer, tokens, scorer.name

    def prepare(self, asked: object) -> Prepared:
        raise NotImplementedError

    def score(self, ready: Prepared, pack: Pack) -> PackScores:
        with tiny.CPU.reporting_shortage("tiny"):
            if size_of(ready, pack) > self.tokens:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return self.scorer.score(ready, pack)


def test_a_pack_that_was_cut_has_the_numbers_of_its_parts(shop: Workshop) -> None:
    engine = shop.load(shop.checkpoint("llama", DType.FLOAT32), DType.FLOAT32)
    scorer, _ = scorer_for(engine.model, engine.tokenizer, shop.device)
    ready = prepared(engine.model, scorer, prompts(VOCABULARY, 8, 40, (20, 30), text=False))
    pack = compose(ready.lengths, 4096, padded=ready.padded)[0]
    cut = of_memory.through(TightScorer(scorer, 100), ready, pack)
    assert cut.told[-1] <= 100
    assert of_memory.through(scorer, ready, pack, cut.told[-1]) == replace(cut, told=())


# ------------------------------------------------------------------------------------------------- one by one


def test_a_check_that_raises_is_a_failure_of_its_own(shop: Workshop) -> None:
    told: list[Began | Result] = []
    checks = [Check("bad", "nothing", raises), Check("good", "something", lambda _: Found("it", good=True))]
    assert run_all(checks, shop, FAR, told.append)
    verdicts = {one.check: one.verdict for one in told if isinstance(one, Result)}
    assert verdicts == {"bad": Verdict.FAILED, "good": Verdict.OK}
    assert next(one.found for one in told if isinstance(one, Result)).startswith("ValueError: 3 is no 4 (test_device")
    assert [one.check for one in told if isinstance(one, Began)] == ["bad", "good"]


def raises(_shop: Workshop) -> Found:
    raise ValueError("3 is no 4")


def test_when_the_time_is_over_no_check_begins_and_those_left_are_told(shop: Workshop) -> None:
    told: list[Began | Result] = []

    def slow(_shop: Workshop) -> Found:
        time.sleep(0.2)
        return Found("in the end", good=True)

    checks = [Check("slow", "retry", slow), Check("late", "time", raises), Check("later", "time", raises)]
    assert run_all(checks, shop, time.monotonic() + 0.1, told.append)
    last = [(one.check, one.verdict, one.found) for one in told if isinstance(one, Result)]
    assert last == [
        ("slow", Verdict.OK, "in the end"),
        ("late", Verdict.NOT_TRIED, TIME_IS_OVER),
        ("later", Verdict.NOT_TRIED, TIME_IS_OVER),
    ]


def test_what_needs_cuda_is_not_tried_without_it(shop: Workshop) -> None:
    told = [tried(check, shop)[0] for check in CHECKS if {Need.CUDA, Need.KERNEL, Need.TWO_GPUS} & {*check.needs}]
    assert {one.verdict for one in told} == {Verdict.NOT_TRIED}
    found = {one.check: one.found for one in told}
    assert (found["memory-cut"], found["group"]) == ("needs CUDA", "needs two GPUs")


def test_a_model_too_large_for_the_device_is_not_tried(shop: Workshop) -> None:
    small = Workshop(replace(tiny.CPU, limit_bytes=1), shop.sizes, shop.cache, shop.scratch)
    result, _ = tried(named("score-7b-letters-2048"), small)
    assert result.verdict is Verdict.NOT_TRIED
    assert "0.0 are free" in result.found
    with pytest.raises(TooSmall):
        small.real("1b")


def test_a_device_that_cannot_go_on_ends_the_process_of_checks(shop: Workshop) -> None:
    class Broken(Workshop):
        def sync(self) -> None:
            raise torch.AcceleratorError("CUDA error: device-side assert triggered")

    told: list[Began | Result] = []
    broken = Broken(shop.device, shop.sizes, shop.cache, shop.scratch)
    assert not run_all([Check("asserts", "ruin", raises), Check("next", "time", raises)], broken, FAR, told.append)
    assert [one.check for one in told if isinstance(one, Result)] == ["asserts"]


def test_checks_have_names_of_their_own_and_are_chosen_by_patterns() -> None:
    names = [one.name for one in CHECKS]
    assert len(names) == len({*names})
    assert [one.name for one in chosen(CHECKS, ["probe", "scores-llama-*"])] == [
        "probe", "scores-llama-float32", "scores-llama-bfloat16", "scores-llama-float16",
    ]  # fmt: skip
    assert chosen(CHECKS, []) == [*CHECKS]
    assert chosen(CHECKS, ["nothing"]) == []


def named(name: str) -> Check:
    (found,) = chosen(CHECKS, [name])
    return found


# ------------------------------------------------------------------------------------------- several processes


def supervised(work: Work, ends_at: float = FAR, **limits: float) -> list[Result]:
    told: list[Result] = []
    supervise(work, Order("cpu", (), "", "", ends_at), told.append, Limits(**limits))
    return told


def test_a_process_that_ends_well_is_the_only_one() -> None:
    told = supervised(checks_of_device.good)
    assert [one.check for one in told] == [*checks_of_device.NAMES]
    assert len({one.found for one in told}) == 1


def test_a_killed_process_costs_the_check_that_was_under_way() -> None:
    told = supervised(checks_of_device.killed_in_the_second)
    assert [(one.check, one.verdict) for one in told] == [
        ("first", Verdict.OK),
        ("second", Verdict.FAILED),
        ("third", Verdict.OK),
    ]
    assert told[1].found == "its process ended with SIGKILL"


def test_a_check_that_hangs_is_ended_and_the_next_one_tried() -> None:
    told = supervised(checks_of_device.hangs_in_the_second, hang_s=0.5)
    assert [(one.check, one.verdict) for one in told] == [
        ("first", Verdict.OK),
        ("second", Verdict.FAILED),
        ("third", Verdict.OK),
    ]
    assert told[1].found == "no end within 0 s"


def test_a_check_under_way_long_after_the_time_is_cut_off() -> None:
    told = supervised(checks_of_device.hangs_in_the_second, time.monotonic(), grace_s=0.5)
    assert [(one.check, one.verdict) for one in told] == [
        ("first", Verdict.OK),
        ("second", Verdict.NOT_TRIED),
        ("third", Verdict.OK),
    ]


def test_checks_go_on_in_another_process_where_the_device_is_broken() -> None:
    told = supervised(checks_of_device.broken_after_each)
    assert [one.check for one in told] == [*checks_of_device.NAMES]
    assert len({one.found for one in told}) == 3


def test_checks_that_cannot_begin_are_told_instead_of_tried_for_ever() -> None:
    with pytest.raises(Stopped, match="exit code 2"):
        supervised(checks_of_device.never_begins)


# ------------------------------------------------------------------------------------------------- the command


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "bench.device_check", *words]


def test_the_command_prints_a_table_and_leaves_a_results_file(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    words = ("--device", "cpu", "--json", str(file), "--only", "probe", "kernel-bfloat16")
    done = subprocess.run(command(*words), capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    told = json.loads(file.read_text("utf-8"))
    assert (told["complete"], [(one["check"], one["verdict"]) for one in told["results"]]) == (
        True, [("probe", "ok"), ("kernel-bfloat16", "not tried")],
    )  # fmt: skip
    assert "1 ok, 0 FAILED, 0 figure, 1 not tried; not tried: kernel-bfloat16" in done.stdout
    assert max(map(len, done.stdout.replace(str(file), "").splitlines())) <= 80


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_without_the_device_that_is_asked_for_the_command_ends_with_2(tmp_path: Path) -> None:
    done = subprocess.run(command("--json", str(tmp_path / "f")), capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Error: This worker is to own a GPU and torch sees none." in done.stderr
    done = subprocess.run(
        command("--device", "cpu", "--only", "nothing"), capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (2, "Error: no check is named nothing.\n")


def test_a_killed_run_loses_no_result_that_was_told(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    words = command("--device", "cpu", "--json", str(file), "--only", "probe", "scores-*")
    run = subprocess.Popen(words, stdout=subprocess.DEVNULL, cwd=ROOT, start_new_session=True)
    try:
        wait_until(file.exists, "the first check has its result")
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    told = json.loads(file.read_text("utf-8"))
    assert (told["complete"], told["results"][0]["check"], told["results"][0]["verdict"]) == (False, "probe", "ok")


def test_checks_need_little_more_than_torch() -> None:
    """A bare machine: what has no part in the engine may be missing."""
    absent = ("celery", "click", "datasets", "pandas", "platformdirs", "redis", "rich", "sqlalchemy", "sqlmodel")
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({absent}))\n"
        "from bench.device_check.everything import CHECKS; print(len(CHECKS))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout.strip()) == (0, str(len(CHECKS))), done.stderr


def test_a_line_of_the_table_keeps_its_width_and_its_words() -> None:
    result = Result("scores-llama-float32", "off by at most " + "a little " * 20, "word " * 30, Verdict.OK, 1.25)
    lines = results.lines(result, 80)
    assert lines[0].split() == ["ok", "scores-llama-float32", "1.2", "s"]
    assert max(map(len, lines)) <= 80
    assert " ".join(" ".join(lines[1:]).split()) == f"expected {result.expected.strip()} found {result.found.strip()}"
