"""Data sets from the Hugging Face hub, or from its cache on this machine, by the library `datasets`."""

from __future__ import annotations

from collections.abc import Mapping

from proctor.errors import BadExam
from proctor.exams.reading.files import RawRow
from proctor.exams.reading.problems import shown
from proctor.exams.reading.subjects import MMLU

REPO = "cais/mmlu"
SUBJECTS = tuple(sorted(subject for group in MMLU.values() for subject in group))


def table(
    repo: str,
    config: str,
    split: str,
    *,
    revision: str = "",
    arguments: Mapping[str, object] | None = None,
    next_step: str,
) -> list[dict[str, object]]:
    """The rows of a split of a data set, columns in its order; `arguments` are further ones of `load_dataset`.

    Raises
    ------
    BadExam
        if they are neither in the cache nor to be had, with the cause and this `next_step`.
    """
    import datasets  # here: it takes 1.5 s, and only data sets of the hub need it

    try:
        found = datasets.load_dataset(repo, config or None, split=split, revision=revision or None, **(arguments or {}))
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise BadExam(
            f"{repo} can't be had from the hub or its cache: {type(error).__name__}: {shown(str(error), 200)}.",
            next_step,
        ) from error
    return list(found)


def rows(repo: str, subject: str, split: str) -> list[RawRow]:
    """One subject's rows of a split, `test` or `dev`, of a repository in MMLU's columns. Raises as `table`."""
    found = table(
        repo,
        subject,
        split,
        next_step="Without a network, give --benchmark a folder with dev/SUBJECT.jsonl and test/SUBJECT.jsonl, in "
        "columns question, choices, answer.",
    )
    return [
        RawRow(f"row {number}", row["question"], row["choices"], row["answer"], row.get("subject"))
        for number, row in enumerate(found, start=1)
    ]
