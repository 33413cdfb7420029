"""Freed memory is kept for the next pack, and given back when a model goes. In processes of their own."""

from __future__ import annotations

import platform

import pytest

from tests.support import printed_by

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc lets its heap be told so")

CYCLES = """
import resource, psutil, torch
from workers.engines import heap
def faults():
    for _ in range(20):
        torch.ones(4 << 20)  # 16 MiB, freed at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def held():
    return psutil.Process().memory_info().rss
"""


def printed(program: str) -> int:
    (number,) = printed_by(CYCLES + program)
    return int(number)


def test_a_block_that_is_freed_and_taken_again_costs_no_new_pages() -> None:
    pages = 20 * (16 << 20) // 4096
    assert printed("heap.keep_freed(); before = faults(); print(faults() - before)") < pages / 10


def test_what_is_kept_is_given_back_when_asked() -> None:
    given = printed(
        "heap.keep_freed(); blocks = [torch.ones(4 << 20) for _ in range(8)]; del blocks; "
        "kept = held(); heap.give_back(); print(kept - held())"
    )
    assert given > 100 << 20


def test_what_is_freed_while_nothing_is_kept_is_given_back_at_once() -> None:
    left = printed(
        "heap.keep_freed(); heap.let_go_freed(); before = held(); "
        "blocks = [torch.ones(1 << 19) for _ in range(64)]; del blocks; print(held() - before)"
    )
    assert left < 20 << 20


SHAPES = """
torch.set_num_threads(1)
def multiply(first, last):
    for columns in range(first, last):
        torch.randn(256, columns).bfloat16() @ torch.randn(columns, 512).bfloat16()
"""


def test_products_of_ever_new_shapes_as_8_bit_has_them_leave_the_process_as_large_as_it_was() -> None:
    """Without the bound these grow it by 400 MB."""
    grown = printed(
        "heap.bound_caches()" + SHAPES + "multiply(8, 80); before = held(); multiply(80, 600); print(held() - before)"
    )
    assert grown < 100 << 20
