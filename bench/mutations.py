"""Single small changes of a source file, such as a careless refactoring brings: what `bench.mutate` tries.

Each kind of change is a generator of `Edit`s for one node of the syntax tree. What can't change anything that is
promised is skipped: docstrings, annotations, log lines, messages of errors, help texts, decorators of dataclasses,
wording in general (a text is changed only where it is a name: a column, a key, a mode), and how graphs look.
"""

from __future__ import annotations

import ast
import copy
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

LOGS = {"log", "logger", "logging", "warnings"}
WORDING = {"help", "metavar", "epilog", "short_help", "description", "detail", "title", "caption", "alt"}
LOOKS = {
    "color", "colors", "c", "fontsize", "size", "s", "linewidth", "lw", "linewidths", "alpha", "zorder", "ha",
    "va", "marker", "markersize", "dpi", "figsize", "pad", "labelpad", "edgecolor", "facecolor", "linestyle",
    "cmap", "fontweight", "weight", "rotation", "bbox_to_anchor", "loc", "frameon", "capsize", "height", "width",
    "hspace", "wspace", "ncol", "ncols", "borderaxespad", "clip_on", "style", "indent", "bbox_inches", "layout",
    "aspect", "annotation_clip", "textcoords", "arrowprops", "xytext", "axis", "which", "length",
    "markerfacecolor", "markeredgecolor", "mec", "mfc", "ls", "labelsize", "left", "right", "top", "bottom",
}  # fmt: skip
NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*")
OTHER_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
OTHER_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift,
    ast.RShift: ast.LShift, ast.MatMult: ast.Mult,
}  # fmt: skip
OTHER_FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any", "minimum": "maximum", "maximum": "minimum",
                   "floor": "ceil", "ceil": "floor", "argmin": "argmax", "argmax": "argmin",
                   "startswith": "endswith", "endswith": "startswith", "fullmatch": "match"}  # fmt: skip
SYMMETRIC = {"min", "max", "minimum", "maximum", "isclose", "gcd", "logaddexp", "samefile"}
UNORDERED = {"sorted", "reversed"}
FILTERS = {"strip", "lstrip", "rstrip", "lower", "upper", "casefold", "with_for_update", "where", "order_by", "limit",
           "distinct", "copy", "resolve", "abs"}  # fmt: skip


@dataclass(frozen=True)
class Edit:
    """A node's replacement; none where it is left out."""

    kind: str
    after: ast.AST


@dataclass(frozen=True)
class Site:
    """A place in the tree that can be changed: `holder.field` or `holder.field[index]`, and its statement's lines."""

    holder: ast.AST
    field: str
    index: int | None
    lines: range

    @property
    def node(self) -> ast.AST:
        held = getattr(self.holder, self.field)
        found = held if self.index is None else held[self.index]
        assert isinstance(found, ast.AST)
        return found

    def put(self, node: ast.AST) -> None:
        if self.index is None:
            setattr(self.holder, self.field, node)
        else:
            getattr(self.holder, self.field)[self.index] = node


@dataclass(frozen=True, eq=False)
class Mutant:
    """One file with one small change."""

    path: str  # within the tree, with slashes
    line: int
    lines: range  # of the statement; where a test ran any of them, it covers the change
    kind: str
    change: str  # before → after, each cut to a line
    place: int  # which of the file's changes that read the same, from the top
    tree: ast.Module
    site: Site
    after: ast.AST

    @property
    def name(self) -> tuple[str, str, str, int]:
        """What it is recognised by after lines have moved."""
        return self.path, self.kind, self.change, self.place

    def source(self) -> str | None:
        """The file with the change, without its comments; none where Python can't read it or it is the same."""
        before, node = ast.unparse(self.tree), self.site.node
        self.site.put(self.after)
        after = ast.unparse(self.tree)
        self.site.put(node)
        try:
            compile(after, self.path, "exec")
        except SyntaxError:
            return None
        return None if after == before else after


