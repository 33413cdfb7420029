"""Who is compared: a model at one quantization, the label that tells it from the others, and who a person means.

One label everywhere: progress, status, tables, graphs, files and comparisons all take theirs from `labels`.
"""

from __future__ import annotations

import os.path
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from proctor.errors import AmbiguousName, UnknownName
from proctor.nouns.models import DType, Lane, Quant, without_ending

LONGEST = 60  # letters of a model's name; beyond that it is cut in the middle
REVISION_LETTERS = 7  # of a revision, at least, where it is shown
QUANTS = {Quant.NONE.value: "", Quant.FOUR_BIT.value: "4 bit", Quant.EIGHT_BIT.value: "8 bit"}
RANKS = {quant.value: rank for rank, quant in enumerate((Quant.NONE, Quant.EIGHT_BIT, Quant.FOUR_BIT))}


@dataclass(frozen=True, order=True)
class Contestant:
    """One model as it sat its exams. Two that differ in anything here are never mixed."""

    model: str
    revision: str = ""
    quant: str = Quant.NONE.value
    device: str = ""
    dtype: str = ""  # `auto` where no Run has begun, so that it isn't known

    @property
    def family(self) -> str:
        """The model behind it: what its quantizations have in common."""
        return f"{self.model}@{self.revision}"

    @property
    def rank(self) -> int:
        """How far it is quantized: 0 for not at all."""
        return RANKS.get(self.quant, len(RANKS))


def of_lane(lane: Lane) -> Contestant:
    """The contestant of a lane, which doesn't know what it computes in."""
    name, at, revision = lane.model.rpartition("@")
    return Contestant(name if at else lane.model, revision if at else "", lane.quant.value, lane.device.value)


def labels(contestants: Sequence[Contestant]) -> tuple[str, ...]:
    """A short label each, in order: the model's last part and its quantization, and what differs among namesakes.

    Models of one name get more of their path from its end, `run1/checkpoint-500`, or their organisation. Revision,
    device and type are added where two contestants differ in nothing before. Labels are distinct for distinct
    contestants.
    """
    names = _model_names(contestants)
    found = [" ".join(filter(None, (name, _quant_words(c)))) for name, c in zip(names, contestants, strict=True)]
    for part in (_device_words, _dtype_words):
        groups = _groups(found, contestants)
        found = [
            f"{label} ({part(c)})" if part(c) and len(set(map(part, groups[label]))) > 1 else label
            for label, c in zip(found, contestants, strict=True)
        ]
    seen = Counter(found)
    return tuple(f"{label} #{place}" if seen[label] > 1 else label for place, label in enumerate(found, start=1))


def cut(names: Sequence[str], longest: int) -> tuple[str, ...]:
    """Names of more letters than that without their middle, unless it is all in which two differ."""
    short = [name if len(name) <= longest else f"{name[: longest // 2]}…{name[-longest // 2 + 1 :]}" for name in names]
    seen = Counter(short)
    return tuple(one if seen[one] == 1 else whole for one, whole in zip(short, names, strict=True))


def lane_labels(lanes: Iterable[Lane]) -> dict[Lane, str]:
    """The label of each of these lanes among the others."""
    distinct = list(dict.fromkeys(lanes))
    return dict(zip(distinct, labels([of_lane(lane) for lane in distinct]), strict=True))


def lane_label(lane: Lane) -> str:
    """The label of a lane where no other stands beside it."""
    return labels([of_lane(lane)])[0]


def one_a_model(contestants: Sequence[Contestant]) -> list[int]:
    """Places of the least quantized contestant of each model, in order: one vote a model."""
    best: dict[str, int] = {}
    for place, contestant in enumerate(contestants):
        held = best.get(contestant.family)
        if held is None or contestant.rank < contestants[held].rank:
            best[contestant.family] = place
    return sorted(best.values())


def match(contestants: Sequence[Contestant], names: Sequence[str], wanted: str, folder: Path) -> int:
    """The place of the contestant that a person means, who is in `folder`. `names` are the labels.

    Taken are a label; a model's name or path as it was submitted, or the end of it, `@REVISION` and `:QUANT` behind
    it or not; and the quantization alone where there is one model. Without a quantization the least quantized is
    meant. Upper and lower case count only where both are there.

    Raises
    ------
    AmbiguousName
        where it may mean several, with their labels.
    UnknownName
        with the nearest names.
    """
    for same in (_identical, _same_letters):
        labelled = [place for place, name in enumerate(names) if same(name, wanted)]
        if len(labelled) == 1:
            return labelled[0]
    found = _meant(contestants, wanted, folder)
    if len(found) > 1:
        raise AmbiguousName("contestant", wanted, [names[place] for place in found])
    if not found:
        near = get_close_matches(wanted.casefold(), {name.casefold(): name for name in names}, n=3, cutoff=0.5)
        offered = [name for letters in near for name in names if name.casefold() == letters]
        raise UnknownName("contestant", wanted, offered, f"There are: {', '.join(names[:12])}.")
    return found[0]


