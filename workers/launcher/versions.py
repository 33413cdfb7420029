"""Versions of what numbers depend on, read without importing any of it."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from functools import cache as once
from importlib import metadata
from pathlib import Path

import proctor

_LIBRARIES = ("torch", "transformers", "tokenizers", "bitsandbytes", "safetensors")


@once
def versions() -> Mapping[str, str]:
    """Versions of Python, Proctor, and the libraries that numbers depend on; `git` where Proctor is a checkout."""
    found = {"python": platform.python_version(), "proctor": proctor.__version__}
    for library in _LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    revision = _git_revision(Path(proctor.__file__).resolve().parent.parent)
    return {**found, "git": revision} if revision else found


def _git_revision(checkout: Path) -> str:
    """The commit of a checkout, with `-dirty` where files differ from it; "" where it is none."""
    if not (checkout / ".git").exists():
        return ""
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)  # noqa: S603 -- fixed
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
