"""From what a person typed to a model with a revision, and to facts about its weights."""

from __future__ import annotations

import difflib
import hashlib
import re
from pathlib import Path

from proctor.catalog import gguf, gguf_model, hub
from proctor.catalog.demo import DEMO_MODELS, demo_model
from proctor.catalog.weights import (
    Weights,
    check_tokenizer,
    folder_chat_template,
    read_folder,
    read_gguf,
    weight_files,
)
from proctor.errors import BadModel, NotHere, UnknownName, first_line
from proctor.nouns.models import ModelRef, ModelSource

_HUB_ID = re.compile(r"(?P<repo>(?:[\w][\w.-]*/)?[\w][\w.-]*)(?:@(?P<revision>[\w][\w./-]*))?")
_WHOLE_BYTES = 16 << 20  # files up to here are hashed whole
_SAMPLES, _SAMPLE_BYTES = 256, 16 << 10
# Files beside the weights that change what a model computes or reads.
_SMALL_FILES = ("*.json", "*.jinja", "*.model", "*.txt")


def resolve(text: str) -> ModelRef:
    """The model that a person means: a demo model's short name, a folder, a GGUF file, or a hub id with `@revision`.

    What lies on this machine comes first. The revision of a hub model is its commit, asked from the hub, or found in
    the local cache where the hub is out of reach; that of local files is a fingerprint. A resolved model as it is
    written (`str`, with its revision) resolves to itself.

    Raises
    ------
    UnknownName
        where it is none of these, with the nearest names.
    BadModel
        where it is one and can't be used: nothing at the path, gated, not cached and no network, pickled weights,
        or the system refuses the path (too long, no permission, no such user's home).
    """
    name = text.strip()
    try:
        return _resolved(name)
    except (OSError, RuntimeError, ValueError) as error:  # of `pathlib`, for `~nobody` and NUL too
        raise BadModel(name, f"its path can't be looked at: {first_line(error)}", "Check the path.") from error


def _resolved(name: str) -> ModelRef:
    demo = demo_model(name)
    if demo is not None:
        return ModelRef(demo.name, ModelSource.DEMO, demo.revision)
    path = Path(name).expanduser()
    if path.is_dir():
        read_folder(path, name)
        check_tokenizer(path, name)
        return ModelRef(str(path.absolute()), ModelSource.FOLDER, folder_fingerprint(path, name))
    if path.is_file():
        read_gguf(path, name)
        first = gguf_model.split_files(path, name)[0]
        return ModelRef(str(first.absolute()), ModelSource.GGUF, gguf_fingerprint(first, name))
    bare, _, revision = name.rpartition("@")
    if bare and (demo_model(bare) is not None or Path(bare).expanduser().exists()):
        return _of_revision(_resolved(bare), revision)
    if _is_path(name):
        raise BadModel(name, "there is nothing at this path", _nearest_files(path))
    match, nearest = _HUB_ID.fullmatch(name), _nearest_demos(name)
    if match is None or ("/" not in name and nearest):
        raise UnknownName("model", name, nearest, _HOW)
    return ModelRef(match["repo"], ModelSource.HUB, hub.commit(match["repo"], match["revision"]))


def _of_revision(ref: ModelRef, revision: str) -> ModelRef:
    """What lies on this machine, where it still is what it was."""
    if ref.revision != revision:
        cause = f"on this machine it is {ref.revision}, not {revision}"
        raise BadModel(ref.name, cause, f"Name it without a revision: {ref.name}.")
    return ref


def weights_of(ref: ModelRef) -> Weights:
    """Facts of a resolved model's weights, without loading or (but for the hub's headers) fetching it.

    Raises
    ------
    BadModel
        where its files are damaged, refused, or out of reach.
    """
    if ref.source is ModelSource.DEMO:
        demo = demo_model(ref.name)
        if demo is None:
            raise UnknownName("demo model", ref.name, _nearest_demos(ref.name))
        return demo.weights
    if ref.source is ModelSource.FOLDER:
        return read_folder(Path(ref.name), ref.name)
    if ref.source is ModelSource.GGUF:
        return read_gguf(Path(ref.name), ref.name)
    return hub.weights(ref.name, ref.revision)


def chat_template(ref: ModelRef) -> str | None:
    """The chat template of a resolved model's tokenizer, "" where it has none; None where its files aren't here."""
    if ref.source is ModelSource.ENDPOINT:
        return None
    if ref.source is ModelSource.GGUF:
        return str(gguf.read(Path(ref.name), ref.name).facts.get("tokenizer.chat_template") or "")
    folder = Path(ref.name) if ref.source is ModelSource.FOLDER else None
    if ref.source is ModelSource.HUB:
        folder = hub.cached(ref.name, ref.revision)
    return None if folder is None else folder_chat_template(folder, ref.name)


def check_unchanged(ref: ModelRef) -> None:
    """Raise `BadModel` where the local files of a model are no longer those that it was resolved from."""
    path = Path(ref.name)
    if not path.exists():
        raise NotHere(ref.name, "there is nothing at this path on this machine", "Put it where every worker sees it.")
    fingerprint = folder_fingerprint if ref.source is ModelSource.FOLDER else gguf_fingerprint
    found = fingerprint(path, ref.name)
    if ref.revision and found != ref.revision:
        raise BadModel(
            ref.name,
            f"its files have changed since the sweep was submitted (fingerprint {found}, was {ref.revision})",
            "Submit the sweep again.",
        )


def folder_fingerprint(folder: Path, name: str) -> str:
    """16 hex digits over a model folder's weights, configs and tokenizer: names, sizes and (samples of) contents."""
    small = {path for pattern in _SMALL_FILES for path in folder.glob(pattern)}
    digest = hashlib.sha256()
    for path in sorted({*small, *weight_files(folder, name)}):
        digest.update(f"{path.name}:{file_fingerprint(path)}\n".encode())
    return digest.hexdigest()[:16]


def gguf_fingerprint(path: Path, name: str) -> str:
    """16 hex digits over a GGUF model: those of its file, or over all files of a split one."""
    return gguf_model.fingerprint(path, name, file_fingerprint)


def file_fingerprint(path: Path) -> str:
    """16 hex digits over a file: of all of it up to 16 MiB, above that of its size and 4 MiB of samples.

    Reading 15 GB to name a model would take longer than many an exam. Any two trainings differ nearly everywhere, so
    samples tell them apart; a change of a few bytes by hand can go unseen.
    """
    size = path.stat().st_size
    digest = hashlib.sha256(f"{size}\n".encode())
    with path.open("rb") as file:
        if size <= _WHOLE_BYTES:
            digest.update(file.read())
        else:
            for n in range(_SAMPLES):
                file.seek((size - _SAMPLE_BYTES) * n // (_SAMPLES - 1))
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:16]


_HOW = f"Give a hub id, a folder, a GGUF file, or one of {', '.join(model.name for model in DEMO_MODELS)}."


def _is_path(name: str) -> bool:
    return name.startswith(("/", "./", "../", "~", ".")) or name.count("/") > 1 or name.endswith(".gguf")


def _nearest_demos(name: str) -> list[str]:
    return difflib.get_close_matches(name.casefold(), [model.name for model in DEMO_MODELS], n=2)


def _nearest_files(path: Path) -> str:
    siblings = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, siblings, n=2)
    return f"Did you mean {' or '.join(str(path.parent / one) for one in near)}?" if near else "Check the path."
