"""Which tests run which lines of the sources, and how long each takes: measured once a test file, and kept.

A test file is run in a process of its own under coverage, with a context for each test. What runs while the file is
read, in a fixture, or in a process that a test starts counts as run by all tests of the file.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree as Xml

from coverage import CoverageData

ROOMS = ("proctor", "scheduler", "workers", "analysis", "chat")
WITHOUT = ("-p", "no:randomly", "-p", "no:cacheprovider", "-q", "--tb=no")


@dataclass(frozen=True)
class Measured:
    """What one test file runs."""

    tests: str  # path of the file, within the tree
    digest: str  # of its text
    sources: Mapping[str, str]  # digests of all sources then, also of those that it doesn't run
    seconds: Mapping[str, float]  # of each test that passed
    lines: Mapping[str, Mapping[str, Sequence[str]]]  # source → line → tests; a file's own path stands for all of it


@dataclass
class Covering:
    """The tests that run a line, quickest first."""

    measured: list[Measured] = field(default_factory=list)

    def tests_of(self, source: str, lines: Iterable[int]) -> list[str]:
        """Tests that run any of these lines; those named by the line itself before those of a shared fixture."""
        near: dict[str, float] = {}
        far: dict[str, float] = {}
        for one in self.measured:
            named = one.lines.get(source, {})
            tests = {test for line in lines for test in named.get(str(line), ())}
            near |= {test: one.seconds[test] for test in tests if test in one.seconds}
            if one.tests in tests:
                far |= dict(one.seconds)
        rest = {test: seconds for test, seconds in far.items() if test not in near}
        return [*sorted(near, key=near.__getitem__), *sorted(rest, key=rest.__getitem__)]

    def seconds(self, test: str) -> float:
        return next((one.seconds[test] for one in self.measured if test in one.seconds), 0.0)


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()[:16]


def measure(
    tree: Path, tests: Sequence[str], changed: Iterable[str], kept: Path, environment: Mapping[str, str]
) -> Covering:
    """Measure these test files in `tree`, for sources to be changed.

    What was measured before is taken from `kept`, where neither the test file nor any of these sources is another.
    """
    asked = sorted(set(changed))
    covering = Covering()
    kept.mkdir(parents=True, exist_ok=True)
    for path in tests:
        record = kept / (re.sub(r"\W", "_", path) + ".json")
        one = _read(record, tree, path, asked)
        if one is None:
            print(f"measuring {path} ...", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(prefix="covering-") as folder:
                one = _measure(tree, path, Path(folder), environment)
            record.write_text(json.dumps(asdict(one)), encoding="utf-8")
        covering.measured.append(one)
    return covering


def _read(record: Path, tree: Path, path: str, changed: Sequence[str]) -> Measured | None:
    if not record.exists():
        return None
    one = Measured(**json.loads(record.read_text(encoding="utf-8")))
    same = all(one.sources.get(source) == digest(tree / source) for source in changed)
    return one if same and one.digest == digest(tree / path) else None


def _measure(tree: Path, path: str, folder: Path, environment: Mapping[str, str]) -> Measured:
    data, report, settings = (folder / name for name in ("coverage.data", "report.xml", "coverage.toml"))
    settings.write_text(
        f"[tool.coverage.run]\nparallel = true\ncontext = {json.dumps(path)}\ndata_file = {json.dumps(str(data))}\n"
        f'source = {json.dumps(list(ROOMS))}\npatch = ["subprocess", "fork"]\n',
        encoding="utf-8",
    )
    subprocess.run(
        [sys.executable, "-m", "pytest", path, *WITHOUT, "--cov", f"--cov-config={settings}", "--cov-context=test",
         "--cov-report=", f"--junitxml={report}", "-o", "junit_family=xunit1"],
        cwd=tree, env=dict(environment), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    lines = _lines(tree, path, data)
    sources = {str(one.relative_to(tree)): digest(one) for room in ROOMS for one in (tree / room).rglob("*.py")}
    return Measured(path, digest(tree / path), sources, _seconds(report, path), lines)


def _lines(tree: Path, path: str, data: Path) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for part in data.parent.glob(f"{data.name}*"):
        read = CoverageData(basename=str(part))
        read.read()
        for measured in read.measured_files():
            source = os.path.relpath(measured, tree)
            if source.startswith("..") or not (tree / source).exists():
                continue
            for line, contexts in read.contexts_by_lineno(measured).items():
                found[source][str(line)] |= {name for context in contexts for name in _tests(context, path)}
    return {source: {line: sorted(tests) for line, tests in by_line.items()} for source, by_line in found.items()}


def _tests(context: str, path: str) -> tuple[str, ...]:
    """The test of a context `file|test|phase`; a fixture's setup is shared, and so is what has no test."""
    _, _, told = context.partition("|")
    test, _, phase = told.rpartition("|")
    if not test:
        return (path,)
    return (test,) if phase == "run" else (test, path)


def _seconds(report: Path, path: str) -> dict[str, float]:
    if not report.exists():
        return {}
    passed: dict[str, float] = {}
    for case in Xml.parse(report).iter("testcase"):  # noqa: S314 -- pytest's own, of a moment ago
        owner = case.get("classname", "").removeprefix(path.removesuffix(".py").replace("/", ".")).strip(".")
        name = "::".join(part for part in (path, owner.replace(".", "::"), case.get("name", "")) if part)
        if not [child for child in case if child.tag in {"failure", "error", "skipped"}]:
            passed[name] = float(case.get("time", "0"))
        elif any(child.tag != "skipped" for child in case):
            print(f"  {name} fails as it is: left out", file=sys.stderr)
    return passed
