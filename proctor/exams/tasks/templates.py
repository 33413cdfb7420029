"""Templates of task files: Jinja in a sandbox, with an allow-list that is checked when one is read. Pure.

The environment is that of lm-evaluation-harness 0.4.13 (`StrictUndefined`, the last newline kept, a filter
`regex_replace`). Beyond Jinja's sandbox there is an allow-list of nodes, filters, tests and methods: no multiplication,
macro, import or format; nothing but `range` is called that is no method of the list. A text that grows beyond
`LONGEST_TEXT`, or a loop of more than `MOST_STEPS` in all, ends in an error. Chat templates need far more and are
rendered in a process of their own (decision 22).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from proctor.errors import BadExam, first_line
from proctor.exams.judging.patterns import pattern_of
from proctor.exams.reading.problems import shown

LONGEST_TEXT = 4 << 20  # characters, of a rendered text and of each text on the way
LONGEST_TEMPLATE = 200_000  # characters
MOST_STEPS = 200_000  # of all loops of one rendering
_STEPS = "steps_of_a_loop"  # a filter of ours, put around what is looped over


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NODES = _words(
    "Template Output TemplateData Name Const Add Sub Neg Getitem Getattr Slice List Tuple Dict Pair Call Keyword "
    "Filter Test Not And Or If CondExpr Compare Operand Assign For"
)
FILTERS = _words("string length count int list join map replace trim lower upper first last regex_replace")
TESTS = _words("none defined undefined string mapping in")
METHODS = _words(
    "strip lstrip rstrip index find count split rsplit splitlines replace join capitalize lower upper title startswith "
    "endswith removeprefix removesuffix isdigit get"
)
GLOBALS = frozenset({"range"})


@dataclass(frozen=True)
class Template:
    """A template that was read: `label` names the file and key in what is said of it."""

    source: str
    label: str

    def render(self, row: Mapping[str, object]) -> str:
        """The text for a row's columns. Raises `BadExam` for a column that isn't there, and for whatever fails."""
        try:
            written = 0
            pieces = []
            for piece in _compiled(self.source).generate(**row, **{_STEPS: _Steps()}):
                pieces.append(piece)
                written += _within(len(piece), written)
            return "".join(pieces)
        except Exception as error:
            raise BadExam(
                f"{self.label} can't be rendered: {first_line(error)}.", f"The template: {shown(self.source, 120)}."
            ) from error


def read_template(source: str, label: str) -> Template:
    """The template of a file. Raises `BadExam`, naming it, for what is no Jinja, and for what isn't allowed."""
    if len(source) > LONGEST_TEMPLATE:
        raise BadExam(f"{label} has {len(source):,} characters; a template has {LONGEST_TEMPLATE:,} at most.")
    try:
        refused = _refused(source)
    except (jinja2.TemplateError, RecursionError, ValueError, OverflowError) as error:
        raise BadExam(f"{label} is no template of Jinja: {first_line(error)}.", _NEXT) from error
    if refused:
        raise BadExam(f"{label} uses {', '.join(refused)}, which templates of tasks may not.", _NEXT)
    return Template(source, label)


_NEXT = "Leave it out, or change the data set's rows instead."


@lru_cache(maxsize=4096)
def _refused(source: str) -> tuple[str, ...]:
    """What a template uses that isn't allowed, in words, each once."""
    tree = _ENVIRONMENT.parse(source)
    return tuple(dict.fromkeys(name for node in tree.find_all(nodes.Node) for name in _objections(node)))


def _objections(node: nodes.Node) -> Iterator[str]:
    kind = type(node).__name__
    if kind not in NODES:
        yield kind
    check = _CHECKS.get(type(node))
    if check:
        yield from check(node)


def _of_filter(node: Any) -> Iterator[str]:
    if node.name not in FILTERS:
        yield f"the filter {node.name!r}"
    if node.dyn_args or node.dyn_kwargs:
        yield "arguments by *"
    if node.name == "map" and (node.args or [one.key for one in node.kwargs] != ["attribute"]):
        yield "the filter 'map' for more than an attribute"
    if node.name == "map":
        for one in node.kwargs:
            if not isinstance(one.value, nodes.Const) or not _is_plain(one.value.value):
                yield "the filter 'map' with an attribute that isn't a plain name"


