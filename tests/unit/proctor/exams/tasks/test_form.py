"""A form stands beside an exam as canonical JSON, and comes back as it was."""

from __future__ import annotations

import json

import pytest

from proctor.errors import BadExam
from proctor.exams.tasks.form import Chain, Form, Headline, Kind, Metric, Source, Step, read_form

STRICT = Chain("strict", (Step("regex", {"regex_pattern": r"#### (\d+)", "group_select": 0}), Step("take_first")))
FORM = Form(
    Kind.WRITE,
    (Metric("exact_match", {"ignore_case": True, "regexes_to_ignore": [",", r"\$"]}),),
    Headline("exact_match", "strict"),
    description="Sums.\n\n",
    chains=(STRICT, Chain("flexible", (Step("take_first"),))),
    until=("Q:", "\n\n"),
    temperature=0.7,
    source=Source("sums", "1.0", data="own/sums", revision="abc"),
)


def changed(**keys: object) -> str:
    return json.dumps({**json.loads(FORM.json()), **keys})


def test_a_form_comes_back_as_it_was() -> None:
    assert read_form(FORM.json()) == FORM
    assert read_form(FORM.json()).json() == FORM.json()


def test_the_order_of_stop_strings_is_kept() -> None:
    assert read_form(changed(until=["b", "a"])).until == ("b", "a")


def test_json_is_canonical() -> None:
    shuffled = json.dumps(dict(reversed(json.loads(FORM.json()).items())), indent=2)
    assert read_form(shuffled).json() == FORM.json()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (changed(sampler="first"), "sampler"),
        (changed(source={"licence": "MIT"}), "licence"),
        (changed(max_tokens="many"), "max_tokens"),
        (changed(max_tokens=True), "max_tokens"),
        (changed(max_tokens=0), "0 tokens"),
        (changed(kind="sing"), "kind"),
        (changed(until=[1]), "until"),
        (changed(until=None), "until"),
        (changed(metrics=[{"arguments": {}}]), "incomplete"),
        (changed(metrics=[{"name": "acc", "arguments": []}]), "arguments"),
        (changed(chains=[{"name": "x", "steps": []}, {"name": "x", "steps": []}]), "one name"),
        (changed(headline={"metric": "exact_match", "chain": "lax"}), "lax"),
        (changed(headline={"metric": "acc", "chain": "strict"}), "acc"),
        ("[]", "list"),
        ("{", "no JSON"),
    ],
)
def test_what_is_no_form_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(BadExam, match=said):
        read_form(text)
