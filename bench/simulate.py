"""`scheduler.choose.choose` on simulated fleets: how far from the lower bound, and from a plain queue.

python -m bench.simulate [--picture docs/images/choose.png] [--seeds 3]

A JSON line a trial. Time is simulated, the choice is the real function, asked with what the store would tell it: what
waits on each lane, who holds it, and the means of what has ended so far. Workers are GPUs of 16, 24, 48 and 80 GB;
models take 1 to 60 GB and load at 1 GB/s after 5 s; Runs are log-normal around what their model and subject take, and
one worker in eight is a straggler, three times as slow.

The bound: all work there is (each lane loaded once, each Run) over all workers' speed, or the longest of what can't be
shared out: a load and one Run after it on the fastest worker that fits. No schedule can be shorter; one may have to
be longer.
"""

from __future__ import annotations

import argparse
import heapq
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from proctor.nouns.models import Device, Lane, Quant
from proctor.nouns.workers import LaneLoad
from scheduler.choose import choose

SIZES_GB = (16, 24, 48, 80)
START_S, GB_PER_S = 5.0, 1.0
STRAGGLERS, SLOWNESS = 8, 3.0
SKEW = 0.6  # sigma of the logarithm of a Run's length
PATIENCE_S = 5.0  # an idle worker looks again, as `workers.parent.loop` does at its slowest


@dataclass(frozen=True)
class Work:
    """One lane's Runs in seconds on a worker of speed 1, and what its model weighs."""

    lane: Lane
    size_gb: float
    runs_s: tuple[float, ...]

    @property
    def load_s(self) -> float:
        return START_S + self.size_gb / GB_PER_S


@dataclass
class Worker:
    """A GPU, and the lane that it holds."""

    memory_gb: int
    speed: float
    held: Lane | None = None
    loads: int = 0


@dataclass
class Pace:
    """What the store knows of a lane: sums of what has ended."""

    runs: int = 0
    run_s: float = 0.0
    loads: int = 0
    load_s: float = 0.0


@dataclass
class Fleet:
    """The state of a simulation."""

    workers: list[Worker]
    works: dict[Lane, Work]
    left: dict[Lane, list[float]] = field(init=False)
    pace: dict[Lane, Pace] = field(init=False)

    def __post_init__(self) -> None:
        self.left = {lane: list(work.runs_s) for lane, work in self.works.items()}
        self.pace = {lane: Pace() for lane in self.works}

    def loads_for(self, me: Worker) -> list[LaneLoad]:
        """What `proctor.store.runs.lanes.loads` would say to this worker."""
        holders: dict[Lane, int] = {}
        for other in self.workers:
            if other is not me and other.held is not None:
                holders[other.held] = holders.get(other.held, 0) + 1
        serving = sum(count for lane, count in holders.items() if self.left[lane])
        return [
            LaneLoad(
                lane, 0, len(left), holders.get(lane, 0), *means(self.pace[lane]), share=serving,
                needs_bytes=int(self.works[lane].size_gb * 1e9),
            )
            for lane, left in self.left.items()
            if left and self.works[lane].size_gb <= me.memory_gb
        ]  # fmt: skip


Choice = Callable[[Fleet, Worker], Lane | None]


def ours(fleet: Fleet, me: Worker) -> Lane | None:
    return choose(me.held, fleet.loads_for(me))


def plain(fleet: Fleet, me: Worker) -> Lane | None:
    """A plain queue, filled lane by lane in turns as a sweep over subjects is: whoever is free takes the next."""
    fits = [lane for lane, left in fleet.left.items() if left and fleet.works[lane].size_gb <= me.memory_gb]
    return max(fits, key=lambda lane: len(fleet.left[lane]), default=None)


def lane_by_lane(fleet: Fleet, me: Worker) -> Lane | None:
    """A queue sorted by model: better than plain, and everybody loads everything."""
    fits = (lane for lane, left in fleet.left.items() if left and fleet.works[lane].size_gb <= me.memory_gb)
    return next(fits, None)


def makespan_s(fleet: Fleet, choice: Choice) -> float:
    """Simulated seconds until the last Run has ended."""
    free = [(0.0, number) for number in range(len(fleet.workers))]
    ended = 0.0
    while free:
        now, number = heapq.heappop(free)
        me = fleet.workers[number]
        lane = choice(fleet, me)
        if lane is None:
            if any(left and fleet.works[lane].size_gb <= me.memory_gb for lane, left in fleet.left.items()):
                heapq.heappush(free, (now + PATIENCE_S, number))
            continue
        work, pace = fleet.works[lane], fleet.pace[lane]
        load_s = 0.0 if me.held == lane else work.load_s
        run_s = fleet.left[lane].pop() / me.speed
        if load_s:
            me.held, me.loads = lane, me.loads + 1
            pace.loads, pace.load_s = pace.loads + 1, pace.load_s + load_s
        pace.runs, pace.run_s = pace.runs + 1, pace.run_s + run_s
        ended = max(ended, now + load_s + run_s)
        heapq.heappush(free, (now + load_s + run_s, number))
    assert not any(fleet.left.values())
    return ended


