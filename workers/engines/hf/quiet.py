"""No noise from the libraries while a model is loaded or runs: no progress bars, no notes for their developers."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging as transformers_logging

# Logger and beginning of what bitsandbytes says to no purpose: at every 8-bit layer and call, that LLM.int8 works on
# float16 inputs; and at its import on newer CPUs, that a kernel is missing which is not used here.
_NOISE = (
    ("bitsandbytes.autograd._functions", "MatMul8bitLt: inputs will be cast"),
    ("bitsandbytes.backends.cpu.ops", "Failed to load CPU gemm_4bit_forward"),
)


class _Unless(logging.Filter):
    """Drops records that begin with a text; all others pass."""

    def __init__(self, beginning: str) -> None:
        super().__init__()
        self.beginning = beginning

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith(self.beginning)


_FILTERS = {name: _Unless(beginning) for name, beginning in _NOISE}


def silence_bitsandbytes() -> None:
    """Keep back those two messages, and no other. To be called before its import; again does no harm."""
    for name, noise in _FILTERS.items():
        logging.getLogger(name).addFilter(noise)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Errors only, and no bars, from transformers within this block; what was set before is set again after it."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.ERROR)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=FutureWarning)
            warnings.simplefilter("ignore", category=DeprecationWarning)
            yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
