"""An lm_eval that is installed beside us: its task files lie at hand, and it is never imported."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def installed() -> Path | None:
    """The folder of task files of an installed lm_eval; None where there is none."""
    try:
        spec = importlib.util.find_spec("lm_eval")
    except (ImportError, ValueError):
        return None
    folder = Path(spec.origin).parent / "tasks" if spec and spec.origin else None
    return folder if folder and folder.is_dir() else None


def release_of(folder: Path) -> str:
    """The release of lm_eval in whose installation a folder lies, as `lm_eval 0.4.13`; "" for another folder."""
    for parent in (folder, *folder.parents):
        if parent.name == "lm_eval":
            found = sorted(parent.parent.glob("lm_eval-*.dist-info"))
            return f"lm_eval {found[-1].name.removesuffix('.dist-info').partition('-')[2]}" if found else ""
    return ""
