"""Subjects, their groups, and how a person names them."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence

from proctor.errors import BadInput, ProctorError, SeveralFaults, UnknownName

ALL = "all"

# MMLU's 57 subjects in the groups of lm-evaluation-harness, whose scores ours compare with. They are those of MMLU's
# authors (hendrycks/test, categories.py) but for anatomy, which the authors count among the health subjects: other.
MMLU: Mapping[str, tuple[str, ...]] = {
    "stem": (
        "abstract_algebra",
        "anatomy",
        "astronomy",
        "college_biology",
        "college_chemistry",
        "college_computer_science",
        "college_mathematics",
        "college_physics",
        "computer_security",
        "conceptual_physics",
        "electrical_engineering",
        "elementary_mathematics",
        "high_school_biology",
        "high_school_chemistry",
        "high_school_computer_science",
        "high_school_mathematics",
        "high_school_physics",
        "high_school_statistics",
        "machine_learning",
    ),
    "humanities": (
        "formal_logic",
        "high_school_european_history",
        "high_school_us_history",
        "high_school_world_history",
        "international_law",
        "jurisprudence",
        "logical_fallacies",
        "moral_disputes",
        "moral_scenarios",
        "philosophy",
        "prehistory",
        "professional_law",
        "world_religions",
    ),
    "social_sciences": (
        "econometrics",
        "high_school_geography",
        "high_school_government_and_politics",
        "high_school_macroeconomics",
        "high_school_microeconomics",
        "high_school_psychology",
        "human_sexuality",
        "professional_psychology",
        "public_relations",
        "security_studies",
        "sociology",
        "us_foreign_policy",
    ),
    "other": (
        "business_ethics",
        "clinical_knowledge",
        "college_medicine",
        "global_facts",
        "human_aging",
        "management",
        "marketing",
        "medical_genetics",
        "miscellaneous",
        "nutrition",
        "professional_accounting",
        "professional_medicine",
        "virology",
    ),
}

DEMO: Mapping[str, tuple[str, ...]] = {
    "stem": ("arithmetic", "computing", "everyday_science"),
    "humanities": ("english_words",),
    "social_sciences": ("world_geography",),
    "other": ("time_and_units",),
}

GROUPS: Mapping[str, tuple[str, ...]] = {group: (*MMLU[group], *DEMO[group]) for group in MMLU}


def select(
    names: Sequence[str],
    available: Collection[str],
    groups: Mapping[str, Sequence[str]] = GROUPS,
) -> tuple[str, ...]:
    """The subjects that a person means, each once, in the order of `available`.

    A name is a subject, a group, `all`, or several of these with commas between; no name means all. Case, and white
    space or hyphens in the place of underscores, don't matter. A subject goes before a group of the same name.

    Raises
    ------
    UnknownName
        for a name that is none of these, with the nearest; `SeveralFaults` for several.
    BadInput
        for a group of which nothing is available.
    """
    chosen: set[str] = set()
    faults: list[ProctorError] = []
    for name in names or (ALL,):
        for part in [name] if _key(name) in map(_key, available) else name.split(","):
            try:
                chosen.update(_meant(part, available, groups))
            except BadInput as fault:
                faults.append(fault)
    if len(faults) > 1:
        raise SeveralFaults(faults)
    if faults:
        raise faults[0]
    return tuple(subject for subject in available if subject in chosen)


def _meant(name: str, available: Collection[str], groups: Mapping[str, Sequence[str]]) -> Collection[str]:
    key = _key(name)
    if subjects := [subject for subject in available if _key(subject) == key]:
        return subjects
    if key == ALL:
        return available
    if key in groups:
        members = {_key(member) for member in groups[key]}
        if not (subjects := [subject for subject in available if _key(subject) in members]):
            raise BadInput(f"No subject of group {key} is in this benchmark.", _offer(available))
        return subjects
    known = {_key(known): known for known in (*available, *groups, ALL)}
    nearest = [known[match] for match in difflib.get_close_matches(key, known, n=3)]
    raise UnknownName("subject", name, nearest, _offer(available))


def _key(name: str) -> str:
    return "_".join(name.casefold().replace("-", " ").replace("_", " ").split())


def _offer(available: Collection[str], most: int = 10) -> str:
    first = ", ".join(list(available)[:most])
    more = len(available) - most
    return f"The subjects are {first}{f' and {more} more' if more > 0 else ''}."
