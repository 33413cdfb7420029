"""Where the workers that a command starts do their work: on this machine's devices, or by asking a server."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from proctor.allotment import WHOLE, Allotment
from proctor.catalog.endpoint import Endpoint, Vllm, client, find, listed
from proctor.errors import BadInput, ProctorError
from proctor.nouns.models import Device, DType, Quant
from proctor.nouns.runs import SweepRequest
from scheduler.faults import tried
from scheduler.plan import VLLM


@dataclass(frozen=True)
class Workplace:
    """What each worker is given of this machine, or the server that the one worker asks."""

    allotment: Allotment = WHOLE
    server: Endpoint | Vllm | None = None  # Vllm: each worker starts one on its device

    @property
    def endpoint(self) -> Endpoint | None:
        """The server that is asked, if one is there already."""
        return self.server if isinstance(self.server, Endpoint) else None

    @property
    def server_arguments(self) -> list[str]:
        """The server for a command line; nothing where workers compute themselves."""
        return self.server.arguments if self.server is not None else []

    @property
    def arguments(self) -> list[str]:
        """All of it for a command line."""
        return [*self.allotment.arguments, *self.server_arguments]


HERE = Workplace()


def of_a_server(request: SweepRequest, place: Workplace, faults: list[ProctorError], *, in_fleet: bool) -> SweepRequest:
    """The request on the device `net`, where a server is asked; what can't be of it is added to `faults`."""
    if request.device == VLLM:
        faults += quant_faults(request, "vLLM loads models as they are, quantized checkpoints too")
        return request
    if place.endpoint is None and request.device != Device.NET.value:
        return request
    faults += server_faults(request, place, in_fleet=in_fleet)
    return replace(request, device=Device.NET.value)


def server_faults(request: SweepRequest, place: Workplace, *, in_fleet: bool) -> list[ProctorError]:
    """What of a request can't be, as a server computes it."""
    faults: list[ProctorError] = []
    if place.endpoint is not None and request.device not in ("auto", Device.NET.value):
        faults.append(
            BadInput(f"--device {request.device} is for models of this machine.", "Leave it out with --endpoint.")
        )
    if place.endpoint is not None and in_fleet:
        faults.append(
            BadInput(
                "--endpoint is for the worker that this command starts, and with PROCTOR_BROKER_URL it starts none.",
                "Start `proctor worker --endpoint URL --model NAME`, and submit with --device net.",
            )
        )
    if place.endpoint is not None and place.allotment != WHOLE:
        faults.append(BadInput("--group and --max-memory are for models of this machine.", "Leave them out."))
    faults += quant_faults(request, "a server's model is as the server loaded it")
    if request.dtype is not DType.AUTO:
        faults.append(BadInput(f"--dtype {request.dtype}: the server decides what it computes in.", "Leave it out."))
    return [*faults, *name_faults(request, place.endpoint)]


def quant_faults(request: SweepRequest, cause: str) -> list[ProctorError]:
    """Quantizations that a server doesn't do for us."""
    judges = request.judges
    asked = dict.fromkeys((*request.quants, *(judges.quants if judges is not None else ())))
    told = "Leave -q and --judge-quant out."
    return [BadInput(f"-q {quant}: {cause}.", told) for quant in asked if quant is not Quant.NONE]


def name_faults(request: SweepRequest, endpoint: Endpoint | None) -> list[ProctorError]:
    """Models and judges that the server hasn't, or why it can't be asked; a fleet's workers know their servers."""
    if endpoint is None:
        return []
    faults: list[ProctorError] = []
    with client(endpoint.url) as http:
        there = tried(faults, partial(listed, http, endpoint.url))
    judges = request.judges.models if request.judges is not None else ()
    if there is not None:
        for name in dict.fromkeys((*request.models, *judges)):
            tried(faults, partial(find, there, name.strip()))
    return faults
