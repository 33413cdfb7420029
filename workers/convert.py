"""From a model's name to a folder of safetensors on this machine; a GGUF file is converted once and kept.

`python -m workers.convert NAME` does it as a process of its own; `proctor models fetch` calls `local_folder`.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from proctor.catalog import demo, hub, refs
from proctor.errors import BadModel, ProctorError, UnknownName, first_line
from proctor.nouns import ModelRef, ModelSource
from proctor.settings import Settings

Progress = Callable[[str], None]


def local_folder(ref: ModelRef, cache: Path, progress: Progress = lambda _: None) -> Path:
    """A folder with the model's config, tokenizer and safetensors, fetched and converted where needed.

    Files that lie on this machine are compared with the revision first: a sweep never mixes two states of a model.

    Raises
    ------
    BadModel
        where the files have changed, are damaged or refused, or can't be had.
    """
    if ref.source is ModelSource.HUB:
        return hub.download(ref.name, ref.revision)
    if ref.source is ModelSource.DEMO:
        return _demo_folder(ref, cache, progress)
    refs.check_unchanged(ref)
    path = Path(ref.name)
    return path if ref.source is ModelSource.FOLDER else converted(path, ref, cache, progress)


def converted_path(ref: ModelRef, cache: Path) -> Path:
    """Where the converted folder of a GGUF file or demo model lies, or will."""
    return cache / "models" / f"{ref.label}-{ref.revision}"


def converted(gguf: Path, ref: ModelRef, cache: Path, progress: Progress = lambda _: None) -> Path:
    """The GGUF file as a folder of safetensors, in plain numbers of `GgufHeader.dtype`.

    Takes some twenty seconds the first time. Safe to call from several processes at once: one converts, the others
    wait for it; the folder gets its name when it is whole.
    """
    folder = converted_path(ref, cache)
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f"{folder.name}.lock"):
        if not folder.is_dir():
            progress(f"{ref.label}: converting the GGUF file to safetensors, once")
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix="convert-") as scratch:
                whole = Path(scratch) / folder.name
                _convert(gguf, whole, ref.name)
                whole.replace(folder)
    return folder


def _demo_folder(ref: ModelRef, cache: Path, progress: Progress) -> Path:
    model = demo.demo_model(ref.name)
    if model is None or model.revision != ref.revision:
        known = [f"{one.name}@{one.revision}" for one in demo.DEMO_MODELS]
        raise UnknownName("demo model", str(ref), known, "This worker is of another release of Proctor.")
    folder = converted_path(ref, cache)
    return folder if folder.is_dir() else converted(demo.fetch(model, cache, progress), ref, cache, progress)


def _convert(gguf: Path, folder: Path, name: str) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    from proctor.catalog.gguf import read
    from workers.devices import TORCH_DTYPES
    from workers.engine.quiet import quiet_libraries

    dtype = TORCH_DTYPES[read(gguf, name).dtype]
    # The loader of GGUF shows a bar of its own that no switch turns off.
    with quiet_libraries(), contextlib.redirect_stderr(io.StringIO()):
        try:
            tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
            model = AutoModelForCausalLM.from_pretrained(
                gguf.parent, gguf_file=gguf.name, dtype=dtype, quantization_config=GgufConfig(dequantize=True)
            )
        except (ValueError, KeyError, OSError, RuntimeError, NotImplementedError) as error:
            raise BadModel(name, f"transformers can't convert this GGUF file: {first_line(error)}") from error
        # It is plain numbers now; with these marks save_pretrained would refuse it as quantized.
        model.hf_quantizer = None  # type: ignore[assignment] # transformers' modules take any attribute
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def main(arguments: list[str]) -> int:
    """Fetch and convert each named model; a line a step on stderr, the folder on stdout."""
    cache = Settings.read(os.environ).cache
    for name in arguments:
        try:
            folder = local_folder(refs.resolve(name), cache, _tell)
        except ProctorError as error:
            _tell(str(error))
            return error.exit_code
        sys.stdout.write(f"{folder}\n")
    return 0


def _tell(step: str) -> None:
    sys.stderr.write(f"{step}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
