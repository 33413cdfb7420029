"""No noise from the libraries while a model is loaded or runs: no progress bars, no notes for their developers."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging as transformers_logging

_CAST = "MatMul8bitLt: inputs will be cast"


class _NoCastNotes(logging.Filter):
    """Drops the one message that bitsandbytes writes for every 8-bit layer and call; all others pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith(_CAST)


_no_cast_notes = _NoCastNotes()


def silence_cast_notes() -> None:
    """Keep bitsandbytes from saying, at every layer and call, that LLM.int8 works on float16 inputs."""
    logger = logging.getLogger("bitsandbytes.autograd._functions")
    if _no_cast_notes not in logger.filters:
        logger.addFilter(_no_cast_notes)


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