def _of_test(node: Any) -> Iterator[str]:
    if node.name not in TESTS:
        yield f"the test {node.name!r}"


def _of_call(node: Any) -> Iterator[str]:
    if node.dyn_args or node.dyn_kwargs:
        yield "arguments by *"
    called = node.node
    if isinstance(called, nodes.Getattr):
        if called.attr not in METHODS:
            yield f"the method {called.attr!r}"
    elif not isinstance(called, nodes.Name):
        yield "a call of something that has no name"
    elif called.name not in GLOBALS:
        yield f"the function {called.name!r}"


def _of_getattr(node: Any) -> Iterator[str]:
    if not _is_plain(node.attr):
        yield f"the attribute {node.attr!r}"


def _of_getitem(node: Any) -> Iterator[str]:
    if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str) and not _is_plain(node.arg.value):
        yield f"the item {node.arg.value!r}"


def _of_name(node: Any) -> Iterator[str]:
    if node.name == _STEPS or node.name.startswith("__") or (node.ctx == "store" and node.name in GLOBALS):
        yield f"the name {node.name!r}"


def _of_for(node: Any) -> Iterator[str]:
    if node.recursive:
        yield "a recursive loop"


_CHECKS: Mapping[type[nodes.Node], Callable[[Any], Iterator[str]]] = {
    nodes.Filter: _of_filter,
    nodes.Test: _of_test,
    nodes.Call: _of_call,
    nodes.Getattr: _of_getattr,
    nodes.Getitem: _of_getitem,
    nodes.Name: _of_name,
    nodes.For: _of_for,
}


def _is_plain(name: object) -> bool:
    return isinstance(name, str) and not name.startswith("_") and "._" not in name


class _TooMuch(Exception):
    """A text that grew too long, or a loop that went on too long."""


class _Steps:
    """Counts the steps of all loops of one rendering."""

    def __init__(self) -> None:
        self.left = MOST_STEPS

    def count(self, items: Iterable[object]) -> Iterator[object]:
        for item in items:
            self.left -= 1
            if self.left < 0:
                raise _TooMuch(f"its loops take more than {MOST_STEPS:,} steps")
            yield item


def _within(length: int, so_far: int = 0) -> int:
    if so_far + length > LONGEST_TEXT:
        raise _TooMuch(f"its text grows beyond {LONGEST_TEXT:,} characters")
    return length


def _bounded_replace(text: str, old: str, new: str, count: int = -1) -> str:
    text, old, new = str(text), str(old), str(new)
    found = text.count(old) if old else len(text) + 1
    _within(len(text) + max(0, len(new) - len(old)) * found)
    return text.replace(old, new, count)


def _bounded_join(items: Iterable[object], between: str = "", attribute: None = None) -> str:  # noqa: ARG001 -- Jinja's
    texts = [str(one) for one in items]
    _within(sum(map(len, texts)) + len(str(between)) * len(texts))
    return str(between).join(texts)


def _regex_replace(text: str, pattern: str, by: str, count: int = 0) -> str:
    _within(len(text) + (len(text) + 1) * len(by))
    return pattern_of(pattern).sub(by, text, count)


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if isinstance(left, str | list) and isinstance(right, str | list):
            _within(len(left) + len(right))
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        owner, name = getattr(obj, "__self__", None), getattr(obj, "__name__", "")
        if isinstance(owner, str) and name == "replace":
            return _bounded_replace(owner, *args, **kwargs)
        if isinstance(owner, str) and name == "join":
            return _bounded_join(args[0], owner)
        return super().call(context, obj, *args, **kwargs)


def _environment() -> _Environment:
    made = _Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    made.filters.update(replace=_bounded_replace, join=_bounded_join, regex_replace=_regex_replace)
    made.filters[_STEPS] = lambda items, steps: steps.count(items)
    return made


_ENVIRONMENT = _environment()


@lru_cache(maxsize=1000)
def _compiled(source: str) -> jinja2.Template:
    tree = _ENVIRONMENT.parse(source)
    for loop in list(tree.find_all(nodes.For)):
        loop.iter = nodes.Filter(loop.iter, _STEPS, [nodes.Name(_STEPS, "load")], [], None, None)
    tree.set_environment(_ENVIRONMENT)
    code = _ENVIRONMENT.compile(tree)
    return jinja2.Template.from_code(_ENVIRONMENT, code, _ENVIRONMENT.make_globals(None))
