"""Would the tests notice? Single small changes of a room's sources, one at a time, and which of them no test notices.

    python -m bench.mutate analysis --sample 80 --seed 1
    python -m bench.mutate workers --tests 'tests/unit/workers/*' --tests 'tests/integration/test_sit*.py'
    python -m bench.mutate analysis --again survivors.jsonl     # what survived then, after tests were written

Works in a copy of the tree, never in place. The tests are run once under coverage, to know which of them run a line and
how long each takes (kept in .cache/mutate until the files change). Each change then meets the tests that run its
line, quickest first, in a forked process with the libraries already loaded, up to the first that fails. A test
that notices must pass without the change in the same way, or it is set aside.

Prints a JSON line a change and a summary line at the end; --table prints those that survived as Markdown. "untested"
are changes on lines that no test runs; they count as not noticed. A change at which the same test hangs twice, and
ends without the change, counts as noticed: whether the change explains the hang is for whoever reads the line.
What is never tried stands in `bench.mutations`; decorators are left alone too.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from bench.covering import Covering, measure
from bench.forked import COLLECTION, Forked, stop_children
from bench.mutations import Mutant, mutants

ROOT = Path(__file__).resolve().parent.parent
NOTICED = {"noticed", "hangs"}


@dataclass(frozen=True)
class Fate:
    """What became of a change."""

    mutant: Mutant
    outcome: str  # noticed, survived, untested, hangs
    by: str = ""
    seconds: float = 0.0

    def line(self) -> str:
        one = self.mutant
        return json.dumps(
            {"at": f"{one.path}:{one.line}", "kind": one.kind, "change": one.change, "place": one.place,
             "outcome": self.outcome, "by": self.by, "seconds": round(self.seconds, 1)}, ensure_ascii=False
        )  # fmt: skip


@dataclass
class Trial:
    """The copy of the tree, the tests that may be asked, and those that proved unfit."""

    tree: Path
    covering: Covering
    forked: Forked
    budget_s: float
    sound: set[str] = field(default_factory=set)
    unsound: set[str] = field(default_factory=set)
    texts: int = 0

    def fate(self, mutant: Mutant, source: str) -> Fate:
        """Try one change; the file is as it was afterwards."""
        tests = self._within_budget(self.covering.tests_of(mutant.path, mutant.lines))
        if not tests:
            return Fate(mutant, "untested")
        begun = time.monotonic()
        with self._changed(self.tree / mutant.path, source):
            ended = self.forked.run(tests, self._limit)
            if ended.hung:  # a busy machine, or the change? The rest is run as well where it hangs no more
                ended = self.forked.run([ended.failed, *(one for one in tests if one != ended.failed)], self._limit)
        seconds = time.monotonic() - begun
        if not ended.failed:
            return Fate(mutant, "survived", seconds=seconds)
        if self._is_sound(ended.failed, tests):
            return Fate(mutant, "hangs" if ended.hung else "noticed", ended.failed, seconds)
        print(f"{ended.failed} fails without any change, too: set aside", file=sys.stderr)
        self.unsound.add(ended.failed)
        return self.fate(mutant, source)

    @contextmanager
    def _changed(self, path: Path, source: str) -> Iterator[None]:
        """The file with another text. Compiled files are told apart by a source's time, so each text has its own."""
        kept, status = path.read_bytes(), path.stat()
        self.texts += 1
        path.write_text(source, encoding="utf-8")
        os.utime(path, (status.st_atime, status.st_mtime + self.texts))
        try:
            yield
        finally:
            path.write_bytes(kept)
            os.utime(path, (status.st_atime, status.st_mtime))

    def _within_budget(self, tests: Sequence[str]) -> list[str]:
        chosen: list[str] = []
        spent = 0.0
        for test in tests:
            spent += self.covering.seconds(test)
            if test not in self.unsound and (spent <= self.budget_s or not chosen):
                chosen.append(test)
        return chosen

    def _limit(self, test: str) -> float:
        """Far above what it takes: it bounds what hangs."""
        return 90.0 + 10 * self.covering.seconds(test)

    def _is_sound(self, failed: str, tests: Sequence[str]) -> bool:
        """Whether the test that noticed passes on what isn't changed."""
        test = failed if "::" in failed else tests[0]  # else a file of tests couldn't be read
        if test not in self.sound:
            ended = self.forked.run([test], self._limit)
            if ended.failed == COLLECTION:
                sys.exit(f"The tests can't be read even without a change:\n{self.forked.tail()}")
            if ended.hung or ended.failed:
                return False
            self.sound.add(test)
        return True


def copy_of_tree(folder: Path) -> Path:
    """The tracked files and new ones that git doesn't ignore, in `folder`; what lies beside the checkout is linked."""
    tree = folder / "tree"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        source, target = ROOT / name, tree / name
        if name and source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    for beside, link in ((ROOT / ".cache", tree / ".cache"), (ROOT.parent / "shared", folder / "shared")):
        if beside.exists():
            link.symlink_to(beside.resolve(), target_is_directory=True)
    return tree