def mutants(path: str, source: str, rng: random.Random) -> list[Mutant]:
    """One change for every place of a file that can be changed, drawn by `rng` among those that the place allows."""
    tree = ast.parse(source)
    found: list[Mutant] = []
    seen: dict[tuple[str, str], int] = {}
    for site in _statements(tree):
        edits = list(_edits(site))
        if not edits:
            continue
        node, edit = site.node, rng.choice(edits)
        ast.fix_missing_locations(ast.copy_location(edit.after, node))
        change = f"{_short(node)} → {_short(edit.after)}"
        place = seen[edit.kind, change] = seen.get((edit.kind, change), -1) + 1
        line = getattr(node, "lineno", site.lines.start)
        line = line if line in site.lines else site.lines.start  # inside an f-string, Python 3.11 knows no lines
        found.append(Mutant(path, line, site.lines, edit.kind, change, place, tree, site, edit.after))
    return found


def _statements(owner: ast.AST) -> Iterator[Site]:
    for field, value in ast.iter_fields(owner):
        if not isinstance(value, list):
            continue
        for index, node in enumerate(value):
            if isinstance(node, ast.stmt):
                yield from _of_statement(owner, field, index, node)
            elif isinstance(node, ast.ExceptHandler | ast.match_case):
                yield from _statements(node)


def _of_statement(owner: ast.AST, field: str, index: int, node: ast.stmt) -> Iterator[Site]:
    if _is_silent(node):
        return
    body = getattr(node, "body", None)
    last = body[0].lineno - 1 if body else node.end_lineno or node.lineno
    lines = range(node.lineno, max(node.lineno, last) + 1)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from _expressions(node.args, lines)  # defaults
    elif not isinstance(node, ast.ClassDef):
        yield Site(owner, field, index, lines)
        yield from _expressions(node, lines)
    if body:
        yield from _statements(node)


def _expressions(owner: ast.AST, lines: range) -> Iterator[Site]:
    for field, value in ast.iter_fields(owner):
        if field in {"annotation", "returns", "decorator_list", "format_spec", "ctx"} or _is_wording(owner, field):
            continue
        nodes: list[tuple[int | None, object]] = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
        for index, node in nodes:
            if isinstance(node, ast.expr):
                yield Site(owner, field, index, lines)
            if isinstance(node, ast.AST) and not isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case):
                yield from _expressions(node, lines)


def _is_silent(node: ast.stmt) -> bool:
    """Imports, docstrings, log lines, `if TYPE_CHECKING`, `__all__`: nothing that a test could notice."""
    if isinstance(node, ast.Import | ast.ImportFrom | ast.Global | ast.Nonlocal | ast.Pass | ast.Assert):
        return True
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    if isinstance(node, ast.Assign):
        return any(isinstance(one, ast.Name) and one.id.startswith("__") for one in node.targets)
    if not isinstance(node, ast.Expr):
        return False
    call = node.value
    if isinstance(call, ast.Call):
        owner = call.func.value if isinstance(call.func, ast.Attribute) else call.func
        return isinstance(owner, ast.Name) and owner.id in LOGS
    return isinstance(call, ast.Constant)


def _is_wording(owner: ast.AST, field: str) -> bool:
    if isinstance(owner, ast.Raise):
        return True
    if isinstance(owner, ast.keyword):
        return owner.arg in WORDING | LOOKS
    return isinstance(owner, ast.AnnAssign) and field == "target"


def _edits(site: Site) -> Iterator[Edit]:
    node = site.node
    for kind in KINDS:
        yield from kind(node, site)


def _comparison(node: ast.AST, _: Site) -> Iterator[Edit]:
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            for other in OTHER_COMPARISONS[type(operator)]:
                changed = copy.deepcopy(node)
                changed.ops[place] = other()
                yield Edit("comparison", changed)


def _logic(node: ast.AST, site: Site) -> Iterator[Edit]:
    if isinstance(node, ast.BoolOp):
        changed = copy.deepcopy(node)
        changed.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield Edit("and/or", changed)
        for place in range(len(node.values)):
            left = [value for index, value in enumerate(node.values) if index != place]
            yield Edit("condition dropped", left[0] if len(left) == 1 else ast.BoolOp(node.op, left))
    if isinstance(node, ast.UnaryOp):
        yield Edit("sign or not dropped", node.operand)
    if isinstance(site.holder, ast.If | ast.While | ast.IfExp) and isinstance(node, ast.expr) and site.field == "test":
        yield Edit("condition negated", ast.UnaryOp(ast.Not(), node))
    if isinstance(site.holder, ast.comprehension) and site.field == "ifs":
        yield Edit("filter dropped", ast.Constant(value=True))


