"""Data that stands in a Python file, read as data: nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

from proctor.errors import BadExam
from proctor.exams.tasks.task_files import Reference, sha256_of


def literals_of(reference: Reference) -> list[object]:
    """The list that the function of a task file returns. Raises `BadExam` where it isn't one return of literals."""
    body = [node for node in _body(reference) if not isinstance(node, ast.Expr)]  # a docstring is one
    value = _literal(body[0].value) if len(body) == 1 and isinstance(body[0], ast.Return) else None
    if not isinstance(value, list):
        raise BadExam(f"{reference.name} is no function that returns a list of literals.")
    return value


def assigned_in(reference: Reference, name: str) -> str:
    """The text that the function of a task file assigns to a name. Raises `BadExam` where it assigns none."""
    text = _assigned(_body(reference), name)
    if not isinstance(text, str):
        raise BadExam(f"{reference.name} assigns no text to {name}.")
    return text


def constant_of(path: Path, name: str, sha256: str) -> object:
    """The literal that a Python file of this sha256 assigns to a name. Raises `BadExam` for another file."""
    if sha256_of(path) != sha256:
        raise BadExam(f"{path} isn't the file of lm_eval 0.4.13.", "Take its task files as they are.")
    return _assigned(_tree(path).body, name)


def _assigned(body: Sequence[ast.stmt], name: str) -> object:
    for node in body:
        if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id == name for one in node.targets):
            return _literal(node.value)
    return None


def _body(reference: Reference) -> Sequence[ast.stmt]:
    name = reference.name.rpartition(".")[2]
    for node in _tree(reference.file).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node.body
    return ()


def _tree(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError) as error:
        raise BadExam(f"{path} is no Python file that can be read.") from error


def _literal(node: ast.expr | None) -> object:
    try:
        return None if node is None else ast.literal_eval(node)
    except (ValueError, RecursionError):
        return None