def tests_for(tree: Path, room: str, wanted: Sequence[str]) -> list[str]:
    """Test files that fit `wanted`; without it those that name the room, or import a helper of the tests that does."""
    files = sorted(str(path.relative_to(tree)) for path in tree.glob("tests/**/test_*.py"))
    if wanted:
        return [path for path in files if any(fnmatch(path, pattern) for pattern in wanted)]
    dotted = room.strip("/").replace("/", ".")
    helpers = {
        ".".join(path.relative_to(tree).with_suffix("").parts)
        for path in tree.glob("tests/**/*.py")
        if f"{dotted}." in path.read_text("utf-8") and not path.stem.startswith(("test_", "conftest"))
    }
    names = {f"{dotted}.", *(f"from {helper} import" for helper in helpers)}
    return [path for path in files if any(name in (tree / path).read_text("utf-8") for name in names)]


def all_mutants(tree: Path, room: str, seed: int, without: Sequence[str] = ()) -> list[Mutant]:
    """Every place that can be changed, in an order that the seed draws. Files that fit `without` are left alone."""
    found: list[Mutant] = []
    paths = sorted((tree / room).rglob("*.py")) if (tree / room).is_dir() else [tree / room]
    for path in paths:
        name = str(path.relative_to(tree))
        if any(fnmatch(name, pattern) for pattern in without):
            continue
        found += mutants(name, path.read_text("utf-8"), random.Random(f"{seed} {name}"))  # noqa: S311 -- no secret
    random.Random(seed).shuffle(found)  # noqa: S311 -- no secret
    return found


def chosen(found: Sequence[Mutant], sample: int, again: Path | None) -> Iterator[tuple[Mutant, str]]:
    """Up to `sample` changes that change something; with `again`, those that a former run's lines say survived."""
    if again is not None:
        read = [json.loads(line) for line in again.read_text("utf-8").splitlines() if '"outcome"' in line]
        former = {
            (row["at"].rpartition(":")[0], row["kind"], row["change"], row["place"])
            for row in read
            if row["outcome"] not in NOTICED
        }
        found = [one for one in found if one.name in former]
        if len(found) < len(former):
            print(f"{len(former) - len(found)} of {len(former)} changes no longer fit the sources", file=sys.stderr)
    left = sample if again is None else len(found)
    for mutant in found:
        source = mutant.source() if left else None
        if source is not None:
            left -= 1
            yield mutant, source


def summary(room: str, fates: Sequence[Fate]) -> dict[str, object]:
    outcomes = Counter(fate.outcome for fate in fates)
    noticed = sum(outcomes[name] for name in NOTICED)
    return {"bench": "mutate", "room": room, "tried": len(fates), "noticed": noticed,
            "share": round(noticed / len(fates), 3) if fates else None, **outcomes}  # fmt: skip


def table(fates: Sequence[Fate]) -> str:
    """What no test noticed, as Markdown."""
    unnoticed = sorted(
        (one for one in fates if one.outcome not in NOTICED), key=lambda one: (one.mutant.path, one.mutant.line)
    )
    cells = [
        f"| {one.mutant.path}:{one.mutant.line} | {one.mutant.kind} | `{one.mutant.change}` | {one.outcome} |"
        for one in unnoticed
    ]
    return "\n".join(["| where | kind | change | |", "| --- | --- | --- | --- |", *cells])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("room", help="a folder or file of the sources: analysis, proctor/store, chat/server/access.py")
    parser.add_argument("--sample", type=int, default=80, help="how many changes to try")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without", action="append", default=[], metavar="PATTERN", help="files to leave; repeatable")
    parser.add_argument("--tests", action="append", default=[], metavar="PATTERN", help="test files to ask; repeatable")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds of tests a change, as they take unchanged")
    parser.add_argument("--again", type=Path, metavar="FILE", help="try what survived by these JSON lines")
    parser.add_argument("--list", action="store_true", help="print the changes and try none")
    parser.add_argument("--table", action="store_true", help="print what survived as Markdown, too")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        try:
            tried = _try(given, copy_of_tree(Path(folder)))
        finally:
            stop_children()
    if tried:
        print(json.dumps(summary(given.room, tried)))
    if given.table:
        print(table(tried))


def _try(given: argparse.Namespace, tree: Path) -> list[Fate]:
    picked = list(chosen(all_mutants(tree, given.room, given.seed, given.without), given.sample, given.again))
    if given.list:
        for mutant, _ in picked:
            print(Fate(mutant, "not tried").line())
        return []
    environment = os.environ | {"PYTHONPATH": str(tree), "PROCTOR_CACHE": str(ROOT / ".cache")}
    tests = tests_for(tree, given.room, given.tests)
    sources = {mutant.path for mutant, _ in picked}
    covering = measure(tree, tests, sources, ROOT / ".cache" / "mutate", environment)
    trial = Trial(tree, covering, Forked(tree, environment, tests), given.budget)
    fates: list[Fate] = []
    try:
        for mutant, source in picked:  # in the order drawn: what was tried before a stop is a fair sample, too
            fates.append(trial.fate(mutant, source))
            print(fates[-1].line(), flush=True)
    except KeyboardInterrupt:
        print("stopped: what follows is of the changes tried so far", file=sys.stderr)
    return fates


if __name__ == "__main__":
    main()
