"""vLLM as a process of the worker's: how it is started, waited for and ended. A stand-in serves in its place."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from proctor.catalog.endpoint import KEY, EndpointAway, Vllm, ref_of
from proctor.errors import BadInput, NotHere
from proctor.nouns.models import DType, ModelRef, ModelSource, Quant
from tests.support import wait_until
from workers.engines.base import LoadRequest
from workers.engines.endpoint import vllm
from workers.engines.endpoint.vllm import VllmDevice, load_engine

REF = ModelRef("org/model", ModelSource.HUB, "abc")
REQUEST = LoadRequest(REF, Quant.NONE, DType.FLOAT32)
# It serves what `tests.faulty_endpoint` does, on vLLM's command line, with a child of its own, as vLLM has one.
STAND_IN = """
import os, subprocess, sys
folder = {folder!r}
open(folder + "/started", "a").write(str(sys.argv) + chr(10))
if os.environ.get("STAND_IN_FAILS"):
    sys.exit(3)
sys.path.insert(0, {root!r})
from tests import faulty_endpoint
faulty_endpoint.MODEL = sys.argv[sys.argv.index("--served-model-name") + 1]
server = faulty_endpoint.FaultyEndpoint(port=int(sys.argv[sys.argv.index("--port") + 1]))
server.wanted_key = os.environ["VLLM_API_KEY"]
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
open(folder + "/child", "w").write(str(child.pid))
server.start()
child.wait()
"""


@pytest.fixture
def python(tmp_path: Path) -> str:
    """A Python that runs the stand-in, whatever it is told to run."""
    script = tmp_path / "stand_in.py"
    root = str(Path(__file__).resolve().parents[5])
    script.write_text(STAND_IN.format(folder=str(tmp_path), root=root))
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} {script} "$@"\n')
    wrapper.chmod(0o755)
    return str(wrapper)


def test_it_is_started_for_the_model_asked_with_a_key_and_ended_with_the_lane(
    python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "of another server")
    monkeypatch.setenv(vllm.ARGUMENTS, "--max-model-len 2048")
    beats: list[bool] = []
    device = VllmDevice(Vllm(python), "vLLM on a CPU", spans=2, moved=lambda: beats.append(True))
    engine = load_engine(REQUEST, lambda: tmp_path, device)
    assert engine.ref == REF
    assert engine.provenance.device_name == "vLLM on a CPU (trial)"
    assert engine.provenance.dtype is DType.FLOAT32
    assert beats
    (words,) = (tmp_path / "started").read_text().splitlines()
    for pair in ("'--model', '" + str(tmp_path), "'--served-model-name', 'org/model'", "'--dtype', 'float32'"):
        assert pair in words
    assert "'--tensor-parallel-size', '2', '--max-model-len', '2048'" in words
    assert "of another server" not in words
    assert engine.process is not None
    family = [psutil.Process(engine.process.pid), psutil.Process(int((tmp_path / "child").read_text()))]
    engine.close()
    wait_until(lambda: not any(one.is_running() and one.status() != "zombie" for one in family), "all of it ended")


def test_a_vllm_that_ends_while_it_loads_leaves_the_lane_to_others(
    python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_FAILS", "1")
    with pytest.raises(NotHere, match="vLLM ended with code 3 while it loaded it"):
        load_engine(REQUEST, lambda: tmp_path, VllmDevice(Vllm(python), "vLLM on a CPU"))


def test_a_worker_that_is_to_stop_waits_for_no_vllm(python: str, tmp_path: Path) -> None:
    device = VllmDevice(Vllm(python), "vLLM on a CPU", stopped=lambda: True)
    with pytest.raises(EndpointAway, match="the worker is to stop"):
        load_engine(REQUEST, lambda: tmp_path, device)


def test_a_worker_of_vllm_leaves_models_of_servers_to_those_that_ask_them(tmp_path: Path) -> None:
    from workers.engines.endpoint.engine import load_engine as ask

    request = replace(REQUEST, ref=ref_of("any"))
    with pytest.raises(NotHere, match="asks no server"):
        ask(request, lambda: tmp_path, VllmDevice(Vllm("python"), "vLLM on a CPU"))


def test_an_environment_is_found_by_its_folder(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    assert Vllm.found(str(tmp_path)).python == str(python)
    assert Vllm.found(str(python)).python == str(python)
    for where in ("", str(tmp_path / "nothing")):
        with pytest.raises(BadInput, match="PROCTOR_VLLM"):
            Vllm.found(where)
    assert os.access(python, os.X_OK)
