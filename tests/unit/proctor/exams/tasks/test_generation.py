"""Settings of generation by lm-evaluation-harness's names."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from proctor.errors import BadExam
from proctor.exams.tasks.generation import Generation, read_generation


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        (None, Generation(("\n\n",), 256, 0.0, 1.0, 0)),
        ({"until": ["b", "a"]}, Generation(("b", "a"), 256, 0.0, 1.0, 0)),
        ({"until": "a"}, Generation(("a",), 256, 0.0, 1.0, 0)),
        ({"until": []}, Generation((), 256, 0.0, 1.0, 0)),
        ({"max_gen_toks": 7}, Generation(("\n\n",), 7, 0.0, 1.0, 0)),
        ({"max_new_tokens": "7"}, Generation(("\n\n",), 7, 0.0, 1.0, 0)),
        ({"temperature": 0.5}, Generation(("\n\n",), 256, 0.5, 1.0, 0)),
        ({"temperature": "0.5", "do_sample": False}, Generation(("\n\n",), 256, 0.0, 1.0, 0)),
        ({"do_sample": True}, Generation(("\n\n",), 256, 1.0, 1.0, 0)),
        ({"do_sample": True, "temperature": 0, "top_p": 0.9, "top_k": 5}, Generation(("\n\n",), 256, 0.0, 0.9, 5)),
        ({"num_beams": 1}, Generation(("\n\n",), 256, 0.0, 1.0, 0)),
    ],
)
def test_settings_are_read(settings: Mapping[str, object] | None, wanted: Generation) -> None:
    assert read_generation("sums", settings, "\n\n") == wanted


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"penalty_alpha": 0.6}, "penalty_alpha"),
        ({"num_beams": 4}, "4 beams"),
        ({"until": 3}, "until"),
        ({"max_gen_toks": "many"}, "max_gen_toks"),
        ({"do_sample": "maybe"}, "do_sample"),
        ({"temperature": True}, "temperature"),
    ],
)
def test_what_isnt_known_is_refused_by_name(settings: Mapping[str, object], said: str) -> None:
    with pytest.raises(BadExam, match=said):
        read_generation("sums", settings, "\n\n")
