"""Parent and child of a worker: stop goes one way, the held lane the other."""

from __future__ import annotations

import subprocess
import sys

import pytest

from proctor.nouns.models import Device, Lane, Quant
from workers.channel import PAGE_BYTES, Channel

LANE = Lane(Device.GPU, "Qwen/Qwen2.5-0.5B-Instruct@7ae557604adf67be50417f59c2c2f167def9a775", Quant.FOUR_BIT)

FORKED = """
import os, signal, sys
from proctor.nouns.models import Device, Lane, Quant
from workers.channel import Channel
link = Channel()
answer, say = os.pipe()
if os.fork() == 0:
    link.become_child()
    link.hold(Lane(Device.CPU, "m", Quant.NONE))
    os.write(say, b"ready")
    os.write(say, b"stopped" if link.wait(30.0) else b"alone")
    sys.stdout.write("child saw stop\\n")
    sys.stdout.flush()
    os._exit(0)
assert os.read(answer, 5) == b"ready"
assert link.held == Lane(Device.CPU, "m", Quant.NONE)
HOW
"""


def test_what_is_waited_for_is_noted_beside_what_is_held() -> None:
    channel = Channel()
    assert (channel.waits_for, channel.ready) == ("", False)
    channel.hold(LANE)
    channel.wait_for("the hub can't be reached")
    assert (channel.held, channel.waits_for) == (LANE, "the hub can't be reached")
    channel.wait_for("x" * 2 * PAGE_BYTES)
    assert channel.waits_for.startswith("xxx")
    channel.wait_for("")
    assert (channel.held, channel.waits_for) == (LANE, "")


def test_nobody_is_told_to_stop_at_first() -> None:
    channel = Channel()
    assert not channel.stopped
    assert not channel.wait(0.01)


def test_stop_is_seen_at_once_and_stays() -> None:
    channel = Channel()
    channel.stop()
    channel.stop()
    assert channel.stopped
    assert channel.wait(60.0)


@pytest.mark.parametrize(
    "how", ["link.stop(); os.wait()", "os.kill(os.getpid(), signal.SIGKILL)"], ids=["told", "killed"]
)
def test_a_forked_child_sees_stop_and_the_end_of_its_parent(how: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED.replace("HOW", how)], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.stdout, done.stderr) == ("child saw stop\n", "")


def test_the_held_lane_is_what_was_noted_last() -> None:
    channel = Channel()
    seen = [channel.held]
    for lane in (LANE, Lane(Device.CPU, "m", Quant.NONE), None):
        channel.hold(lane)
        seen.append(channel.held)
    assert seen == [None, LANE, Lane(Device.CPU, "m", Quant.NONE), None]


def test_a_child_is_ready_once_it_has_its_device_and_the_next_one_is_not_yet() -> None:
    channel = Channel()
    seen = [channel.ready]
    channel.hold(None)
    seen.append(channel.ready)
    channel.become_child()
    seen.append(channel.ready)
    assert seen == [False, True, False]


def test_a_name_that_is_too_long_for_the_page_is_not_noted() -> None:
    channel = Channel()
    channel.hold(LANE)
    channel.hold(Lane(Device.CPU, "x" * PAGE_BYTES, Quant.NONE))
    assert channel.held == LANE


def test_a_child_whose_device_failed_it_says_why_and_the_next_one_begins_anew() -> None:
    channel = Channel()
    channel.hold(LANE)
    channel.broke("CUDA error: an illegal memory access was encountered")
    assert (channel.broken, channel.held) == ("CUDA error: an illegal memory access was encountered", LANE)
    channel.become_child()
    assert (channel.broken, channel.ready) == ("", False)
