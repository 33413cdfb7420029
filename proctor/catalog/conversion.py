"""The folder that a GGUF model becomes, and the record in it of the checks that it has passed."""

from __future__ import annotations

import json
from pathlib import Path

from proctor.nouns.models import ModelRef

# Raised whenever a conversion checks more: folders with a smaller number are made again. Releases before 1 kept no
# record; those with 1 passed over the scaling of rotary positions.
CHECKS = 2
_RECORD = ".conversion"


def converted_path(ref: ModelRef, cache: Path) -> Path:
    """Where the converted folder of a GGUF file or demo model lies, or will."""
    return cache / "models" / f"{ref.label}-{ref.revision}"


def is_checked(folder: Path) -> bool:
    """Whether the folder was converted with all the checks of this release, or more."""
    try:
        found = json.loads((folder / _RECORD).read_bytes())
    except (OSError, ValueError):
        return False
    checks = found.get("checks") if isinstance(found, dict) else None
    return isinstance(checks, int) and checks >= CHECKS


def record(folder: Path) -> None:
    """Say that the folder has passed all the checks of this release."""
    (folder / _RECORD).write_text(json.dumps({"checks": CHECKS}), encoding="utf-8")
