"""`bench.mutate`: one change at a time, none that can't change anything, and a tree that is as it was afterwards."""

from __future__ import annotations

import random

import pytest

from bench.mutate import Fate, table
from bench.mutations import Mutant, mutants


def drawn(source: str, seed: int = 1) -> list[Mutant]:
    return mutants("x.py", source, random.Random(seed))  # noqa: S311 -- no secret


def changes(source: str) -> set[str]:
    """All that may be tried, over many seeds: a place is changed in one of its ways a seed."""
    return {one.change for seed in range(40) for one in drawn(source, seed)}


@pytest.mark.parametrize(
    ("source", "change"),
    [
        ("y = a < b", "a < b → a <= b"),
        ("y = a and b", "a and b → a or b"),
        ("y = a and b", "a and b → b"),
        ("y = not a", "not a → a"),
        ("if a:\n    b()", "a → not a"),
        ("y = [x for x in z if x]", "x → True"),
        ("y = a - b", "a - b → a + b"),
        ("y = 3", "3 → 4"),
        ("y = 3", "3 → 2"),
        ("y = row['seconds']", "'seconds' → 'seconds_'"),
        ("y = sorted(z, key=k)", "sorted(z, key=k) → list(z)"),
        ("y = max(a)", "max(a) → min(a)"),
        ("y = f(a, b)", "f(a, b) → f(b, a)"),
        ("y = f(a, k=b)", "f(a, k=b) → f(a)"),
        ("y = z[1:b]", "1:b → :b"),
        ("def f():\n    return a", "return a → return None"),
        ("y += a", "y += a → y = a"),
        ("f(a)", "f(a) → pass"),
        ("y = q.with_for_update()", "q.with_for_update() → q"),
        ("y = f'{a + b}'", "a + b → a - b"),
    ],
)
def test_each_kind_of_change_is_tried(source: str, change: str) -> None:
    assert change in changes(source)


@pytest.mark.parametrize(
    "source",
    [
        '"""Text."""',
        "import a",
        "y: dict[str, 3]",
        "log.info('x', a + b)",
        "def f(a: list[3]) -> set[4]: ...",
        "if TYPE_CHECKING:\n    y = 3",
        "y = f(color='red')",
        "y = 'Two words'",
        "__all__ = ['a', 'b']",
        "y = f'{a:3d} words'",
    ],
)
def test_what_cannot_change_anything_is_left_alone(source: str) -> None:
    assert {change for change in changes(source) if not change.startswith("f(")} == set()


def test_a_change_is_made_alone_and_the_tree_is_as_it_was() -> None:
    source = "y = a < b\nz = 3\n"
    found = drawn(source)
    texts = [one.source() for one in found]
    assert len(set(texts)) == len(found) == 2
    for text in texts:
        assert text is not None
        assert sum(mine != theirs for mine, theirs in zip(text.splitlines(), source.splitlines(), strict=True)) == 1
    assert [one.source() for one in found] == texts


def test_a_change_is_known_again_after_lines_have_moved() -> None:
    first = drawn("y = 3\nz = 3\n")
    moved = drawn("# a line\n\ny = 3\nz = 3\n")
    assert [one.name for one in first] == [one.name for one in moved]
    assert [one.line + 2 for one in first] == [one.line for one in moved]


def test_two_changes_of_one_line_that_nobody_noticed_stand_in_one_table() -> None:
    first, second = drawn("y = a - 3")[:2]
    told = table([Fate(first, "survived"), Fate(second, "untested"), Fate(first, "noticed", "test_x")])
    assert told.splitlines()[2:] == [
        f"| x.py:1 | {first.kind} | `{first.change}` | survived |",
        f"| x.py:1 | {second.kind} | `{second.change}` | untested |",
    ]