def _meant(contestants: Sequence[Contestant], wanted: str, folder: Path) -> list[int]:
    """Places of all that may be meant: by the whole name, else by the end of it."""
    quants = {contestant.quant for contestant in contestants}
    if len({contestant.family for contestant in contestants}) == 1 and wanted.casefold() in quants:
        return [place for place, one in enumerate(contestants) if one.quant == wanted.casefold()]
    model, colon, quant = wanted.rpartition(":")
    if not colon or quant.casefold() not in RANKS:
        model, quant = wanted, ""
    for rule in (_is_named, _is_spelled, _ends_in):
        places = [place for place, one in enumerate(contestants) if rule(one, model, folder)]
        if quant:
            places = [place for place in places if contestants[place].quant == quant.casefold()]
        if places:
            least = min(contestants[place].rank for place in places)
            one_family = len({contestants[place].family for place in places}) == 1
            return [place for place in places if contestants[place].rank == least or not one_family]
    return []


def _is_named(one: Contestant, wanted: str, folder: Path) -> bool:
    """Whether this is its whole name or a path to it, with the beginning of its revision or without."""
    names = _without_revision(wanted, one.revision)
    is_path = one.model.startswith("/")
    return any(one.model == name or (is_path and os.path.normpath(one.model) == _path(name, folder)) for name in names)


def _is_spelled(one: Contestant, wanted: str, _folder: Path) -> bool:
    """The same for a name in other letters, small or capital."""
    return any(one.model.casefold() == name for name in _without_revision(wanted.casefold(), one.revision))


def _ends_in(one: Contestant, wanted: str, _folder: Path) -> bool:
    """Whether its name or path ends in these parts."""
    parts = _parts(one.model.casefold())
    ends = (_parts(os.path.normpath(name)) for name in _without_revision(wanted.casefold(), one.revision))
    return any(parts[-len(end) :] == end for end in ends)


def _without_revision(name: str, revision: str) -> list[str]:
    """The name as it is, and without `@` and a beginning of that revision where it has one."""
    bare, at, said = name.rpartition("@")
    return [name, bare] if at and bare and said and revision.startswith(said) else [name]


def _path(name: str, folder: Path) -> str:
    """A name as a path from that folder, absolute and without `..`; links are left as they are."""
    return os.path.normpath(folder / os.path.expanduser(name))  # noqa: PTH111 -- Path.expanduser raises for ~nobody


def _identical(one: str, other: str) -> bool:
    return one == other


def _same_letters(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


def _model_names(contestants: Sequence[Contestant]) -> list[str]:
    """The name of each one's model, as short as tells the models apart, with the revision where that alone does."""
    models = list(dict.fromkeys(contestant.model for contestant in contestants))
    long = _lengthened(models)
    short = dict(zip(long, cut(list(long.values()), LONGEST), strict=True))
    revisions: Mapping[str, set[str]] = defaultdict(set)
    for contestant in contestants:
        revisions[contestant.model].add(contestant.revision)
    return [
        "@".join(filter(None, (short[c.model], _revision_words(c.revision, revisions[c.model])))) for c in contestants
    ]


def _lengthened(models: Sequence[str]) -> dict[str, str]:
    """Each model's last part; those that share it get more of their path, from its end, until they differ."""
    sizes = dict.fromkeys(models, 1)
    while True:
        names = {model: _end(model, size) for model, size in sizes.items()}
        seen = Counter(names.values())
        longer = [model for model in models if seen[names[model]] > 1 and _end(model, sizes[model]) != model]
        if not longer:
            return names
        for model in longer:
            sizes[model] += 1


def _end(model: str, size: int) -> str:
    """The last `size` parts of a name, without the ending of a file; the name as it is where there are no more."""
    parts = _parts(model)
    return model if size > len(parts) else "/".join(parts[-size:]) or model


def _parts(model: str) -> list[str]:
    return without_ending(model).split("/")


def _revision_words(revision: str, among: set[str]) -> str:
    """As much of a revision as tells it from the model's others; "" where there is no other."""
    if len(among) < 2:
        return ""
    size = REVISION_LETTERS
    while size < len(revision) and sum(other.startswith(revision[:size]) for other in among) > 1:
        size += 1
    return revision[:size]


def _quant_words(contestant: Contestant) -> str:
    return QUANTS.get(contestant.quant, contestant.quant)


def _device_words(contestant: Contestant) -> str:
    return contestant.device


def _dtype_words(contestant: Contestant) -> str:
    return "not begun" if contestant.dtype == DType.AUTO.value else contestant.dtype


def _groups(found: Sequence[str], contestants: Sequence[Contestant]) -> dict[str, list[Contestant]]:
    groups: dict[str, list[Contestant]] = defaultdict(list)
    for label, contestant in zip(found, contestants, strict=True):
        groups[label].append(contestant)
    return groups
