"""What a judge is given: whose replies it judges, how, and in which words it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Grading(StrEnum):
    """What a judge is asked for."""

    GRADES = "grades"  # a rating of each reply, from 1 to 10
    PAIRS = "pairs"  # the better of two replies, asked in both orders


@dataclass(frozen=True)
class Brief:
    """What makes a judge's Run that Run, beside its model: a Run's questions are the replies of another."""

    grading: Grading
    candidate: str  # identity of the Run whose replies are judged, 64 hex digits
    against: str = ""  # that of the other Run of a pair
    prompts: str = ""  # sha256 over the words in which the judge is asked, 64 hex digits
    replies: str = ""  # sha256 over the replies, where they were stored before the judge was asked for
