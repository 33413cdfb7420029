"""Chat templates: conversations to text, within limits of time and memory, by a process that does nothing else.

That process (`proctor.catalog.rendering`) is started with the first template, serves all others, and is replaced when
a template has ended it. It costs a tenth of a second, once.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from proctor.errors import TemplateOverran

Turns = Sequence[Mapping[str, object]]  # `role` and `content`
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


class TemplateFailed(Exception):
    """What a template raised, a fault of its syntax among it; the text is its own."""


def renderer(source: str) -> Callable[[Turns, datetime], str] | None:
    """A template as a function of turns and the moment that it is told, for submission; None without jinja2.

    The function raises as `render` does.
    """
    if importlib.util.find_spec("jinja2") is None:
        return None
    return lambda turns, moment: render(source, turns, moment)


def render(
    source: str, turns: Turns, moment: datetime, special: Mapping[str, str] = SPECIAL, *, opened: bool = True
) -> str:
    """The text of a conversation; `opened` up to where the assistant speaks next.

    `special` are the tokenizer's special tokens by their names in templates.

    Raises
    ------
    TemplateFailed
        with what the template raised.
    TemplateOverran
        where it takes more time or memory than any needs, or ends its process.
    """
    asked = {
        "source": source,
        "turns": turns,
        "moment": moment.isoformat(),
        "special": dict(special),
        "opened": opened,
    }
    return _WRITER.text(json.dumps(asked, default=dict).encode() + b"\n")


class _Writer:
    """The process that renders, as long as it lives; one text at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0  # the process that started it: a forked child must not share its pipes
        self._lock = threading.Lock()

    def text(self, request: bytes) -> str:
        with self._lock:
            line = self._ask(request)
        told = json.loads(line)
        if "limit" in told:
            raise TemplateOverran(f"its chat template {told['limit']}")
        if "error" in told:
            raise TemplateFailed(told["error"])
        return str(told["text"])

    def close(self) -> None:
        """End the process, if this one started it."""
        process, self._process = self._process, None
        if process is not None and self._owner == os.getpid():
            process.kill()
            process.communicate()

    def _ask(self, request: bytes) -> bytes:
        if self._owner != os.getpid() or self._process is None or self._process.poll() is not None:
            self.close()
            self._process, self._owner = _started(), os.getpid()
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(request)
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = b""
        except BaseException:  # an interrupt: its answer would be taken for the next one's
            self.close()
            raise
        if line.endswith(b"\n"):
            return line
        code = process.wait()
        self.close()
        if code == -signal.SIGPROF:
            raise TemplateOverran("its chat template takes more computing time than any needs")
        raise TemplateOverran(f"its chat template ended the process that writes it out (exit code {code})")


def _started() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "proctor.catalog.rendering"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


_WRITER = _Writer()
atexit.register(_WRITER.close)
