"""What keeps a Run from being a mixture of ways, and what its record says where devices or versions are mixed.

Ways differ by more than rounding: another type, another attention, other prompts. A Run that was begun in one is not
gone on with in another. Devices and versions differ by rounding; there a Run goes on, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from proctor.errors import BadInput, OtherWay
from proctor.nouns.exams import Prompt
from proctor.nouns.runs import Provenance


def continued_by(recorded: Provenance, mine: Provenance) -> Provenance:
    """A Run's record, with a note where another device or other versions than those that began it go on with it."""
    elsewhere = recorded.elsewhere(mine)
    if not elsewhere:
        return recorded
    note = f"continued {elsewhere}: packs since then may differ in rounding"
    return recorded if note in recorded.notes else replace(recorded, notes=(*recorded.notes, note))


def check_same_way(recorded: Provenance, mine: Provenance) -> None:
    """One Run is never a mixture: raise `OtherWay` where its earlier packs were computed in a way that isn't ours."""
    if recorded.way != mine.way:
        raise OtherWay(
            "This Run was begun with {}, attention {!r} and matrix products by {}; ".format(*recorded.way)
            + "this worker computes with {}, {!r} and {}.".format(*mine.way),
            "Finish it with the workers that began it, or submit it with --fresh.",
        )


def check_same_prompts(recorded: Mapping[str, str], prompts: Sequence[Prompt]) -> None:
    """One Run is never a mixture: raise `BadInput` where its recorded Answers are to prompts that aren't ours."""
    others = [prompt for prompt in prompts if recorded.get(prompt.question.id, prompt.hash) != prompt.hash]
    if others:
        raise BadInput(
            f"This Run was begun with other prompts: {len(others)} of the {len(recorded)} questions that are answered "
            "would be asked in other words now, by another date or another release.",
            "Submit it with --fresh.",
        )
