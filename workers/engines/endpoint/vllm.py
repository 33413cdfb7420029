"""vLLM as a process of the worker's: started for the lane's model, asked like any server, and ended with the lane.

It lives in an environment of its own, for its pins of torch and transformers are others than ours. A key that nobody
else knows, in its environment, keeps other users of the machine from asking it.
"""

from __future__ import annotations

import os
import secrets
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from proctor.catalog.endpoint import KEY, Endpoint, EndpointAway, Vllm, client
from proctor.embedded import tether
from proctor.errors import NotHere
from proctor.nouns.models import Device, DType
from workers.engines.base import ComputeDevice, DevicePeak, Files, LoadRequest
from workers.engines.endpoint.device import EndpointDevice
from workers.engines.endpoint.engine import EndpointEngine, connected
from workers.engines.measure import Meter

ARGUMENTS = "PROCTOR_VLLM_ARGUMENTS"  # further ones of `vllm serve`, such as --max-model-len 4096
START_S = 1800.0  # a large model is read for minutes, and compiled for some more
END_S = 10.0  # to end in order
GLANCE_S = 0.5
# Whatever else is set in the worker's environment is vLLM's, too: VLLM_CPU_KVCACHE_SPACE, for one.
_QUIET = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}


@dataclass(frozen=True)
class VllmDevice:
    """The `ComputeDevice` on which vLLM computes: some GPUs, or the CPU. Memory is vLLM's affair."""

    vllm: Vllm
    name: str
    spans: int = 0  # GPUs
    moved: Callable[[], None] = lambda: None
    stopped: Callable[[], bool] = lambda: False
    kind: Device = field(default=Device.NET, init=False)
    gpus: int = field(default=0, init=False)

    def release(self) -> None:
        """It holds no memory of its own."""

    def begin_gpu_time(self) -> Callable[[], float]:
        return lambda: 0.0

    def begin_peak(self) -> Callable[[], DevicePeak]:
        return DevicePeak


@dataclass(frozen=True, eq=False)
class VllmEngine(EndpointEngine):
    """The `Engine` of a vLLM of ours."""

    process: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        """End vLLM and all of its processes."""
        super().close()
        if self.process is not None:
            end(self.process)


def load_engine(request: LoadRequest, files: Files, device: ComputeDevice) -> VllmEngine:
    """Start vLLM with the model's folder, wait until it is well, and find by the self-test what it can do.

    Raises
    ------
    NotHere
        where this worker starts no vLLM, or vLLM ends while it loads the model.
    EndpointAway
        where it isn't well in time, or the worker is to stop meanwhile.
    """
    name = request.ref.name
    if not isinstance(device, VllmDevice):
        raise NotHere(name, "this worker asks a server, and starts none", "Start `proctor worker --vllm`.")
    folder = files()
    with Meter(device) as meter:
        key, url = secrets.token_urlsafe(24), f"http://127.0.0.1:{free_port()}/v1"
        process = start(command(device, request, folder, url), key)
        try:
            wait_until_well(process, url, device, name)
            own = str(folder) if (folder / "tokenizer.json").is_file() else ""
            how = device.vllm
            endpoint = Endpoint(url, tokenizer=own, in_flight=how.in_flight, tolerance=how.tolerance)
            asked = EndpointDevice(endpoint, device.moved, device.stopped, environ={KEY: key})
            engine = connected(request.ref, name, asked)
        except BaseException:
            end(process)
            raise
    made = replace(engine.provenance, dtype=request.dtype, device_name=f"{device.name} ({engine.dialect.server})")
    return VllmEngine(
        request.ref, engine.server, engine.dialect, engine.tokenizer, device, made, meter.cost, process=process
    )


def command(device: VllmDevice, request: LoadRequest, folder: Path, url: str) -> list[str]:
    """The command line of vLLM's server. It is tied to this process: on Linux the kernel ends it with us."""
    port = url.removesuffix("/v1").rpartition(":")[2]
    more = [] if request.dtype is DType.AUTO else ["--dtype", request.dtype.value]
    more += ["--tensor-parallel-size", str(device.spans)] if device.spans > 1 else []
    more += shlex.split(os.environ.get(ARGUMENTS, ""))
    served = ["--model", str(folder), "--served-model-name", request.ref.name, "--host", "127.0.0.1", "--port", port]
    server = [device.vllm.python, "-m", "vllm.entrypoints.openai.api_server", *served, *more]
    return [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *server]


def start(words: list[str], key: str) -> subprocess.Popen[bytes]:
    """Start it, in a folder where it finds no package of ours; what it says goes into the worker's log."""
    environ = {name: value for name, value in os.environ.items() if name not in (KEY, "PYTHONPATH")}
    return subprocess.Popen(  # noqa: S603 -- the environment that the worker was told of
        words, stdin=subprocess.DEVNULL, env={**environ, **_QUIET, "VLLM_API_KEY": key}, cwd="/"
    )


def wait_until_well(
    process: subprocess.Popen[bytes], url: str, device: VllmDevice, model: str, limit_s: float = START_S
) -> None:
    """Wait until it answers /health. Raises as `load_engine`."""
    import httpx2

    end_at = time.monotonic() + limit_s
    with client(url, {}) as http:
        while time.monotonic() < end_at:
            device.moved()
            if process.poll() is not None:
                raise NotHere(
                    model, f"vLLM ended with code {process.returncode} while it loaded it", "See the worker's log."
                )
            if device.stopped():
                raise EndpointAway(f"vLLM was loading {model}, and the worker is to stop.")
            try:
                if http.get(url.removesuffix("/v1") + "/health", timeout=GLANCE_S * 4).status_code == 200:
                    return
            except httpx2.HTTPError:
                pass  # not yet
            time.sleep(GLANCE_S)
    raise EndpointAway(f"vLLM didn't answer in {limit_s:.0f} s after it was started with {model}.")


def end(process: subprocess.Popen[bytes]) -> None:
    """End it in order, and what is left of it after a while by force: its engine is a process of its own."""
    try:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for one in family:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
