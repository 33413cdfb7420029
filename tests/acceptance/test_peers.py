"""Real servers: vLLM started by a sweep of ours, and llama.cpp's, which leaves `echo` out without a word."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from proctor.catalog.demo import demo_model, fetch
from proctor.catalog.endpoint import VLLM_HOME, Endpoint, client, listed, ref_of
from proctor.nouns.conversations import Sampling
from proctor.nouns.models import Device, DType, Quant
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.runs import exams
from tests import tiny
from tests.acceptance.conftest import Shell
from tests.chaos.scene import recorded_scores, runs_of
from tests.support import ROOT, wait_until
from workers.engines.base import LoadRequest, Skill
from workers.engines.endpoint.device import EndpointDevice
from workers.engines.endpoint.engine import load_engine
from workers.engines.endpoint.vllm import ARGUMENTS, free_port
from workers.engines.generation import GenerationRequest
from workers.models.loading import engine_loader
from workers.run.paper import write_paper

PEERS = Path(os.environ.get("PROCTOR_PEERS", ROOT / ".peers"))
LIMIT = 4
# Its one argument of a model, its second of a port.
LLAMA_CPP = """
import sys, time, xllamacpp
parameters = xllamacpp.CommonParams()
parameters.model.path, parameters.port, parameters.hostnames = sys.argv[1], int(sys.argv[2]), ["127.0.0.1"]
parameters.n_ctx, parameters.n_parallel = 2048, 2
server = xllamacpp.Server(parameters)
time.sleep(3600)
"""
pytestmark = [pytest.mark.peers, pytest.mark.model]


def environment(name: str) -> Path:
    """The folder of a peer's environment; the test is skipped by its name where there is none."""
    folder = PEERS / name
    if not (folder / "bin" / "python").is_file():
        pytest.skip(f"{name} isn't in .peers (`make peers`)")
    return folder


def test_a_sweep_starts_vllm_has_its_numbers_and_ends_it(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VLLM_HOME, str(environment("vllm")))
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    monkeypatch.setenv(ARGUMENTS, "--enforce-eager --max-model-len 2048")
    asked = ["-m", "smollm2", "--engine", "vllm", "--dtype", "float32", "-b", "demo", "-s", "arithmetic"]
    done = shell.submit(*asked, "--limit", str(LIMIT))
    assert done.code == 0, done.err
    settings = Settings.read(os.environ)
    with open_store(settings) as store:
        (record,) = runs_of(store, 1)
        spec, made = record.spec, record.provenance
        assert (record.answered, record.spec.device) == (LIMIT, Device.NET)
        exam = exams.load_exam(store, spec.benchmark, spec.subject, spec.exam_hash)
        got = {question: scores for (_, question), scores in recorded_scores(store, 1).items()}
    assert made is not None
    assert made.products == "vllm"
    assert made.versions["server"].startswith("vllm ")
    assert any("prompts are sent as token ids" in note for note in made.notes)
    ours = engine_loader(tiny.CPU, settings.cache)(LoadRequest(spec.model, Quant.NONE, DType.FLOAT32))
    paper = write_paper(exam, spec.conditions, ours)
    prepared = ours.prepare(paper.prompts)
    for pack in paper.packs(prepared):
        for member, wanted in zip(pack.members, ours.answer(prepared, pack).options_logprob, strict=True):
            assert got[prepared.prompts[member].question.id] == pytest.approx(wanted, abs=1e-3)


@pytest.fixture
def llama_cpp() -> Iterator[str]:
    """The address of llama.cpp's server."""
    port = free_port()
    python = environment("llama.cpp") / "bin" / "python"
    model = demo_model("smollm2")
    assert model is not None
    gguf = fetch(model, Settings.read(os.environ).cache)
    words = [str(python), "-c", LLAMA_CPP, str(gguf), str(port)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/v1"

    def listens() -> bool:
        assert server.poll() is None, "llama.cpp's server ended"
        try:
            with client(url) as http:
                return bool(listed(http, url))
        except Exception:  # noqa: BLE001 -- not yet
            return False

    wait_until(listens, "llama.cpp's server listened")
    yield url
    server.kill()
    server.wait()


def test_llama_cpp_is_found_out_and_asked_for_generation_alone(llama_cpp: str) -> None:
    with client(llama_cpp) as http:
        (name,) = listed(http, llama_cpp)
    request = LoadRequest(ref_of(name), Quant.NONE, DType.AUTO)
    engine = load_engine(request, lambda: pytest.fail("no files"), EndpointDevice(Endpoint(llama_cpp)))
    assert engine.skills == {Skill.STREAM}
    assert engine.provenance.versions["server"].startswith("llama.cpp ")
    assert "leaves the prompt out" in engine.dialect.why_not
    generator, prompt = engine.stream(), tuple(engine.tokenizer.ids("The capital of France is"))
    generator.add(GenerationRequest("one", prompt, Sampling(temperature=0, max_tokens=4), 4))
    heard: list[int] = []
    while generator.live:
        heard += [token for one in generator.step() for token in one.tokens]
    engine.close()
    assert "Paris" in engine.tokenizer.decode(heard)
