"""The engine of a server that speaks OpenAI's API, with the skills that its self-test found."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from proctor.catalog import hub
from proctor.catalog.endpoint import PRICED, Endpoint, ServedModel, find, listed
from proctor.errors import BadInput, NotHere, ProctorError, UnknownName
from proctor.nouns.exams import Pack, Prompt
from proctor.nouns.models import DType, ModelRef, Quant
from proctor.nouns.runs import Cost, Provenance
from workers.engines.base import ComputeDevice, Files, LoadRequest, Skill
from workers.engines.detokenizer import Detokenizer
from workers.engines.endpoint.device import EndpointDevice
from workers.engines.endpoint.dialect import Dialect, ScoringWay
from workers.engines.endpoint.generation import EndpointGenerator
from workers.engines.endpoint.scoring import EndpointPrepared, EndpointScorer
from workers.engines.endpoint.self_test import look_at
from workers.engines.endpoint.server import Server
from workers.engines.endpoint.tokens import Characters, FileTokenizer, WireTokenizer
from workers.engines.measure import Meter
from workers.engines.scoring import PackScores, Prepared
from workers.launcher.versions import versions

_OURS = ("proctor", "python", "git")  # of the versions here, those that a server's numbers can depend on


@dataclass(frozen=True, eq=False)
class EndpointEngine:
    """The `Engine` that asks a server. It is never exact: who else asks there, nobody here knows."""

    ref: ModelRef
    server: Server
    dialect: Dialect
    tokenizer: WireTokenizer
    device: ComputeDevice
    provenance: Provenance
    load_cost: Cost
    quant: Quant = Quant.NONE
    weight_bytes: int = 0

    @property
    def skills(self) -> AbstractSet[Skill]:
        scores = self.dialect.scoring is not ScoringWay.NONE
        return frozenset({Skill.STREAM, Skill.SCORE} if scores else {Skill.STREAM})

    def prepare(self, prompts: Sequence[Prompt]) -> EndpointPrepared:
        return self._scorer.prepare(prompts)

    def answer(self, prepared: Prepared, pack: Pack) -> PackScores:
        assert isinstance(prepared, EndpointPrepared)
        return self._scorer.answer(prepared, pack)

    def score_options(self, prompt: Sequence[int], options: Sequence[Sequence[int]]) -> tuple[float, ...]:
        return self._scorer.score_options(prompt, options)

    def stream(self) -> EndpointGenerator:
        return EndpointGenerator(self.server, self.dialect, self.tokenizer)

    def detokenizer(self, stops: Sequence[str] = (), behind: Sequence[int] = ()) -> Detokenizer:
        return Detokenizer(self.tokenizer.decode, stops, behind)

    def close(self) -> None:
        self.server.close()

    @property
    def _scorer(self) -> EndpointScorer:
        return EndpointScorer(self.server, self.dialect, self.tokenizer, self.device)


def load_engine(request: LoadRequest, _files: Files, device: ComputeDevice) -> EndpointEngine:
    """Connect to the device's server, and find by its self-test what it can do.

    Raises
    ------
    EndpointAway
        where it can't be reached.
    NotHere
        where it hasn't the model, or refuses the key: another worker's server may be otherwise.
    BadModel
        where it can't be asked anything.
    """
    if not isinstance(device, EndpointDevice):
        raise NotHere(request.ref.name, "this worker asks no server", "Start `proctor worker --endpoint URL`.")
    return connected(request.ref, request.ref.name, device)


def connected(ref: ModelRef, name: str, device: EndpointDevice) -> EndpointEngine:
    """The engine of the model that the device's server calls `name`. Errors as of `load_engine`."""
    server = device.connect()
    try:
        with Meter(device) as meter:
            model = _model_of(server, name)
            if not model.facts:  # a server that loads models when they are asked for lists them from then on
                look_at(server, model, Characters(model.name, None))
                model = _model_of(server, name)
            tokenizer, how = tokenizer_of(device.endpoint, model)
            dialect = look_at(server, model, tokenizer, device.endpoint.tolerance)
            if isinstance(tokenizer, FileTokenizer) and not _is_of_use(tokenizer, dialect):
                tokenizer, how = Characters(model.name, model.window), "its tokenizer is here, and of no use to it"
                dialect = look_at(server, model, tokenizer, device.endpoint.tolerance)
    except BaseException:
        server.close()
        raise
    provenance = _provenance(device.endpoint, dialect, tokenizer, how)
    return EndpointEngine(ref, server, dialect, tokenizer, device, provenance, meter.cost)