def _arithmetic(node: ast.AST, _: Site) -> Iterator[Edit]:
    if isinstance(node, ast.BinOp) and not _is_text(node.left) and not _is_text(node.right):
        changed = copy.deepcopy(node)
        changed.op = OTHER_OPERATORS.get(type(node.op), ast.Add)()
        yield Edit("operator", changed)


def _constant(node: ast.AST, site: Site) -> Iterator[Edit]:
    if not isinstance(node, ast.Constant) or isinstance(site.holder, ast.JoinedStr | ast.Expr) or _draws(site.holder):
        return
    value = node.value
    if isinstance(value, bool):
        yield Edit("constant", ast.Constant(value=not value))
    elif isinstance(value, int):
        yield Edit("constant", ast.Constant(value=value + 1))
        yield Edit("constant", ast.Constant(value=value - 1))
    elif isinstance(value, float):
        yield Edit("constant", ast.Constant(value=value * 1.25 if value else 1.0))
    elif isinstance(value, str) and NAME.fullmatch(value) and value.islower():
        yield Edit("name", ast.Constant(value=value + "_"))


def _call(node: ast.AST, _: Site) -> Iterator[Edit]:
    if not isinstance(node, ast.Call):
        return
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    if name in OTHER_FUNCTIONS:
        yield Edit("other function", _calling(node, OTHER_FUNCTIONS[name]))
    if isinstance(node.func, ast.Name) and name in UNORDERED:
        yield Edit("order dropped", ast.Call(ast.Name("list", ast.Load()), node.args[:1], []))
    if isinstance(node.func, ast.Attribute) and name in FILTERS:
        yield Edit("call dropped", node.func.value)
    for place, (left, right) in enumerate(zip(node.args, node.args[1:], strict=False)):
        if name not in SYMMETRIC and not any(
            isinstance(one, ast.Constant | ast.Starred | ast.JoinedStr) for one in (left, right)
        ):
            changed = copy.deepcopy(node)
            changed.args[place : place + 2] = [right, left]
            yield Edit("arguments swapped", changed)
    for place, keyword in enumerate(node.keywords):
        if keyword.arg is not None and keyword.arg not in WORDING | LOOKS | {"strict", "encoding"}:
            changed = copy.deepcopy(node)
            del changed.keywords[place]
            yield Edit("argument dropped", changed)


def _slice(node: ast.AST, _: Site) -> Iterator[Edit]:
    if isinstance(node, ast.Slice):
        for bound in ("lower", "upper", "step"):
            if getattr(node, bound) is not None:
                changed = copy.deepcopy(node)
                setattr(changed, bound, None)
                yield Edit("bound dropped", changed)


def _statement(node: ast.AST, _: Site) -> Iterator[Edit]:
    if isinstance(node, ast.Return) and node.value is not None and not _is_constant(node.value, None):
        yield Edit("return value", ast.Return(ast.Constant(value=None)))
    if isinstance(node, ast.Continue | ast.Break | ast.Raise | ast.AugAssign | ast.Delete):
        yield Edit("statement dropped", ast.Pass())
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await):
        yield Edit("statement dropped", ast.Pass())
    if isinstance(node, ast.Assign) and all(isinstance(one, ast.Attribute | ast.Subscript) for one in node.targets):
        yield Edit("statement dropped", ast.Pass())
    if isinstance(node, ast.If) and not node.orelse and isinstance(node.body[-1], ast.Return | ast.Continue):
        yield Edit("early end dropped", ast.Pass())
    if isinstance(node, ast.AugAssign):
        yield Edit("operator", ast.Assign([node.target], node.value))


KINDS: tuple[Callable[[ast.AST, Site], Iterator[Edit]], ...] = (
    _comparison, _logic, _arithmetic, _constant, _call, _slice, _statement,
)  # fmt: skip


def _draws(node: ast.AST) -> bool:
    """A call of a method of matplotlib's: its numbers and words are looks."""
    owner = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
    return isinstance(owner, ast.Name) and owner.id in {"axes", "figure"}


def _calling(node: ast.Call, name: str) -> ast.Call:
    changed = copy.deepcopy(node)
    if isinstance(changed.func, ast.Attribute):
        changed.func.attr = name
    else:
        changed.func = ast.Name(name, ast.Load())
    return changed


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _is_constant(node: ast.AST, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _short(node: ast.AST, most: int = 70) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= most else text[: most - 1] + "…"
