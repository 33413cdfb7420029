"""MMLU from the Hugging Face hub, or from its cache on this machine, by the library `datasets`."""

from __future__ import annotations

from proctor.errors import BadExam
from proctor.exams.reading.files import RawRow
from proctor.exams.reading.problems import shown
from proctor.exams.reading.subjects import MMLU

REPO = "cais/mmlu"
SUBJECTS = tuple(sorted(subject for group in MMLU.values() for subject in group))


def rows(repo: str, subject: str, split: str) -> list[RawRow]:
    """One subject's rows of a split, `test` or `dev`, of a repository in MMLU's columns, in its order.

    Raises
    ------
    BadExam
        if they are neither in the cache nor to be had, with the cause.
    """
    import datasets  # here: it takes 1.5 s, and only MMLU from the hub needs it

    try:
        table = datasets.load_dataset(repo, subject, split=split)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise BadExam(
            f"{repo} can't be had from the hub or its cache: {type(error).__name__}: {shown(str(error), 200)}.",
            "Without a network, give --benchmark a folder with dev/SUBJECT.jsonl and test/SUBJECT.jsonl, in columns "
            "question, choices, answer.",
        ) from error
    return [
        RawRow(f"row {number}", row["question"], row["choices"], row["answer"], row.get("subject"))
        for number, row in enumerate(table, start=1)
    ]