def tokenizer_of(endpoint: Endpoint, model: ServedModel) -> tuple[WireTokenizer, str]:
    """The model's tokenizer, where its files lie here, and where it was found; else characters, and why.

    Raises
    ------
    BadModel, NotHere
        where one is named that isn't there.
    """
    named = endpoint.tokenizer
    for name in (named,) if named else (str(model.facts.get("root") or ""), model.name):
        folder = _folder_of(name)
        if folder is not None:
            return FileTokenizer(folder, model.name, model.window), f"tokenizer {name}"
    if named:
        raise NotHere(
            model.name, f"there is no tokenizer.json of {named} here", "Name a folder, or a model that is cached."
        )
    return Characters(model.name, model.window), "no tokenizer of this model lies here"


def _folder_of(name: str) -> Path | None:
    """The folder with the tokenizer of a folder or a cached model of the hub; None where there is none."""
    if not name:
        return None
    folder = Path(name).expanduser()
    if not folder.is_dir():
        try:
            found = hub.cached(name, None)
        except (ProctorError, ValueError):  # no name that a hub could have
            return None
        if found is None:
            return None
        folder = found
    return folder if (folder / "tokenizer.json").is_file() else None


def _is_of_use(tokenizer: FileTokenizer, dialect: Dialect) -> bool:
    """Whether replies can be told in this tokenizer's tokens: by the server's ids, or piece by piece."""
    return dialect.completions and (dialect.reply_ids or tokenizer.joins())


def _model_of(server: Server, name: str) -> ServedModel:
    def once() -> ServedModel:
        return find(listed(server.http, server.url), name)

    try:
        return once()
    except (UnknownName, BadInput) as error:
        raise NotHere(name, str(error).rstrip("."), "") from error


def _provenance(endpoint: Endpoint, dialect: Dialect, tokenizer: WireTokenizer, how: str) -> Provenance:
    """Server, version, what it tells of the model, and the self-test's figures."""
    told = {f"model's {key}": value for key, value in sorted(dialect.facts.items())}
    figures = (
        f"{dialect.compared} log-probabilities agree to {dialect.agreed:.1e}" if dialect.agreed is not None else ""
    )
    known = {
        **{name: number for name, number in versions().items() if name in _OURS},
        **told,
        "server": dialect.server,
        "self-test": figures or f"generation alone: {dialect.why_not}",
        **({PRICED: endpoint.price} if endpoint.price else {}),
    }
    return Provenance(
        dtype=DType.AUTO,
        attention="the server's",
        products=dialect.kind or "a server",
        device_name=f"{endpoint.url} ({dialect.server})",
        host=socket.gethostname(),
        versions=known,
        notes=tuple(_notes(dialect, tokenizer, how)),
    )


def _notes(dialect: Dialect, tokenizer: WireTokenizer, how: str) -> Iterator[str]:
    """What of its numbers isn't exact, or isn't known."""
    yield "a server computed it: which weights, type and quantization it has is known from what it tells alone"
    if dialect.agreed is not None:
        yield (
            f"self-test: log-probabilities of given texts ({dialect.scoring}) agree with those of generation to "
            f"{dialect.agreed:.1e} nats, {dialect.compared} compared"
        )
    else:
        yield f"self-test: no log-probabilities of given texts: {dialect.why_not}"
    if dialect.ids:
        yield f"prompts are sent as token ids ({how})"
    elif not dialect.completions:
        yield f"prompts are sent as messages, which the server's own chat template writes out ({how})"
    elif isinstance(tokenizer, FileTokenizer):
        yield f"prompts are sent as text, which the server tokenizes: it takes no token ids ({how})"
    else:
        yield f"prompts are sent as text, which the server tokenizes, conversations as messages ({how})"
    if not dialect.reply_ids:
        yield "token ids of its replies aren't known: their texts are kept"
        yield "a reply that ends at a stop string is left there: its tokens are those that came, a token a piece"
