"""The process's heap: what was freed is kept for the next pack, and given back when a model goes and before a Run.

glibc hands large blocks back to the system as soon as they are freed and gets new ones, page by page, for the next
layer: a tenth of a pack's time in float32 (docs/experiments.md). Elsewhere than on glibc that does nothing.

It is not kept while a model loads, nor at 8 and 4 bit: there blocks of many sizes come and go, what is kept lies
between blocks in use, and a worker grew to twice what it needs, for a fifteenth of the time (docs/experiments.md).

oneDNN keeps what it made for each shape of a product, 1,024 shapes, over half a megabyte each. In 8 bit every layer of
every pack multiplies a number of outlier columns of its own, so that a worker grew by gigabytes in ten Runs.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Any

# malloc.h of glibc.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD = 32 << 20  # glibc refuses more on 64 bit; larger blocks stay mapped, one by one
_MAPPED_APART = 1 << 20
_NEVER_TRIM = (1 << 31) - 1
# How many shapes oneDNN and torch's layer above it keep: a pack's own, which come again in each layer, are a dozen.
_CACHES = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64", "LRU_CACHE_CAPACITY": "64"}


def keep_freed() -> bool:
    """Keep freed memory in this process from now on. Whether this system can."""
    mallopt = _of_libc("mallopt")
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD) and mallopt(_M_TRIM_THRESHOLD, _NEVER_TRIM))


def let_go_freed() -> bool:
    """Give blocks of a MiB and more back as soon as they are freed, from now on. Whether this system can."""
    mallopt = _of_libc("mallopt")
    return mallopt is not None and bool(mallopt(_M_MMAP_THRESHOLD, _MAPPED_APART))


def bound_caches() -> None:
    """Have oneDNN keep few shapes, unless the environment says how many. To be called before torch's first product."""
    for name, shapes in _CACHES.items():
        os.environ.setdefault(name, shapes)


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
