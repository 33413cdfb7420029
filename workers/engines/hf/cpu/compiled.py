"""C sources of ours, compiled once on the machine where they run, and kept with the fetched models.

No wheel can bring what fits each CPU, and a compiler is not everywhere: whoever asks goes without where there is none.
The C code finds the OpenMP that torch has loaded already, by its name, so that both share their threads.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

log = logging.getLogger(__name__)

_COMPILERS = ("cc", "gcc", "clang")  # CC in the environment comes before them
_ALWAYS = ("-O3", "-std=gnu11", "-shared", "-fPIC", "-fopenmp")
_LIMIT_S = 120


def compiled(source: Path, flags: Sequence[str], cache: Path) -> ctypes.CDLL | None:
    """The library of a C file, from the cache's folder `compiled` where it is there; None where it can't be made."""
    options = (*_ALWAYS, *flags)
    named = hashlib.sha256(source.read_bytes() + " ".join(options).encode()).hexdigest()[:16]
    library = cache / "compiled" / f"{source.stem}-{named}.so"
    try:
        if not library.exists():
            _compile(source, options, library)
        return ctypes.CDLL(str(library))
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", b"") or b"").decode(errors="replace").strip()
        log.info("%s isn't compiled: %s", source.name, said or error)
        return None


def _compile(source: Path, options: Sequence[str], library: Path) -> None:
    """Raise OSError where there is no compiler or no room, SubprocessError where it fails."""
    asked = os.environ.get("CC")
    found = next(filter(None, map(shutil.which, (asked,) if asked else _COMPILERS)), None)
    if found is None:
        raise FileNotFoundError(f"no C compiler ({asked or ', '.join(_COMPILERS)})")
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:  # several workers may compile at once
        made = Path(folder) / library.name
        command = [found, *options, str(source), "-o", str(made), "-lm"]
        subprocess.run(command, check=True, capture_output=True, timeout=_LIMIT_S)  # noqa: S603 -- ours, no shell
        made.replace(library)