def bound_s(fleet: Fleet) -> float:
    """No schedule is shorter; see the top of this file."""
    speed = sum(worker.speed for worker in fleet.workers)
    # Loads take as long on every worker; a worker that loads doesn't run, so a second of loading costs its speed.
    slowest = min(worker.speed for worker in fleet.workers)
    runs_s = sum(sum(work.runs_s) for work in fleet.works.values())
    loads_s = sum(work.load_s for work in fleet.works.values())
    longest = max(
        work.load_s + max(work.runs_s) / max(w.speed for w in fleet.workers if w.memory_gb >= work.size_gb)
        for work in fleet.works.values()
    )
    return max((runs_s + loads_s * slowest) / speed, longest, big_models_s(fleet))


def big_models_s(fleet: Fleet) -> float:
    """The same for the models that only some workers can hold, for each size of worker."""
    found = 0.0
    for size in SIZES_GB:
        able = [worker.speed for worker in fleet.workers if worker.memory_gb > size]
        only = [work for work in fleet.works.values() if work.size_gb > size]
        if able and only:
            found = max(found, sum(sum(w.runs_s) + w.load_s * min(able) for w in only) / sum(able))
    return found


def means(pace: Pace) -> tuple[float | None, float | None]:
    return pace.run_s / pace.runs if pace.runs else None, pace.load_s / pace.loads if pace.loads else None


def a_fleet(count: int, lanes: int, subjects: int, seed: int) -> Fleet:
    """So many workers of mixed sizes, at least one of the largest, and so many lanes of mixed sizes."""
    rng = np.random.default_rng([seed, count, lanes])
    sizes = [80, *rng.choice(SIZES_GB, size=count - 1)]
    workers = [
        Worker(int(size), 1 / SLOWNESS if number % STRAGGLERS == STRAGGLERS - 1 else 1.0)
        for number, size in enumerate(sizes)
    ]
    works = {}
    for number, size in enumerate(np.exp(rng.uniform(0.0, np.log(60.0), size=lanes))):
        lane = Lane(Device.GPU, f"org/Model-{number:03d}@abc", Quant.NONE)
        runs = (2.0 + float(size)) * rng.lognormal(0.0, SKEW, size=subjects)
        works[lane] = Work(lane, float(size), tuple(float(run) for run in runs))
    return Fleet(workers, works)


@dataclass(frozen=True)
class Result:
    """One way of choosing on one fleet."""

    choice: str
    workers: int
    lanes: int
    subjects: int
    seed: int
    bound_s: float
    makespan_s: float
    loads: int
    took_s: float  # real seconds for all choices

    @property
    def ratio(self) -> float:
        return self.makespan_s / self.bound_s


def trials(counts: Sequence[int], lanes: int, subjects: int, seeds: int) -> Iterator[Result]:
    for count in counts:
        for seed in range(seeds):
            for choice in (ours, lane_by_lane, plain):
                fleet = a_fleet(count, lanes, subjects, seed)
                bound = bound_s(fleet)
                began = time.perf_counter()
                took = makespan_s(fleet, choice)
                loads = sum(worker.loads for worker in fleet.workers)
                spent = time.perf_counter() - began
                yield Result(choice.__name__, count, lanes, subjects, seed, bound, took, loads, spent)


def draw(results: Sequence[Result], path: Path) -> None:
    """Makespan over the bound, and loads, by the number of workers."""
    from matplotlib.figure import Figure

    names = {"ours": "scheduler.choose", "lane_by_lane": "a queue sorted by model", "plain": "a plain queue"}
    colours = {"ours": "#0b6e4f", "lane_by_lane": "#8a6d3b", "plain": "#b03a2e"}
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for choice, name in names.items():
        mine = [result for result in results if result.choice == choice]
        counts = sorted({result.workers for result in mine})
        for axes, value in ((left, "ratio"), (right, "loads")):
            middle = [np.mean([getattr(r, value) for r in mine if r.workers == count]) for count in counts]
            axes.plot(counts, middle, marker="o", color=colours[choice], label=name)
    left.axhline(1.0, color="0.6", linewidth=1)
    left.set_ylabel("time ÷ lower bound")
    right.set_ylabel("loads of a model")
    right.axhline(results[0].lanes, color="0.6", linewidth=1)
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.set_xlabel("workers")
        axes.spines[["top", "right"]].set_visible(False)
    left.set_yticks([1, 1.5, 2, 3, 4], ["1", "1.5", "2", "3", "4"])
    left.legend(frameon=False)
    figure.suptitle(f"{results[0].lanes} lanes × {results[0].subjects} subjects on GPUs of 16 to 80 GB, simulated")
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[4, 8, 16, 32, 64, 128, 256, 512])
    parser.add_argument("--lanes", type=int, default=80)
    parser.add_argument("--subjects", type=int, default=57)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    results = []
    for result in trials(options.workers, options.lanes, options.subjects, options.seeds):
        results.append(result)
        told = {key: round(value, 3) if isinstance(value, float) else value for key, value in asdict(result).items()}
        print(json.dumps({"bench": "simulate", **told, "ratio": round(result.ratio, 3)}), flush=True)
    if options.picture:
        draw(results, options.picture)


if __name__ == "__main__":
    main()
