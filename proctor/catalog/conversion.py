"""The record of the checks that a converted GGUF model has passed, in the folder that it became."""

from __future__ import annotations

import json
from pathlib import Path

# Raised whenever a conversion checks more: folders with a smaller number are made again. Releases before 1 kept no
# record; those with 1 passed over the scaling of rotary positions.
CHECKS = 2
_RECORD = ".conversion"


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
