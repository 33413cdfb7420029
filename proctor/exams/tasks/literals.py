"""Data that stands in a Python file, read as data: the list of literals that a function does nothing but return."""

from __future__ import annotations

import ast

from proctor.errors import BadExam
from proctor.exams.tasks.task_files import Reference


def literals_of(reference: Reference) -> list[object]:
    """The list that the function of a task file returns. Nothing is run.

    Raises
    ------
    BadExam
        where the file can't be read, or the function isn't one `return` of a list of literals.
    """
    name = reference.name.rpartition(".")[2]
    try:
        tree = ast.parse(reference.file.read_bytes())
        (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
        (returned,) = [node for node in function.body if isinstance(node, ast.Return) and node.value]
        value = ast.literal_eval(returned.value) if returned.value else None
    except (OSError, SyntaxError, ValueError, RecursionError) as error:
        raise BadExam(f"{reference.name} is no function that returns a list of literals.") from error
    if not isinstance(value, list):
        raise BadExam(f"{reference.name} returns no list of literals.")
    return value
