"""Libraries that few metrics need: an extra of their own, imported where they are used."""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from typing import Any

from proctor.errors import BadInput

EXTRA = "pip install 'proctor-exams[judging]'"


@cache
def library(name: str) -> Any:  # a module, of whose parts nothing is known here
    """The module `name`. Raises `BadInput` where its distribution isn't installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise BadInput(f"This exam is judged by means of {name}, which can't be imported ({error}).", EXTRA) from error


def check_installed(name: str) -> None:
    """Raise `BadInput` where the module `name` isn't installed; it isn't imported."""
    if importlib.util.find_spec(name) is None:
        raise BadInput(f"This exam is judged by means of {name}, which isn't installed.", EXTRA)
