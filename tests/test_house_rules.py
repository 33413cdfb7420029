"""The house rules that no further tool holds: sizes, light imports, names, help and docs that agree with the code."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path

import click
import pytest

from proctor.cli import COMMANDS, command
from tests.support import ROOT

ROOMS = ("proctor", "scheduler", "workers", "analysis", "chat")
FILE_LIMIT, USUAL = 500, 300
SOURCES = sorted(path for room in (*ROOMS, "tests", "bench") for path in (ROOT / room).rglob("*.py"))
MAIN_JOB = "workers/sit.py"
DOCS = ROOT / "docs"


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_a_file_is_one_sitting() -> None:
    assert [path for path in SOURCES if lines(path) > FILE_LIMIT] == []


def test_most_files_are_short() -> None:
    long = [str(path.relative_to(ROOT)) for path in SOURCES if lines(path) > USUAL]
    assert len(long) <= len(SOURCES) // 8, long


def test_every_module_says_what_it_is_for() -> None:
    empty_packages = {ROOT / "tests" / "__init__.py"}
    silent = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if path not in empty_packages
        and path.stat().st_size
        and not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert silent == []


def test_no_module_is_named_for_nothing() -> None:
    vague = {"utils", "helpers", "common", "manager", "misc"}
    assert [path for path in SOURCES if path.stem in vague] == []


def imported(path: Path, modules: Mapping[str, Path]) -> set[str]:
    """The modules of ours that one imports, anywhere in its file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            wholes = {f"{node.module}.{alias.name}" for alias in node.names} & modules.keys()
            found |= wholes or {str(node.module)}
    return found & modules.keys()


def test_no_modules_import_each_other_in_a_circle() -> None:
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
    }
    TopologicalSorter(
        {name: imported(path, modules) for name, path in modules.items()}
    ).prepare()  # CycleError names one


PLACES = re.findall(
    r"`((?:proctor|scheduler|workers|analysis|chat)\.[\w.]+):(\w+)`", (DOCS / "architecture.md").read_text("utf-8")
)
# Of `docs/experiments.md` each entry is of its day.
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(page for page in DOCS.glob("*.md") if page.stem != "experiments"),
]
FILES = {
    place
    for page in PAGES
    for place in re.findall(
        r"`((?:proctor|scheduler|workers|analysis|chat|bench|tests|docs|examples)/[\w./*-]*)`", page.read_text("utf-8")
    )
}
NAMES = re.findall(r"`([\w.]+)` in `([\w/]+\.py)`", (DOCS / "architecture.md").read_text("utf-8"))


@pytest.mark.parametrize(("module", "name"), PLACES)
def test_a_word_of_the_architecture_page_is_the_name_of_a_class(module: str, name: str) -> None:
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text("utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.ClassDef)}


@pytest.mark.parametrize("place", sorted(FILES))
def test_a_path_that_a_page_names_is_there(place: str) -> None:
    assert list(ROOT.glob(place.rstrip("/")))


def defined(body: Sequence[ast.stmt], within: str = "") -> set[str]:
    """Functions, classes, methods as `Class.method`, and constants."""
    found = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(within + node.name)
        if isinstance(node, ast.ClassDef):
            found |= defined(node.body, f"{node.name}.")
        if isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


@pytest.mark.parametrize(("name", "file"), NAMES)
def test_what_the_architecture_page_places_in_a_file_is_defined_there(name: str, file: str) -> None:
    assert name in defined(ast.parse((ROOT / file).read_text("utf-8")).body)


def test_the_main_job_is_one_short_function() -> None:
    tree = ast.parse((ROOT / MAIN_JOB).read_text("utf-8"))
    (sit,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "sit"]
    assert sit.end_lineno is not None
    assert sit.end_lineno - sit.lineno < 35


@pytest.mark.parametrize(
    "module",
    [
        "proctor.cli",
        "scheduler.cli",
        "analysis.cli",
        "workers.cli",
        "scheduler.submit",
        "proctor.broker.app",
        "chat.terminal.start",
        "chat.protocol.answers",
        "workers.drain",
        "workers.models.held",
    ],
)
def test_nothing_but_engines_imports_torch(module: str) -> None:
    program = f"import sys, {module}; sys.exit(' '.join(sorted({{'torch', 'transformers'}} & set(sys.modules))) or 0)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("module", ["proctor.cli", *sorted({place.partition(":")[0] for place in COMMANDS.values()})])
def test_a_command_line_imports_click_and_the_standard_library_only(module: str) -> None:
    program = (
        f"import sys; before = set(sys.modules); import {module}; "
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"click", "proctor", "scheduler", "analysis", "workers", "chat", "colorama"}


def origins(*before: Path) -> dict[str, Path]:
    """The file that each of our names is imported from by a process elsewhere that looks into `before` first."""
    program = f"import importlib.util; print(*(importlib.util.find_spec(room).origin for room in {ROOMS}), sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd="/",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, before))},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip(ROOMS, map(Path, done.stdout.splitlines()), strict=True))


def test_our_names_on_the_import_path_are_only_ours(tmp_path: Path) -> None:
    owners = importlib.metadata.packages_distributions()
    assert owners["click"] == ["click"]  # it is the list of what is installed
    assert [owners[room] for room in ROOMS if owners.get(room, ["proctor-exams"]) != ["proctor-exams"]] == []
    # An installation that can be edited lists none of its files, so that what is found is looked at, too.
    distribution = importlib.metadata.distribution("proctor-exams")
    installed = {Path(str(file.locate())).resolve() for file in distribution.files or ()}
    ours = {room: ROOT / room / "__init__.py" for room in ROOMS}
    assert {room: file for room, file in origins().items() if file not in (installed | {ours[room]})} == {}
    (tmp_path / "chat.py").touch()
    assert origins(tmp_path) == {**origins(), "chat": tmp_path / "chat.py"}  # a stranger would be seen


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_and_stands_in_the_readme(name: str) -> None:
    found = command(COMMANDS[name])
    assert "Example" in (found.help or "")
    assert f"proctor {name}" in (ROOT / "README.md").read_text("utf-8")
    undocumented = [p.name for p in found.params if isinstance(p, click.Option) and not p.help]
    assert undocumented == []


def test_every_setting_stands_in_the_readme() -> None:
    source = (ROOT / "proctor" / "settings.py").read_text("utf-8")
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [name for name in sorted(set(re.findall(r"PROCTOR_[A-Z_]+", source))) if name not in readme] == []


def test_every_exception_to_the_linter_gives_its_reason() -> None:
    bare = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if re.search(r"# noqa(?!: [A-Z]+\d+(, ?[A-Z]+\d+)* -- \S)|# type: ignore(?!\[)", line)
        and path != Path(__file__)
    ]
    assert bare == []
