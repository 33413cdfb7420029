"""Models whose files lie on this machine: what can be asked for without a download."""

from __future__ import annotations

import json
from pathlib import Path

from proctor.catalog import hub
from proctor.catalog.conversion import is_checked
from proctor.catalog.demo import DEMO_MODELS, is_fetched

_FOLDER = "models--"  # of the hub's cache: models--org--name
_WRITES_TEXT = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")  # what such an architecture's name ends with


def cached_names(cache: Path) -> list[str]:
    """Demo models that are fetched or converted in `cache`, and those of the hub's cache, as `resolve` takes them."""
    demos = [one.name for one in DEMO_MODELS if is_fetched(one, cache) or _is_converted(cache, one.name, one.revision)]
    return sorted({*demos, *_of_the_hub()})


def _is_converted(cache: Path, name: str, revision: str) -> bool:
    return is_checked(cache / "models" / f"{name}-{revision}")


def _of_the_hub() -> list[str]:
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE)
    names = [path.name.removeprefix(_FOLDER).replace("--", "/") for path in folder.glob(f"{_FOLDER}*")]
    return [name for name in names if _writes_text(hub.cached(name, None))]


def _writes_text(folder: Path | None) -> bool:
    """Whether a cached model is whole and, as far as its config says, a language model."""
    try:
        config = json.loads((folder / "config.json").read_bytes()) if folder is not None else None
    except (OSError, ValueError, RecursionError):
        return False
    architectures = config.get("architectures") or [] if isinstance(config, dict) else None
    if not isinstance(architectures, list):
        return False
    return not architectures or any(str(one).endswith(_WRITES_TEXT) for one in architectures)
