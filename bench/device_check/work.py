"""The process that runs the checks. It alone imports torch, so that what an import breaks is told, too."""

from __future__ import annotations

import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from bench.device_check.supervise import Order


def work(order: Order, line: Connection) -> None:
    """Run the checks that are ordered, and send what each found. Exit code 2: there is no such device."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one ends it
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from bench.device_check.check import chosen, run_all
    from bench.device_check.everything import CHECKS
    from bench.device_check.workshop import opened
    from proctor.errors import ProctorError
    from proctor.nouns.models import Device

    checks = [one for one in chosen(CHECKS, order.patterns) if one.name not in order.without]
    try:
        shop = opened(Device.GPU if order.device == "cuda" else Device.CPU, Path(order.cache), Path(order.scratch))
    except ProctorError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
    if run_all(checks, shop, order.ends_at, line.send):
        line.send(None)
