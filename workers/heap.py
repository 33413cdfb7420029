"""The process's heap: what was freed is kept for the next pack, and given back when a model goes.

glibc hands large blocks back to the system as soon as they are freed and gets new ones, page by page, for the next
layer: a tenth of a pack's time in float32 (docs/experiments.md). Elsewhere than on glibc all this does nothing.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

# malloc.h of glibc.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD = 32 << 20  # glibc refuses more on 64 bit; larger blocks stay mapped, one by one
_NEVER_TRIM = (1 << 31) - 1


def keep_freed() -> bool:
    """Keep freed memory in this process from now on. Whether this system can."""
    mallopt = _of_libc("mallopt")
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD) and mallopt(_M_TRIM_THRESHOLD, _NEVER_TRIM))


def give_back() -> None:
    """Give everything that is free back to the system, once."""
    trim = _of_libc("malloc_trim")
    if trim is not None:
        trim(0)


def _of_libc(name: str) -> Callable[..., Any] | None:
    try:
        found: Callable[..., Any] | None = getattr(ctypes.CDLL(None), name, None)
    except (OSError, TypeError):  # a system whose program can't be opened as a library
        return None
    return found
