"""Summaries without a model: whole sentences, in their order, within their limit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.context.summary import Method, extract, instruction
from chat.context.window import Exchange, Folding, SummaryShown, accept
from tests.unit.chat.context.test_window import WithSystemRole


def words(text: str) -> int:
    return len(text.split())


def folding(*said: tuple[str, str], before: str = "", limit: int = 40) -> Folding:
    exchanges = tuple(Exchange(n, (user,), reply, ()) for n, (user, reply) in enumerate(said, 5))
    return Folding(SummaryShown(1, 4, before) if before else None, exchanges, limit)


CHATTER = ("What do you think of the weather? It is grey outside today.", "Grey skies can be calm. Enjoy the day!")


@pytest.mark.parametrize(
    "fact",
    [
        "My name is Ada Lovelace.",
        "The train to Bergen leaves at 14:32.",
        "I was born on 10 December 1815.",
        "Remember that the code word is heron.",
    ],
)
def test_names_numbers_dates_and_what_was_asked_to_be_kept_stay_word_for_word(fact: str) -> None:
    made = extract(folding(CHATTER, (f"{fact} Do you like tea?", "Tea is lovely."), CHATTER, limit=12), words)
    assert f"- User: {fact}" in made


def test_what_was_kept_before_competes_with_what_is_new() -> None:
    before = "- User: My name is Ada Lovelace.\n- User: Let us talk."
    made = extract(folding(CHATTER, before=before, limit=12), words)
    assert made.splitlines()[0] == "- User: My name is Ada Lovelace."


def test_a_summary_of_a_model_is_taken_on_line_by_line() -> None:
    made = extract(folding(CHATTER, before="Ada was born in 1815 and likes engines.", limit=12), words)
    assert made == "- User: Ada was born in 1815 and likes engines."


def test_lines_stand_in_the_order_in_which_they_were_said() -> None:
    source = folding(("It is grey. I have 3 cats.", "So be it."), CHATTER, ("My dog is Rex.", "A fine name."))
    kept = [line.partition(": ")[2] for line in extract(source, words).splitlines()]
    assert {"I have 3 cats.", "My dog is Rex."} <= set(kept)
    assert kept == sorted(kept, key=source.source.index)


def test_a_lead_keeps_the_beginnings() -> None:
    made = extract(folding(("One two. I am 42.", "Fine."), CHATTER, limit=9), words, Method.LEAD)
    assert made.splitlines() == ["- User: One two.", "- User: I am 42."]


@given(st.lists(st.tuples(st.text(max_size=80), st.text(max_size=80)), min_size=1, max_size=4), st.integers(1, 60))
def test_it_is_never_above_its_limit_and_never_invents(said: list[tuple[str, str]], limit: int) -> None:
    made = extract(folding(*said, limit=limit), len)
    assert len(made) <= limit
    source = " ".join(" ".join(text.split()) for pair in said for text in pair)
    for line in made.split("\n- "):
        sentence = line.removeprefix("- ").partition(": ")[2]
        assert " ".join(sentence.split()) in source


@pytest.mark.parametrize("method", [Method.FACTS, Method.LEAD])
def test_a_summary_with_room_for_everything_is_still_shorter_than_its_source(method: Method) -> None:
    renderer = WithSystemRole()
    said = tuple(
        Exchange(n, (f"I have {n} cats. How are you? It rains today.",), "I am well, thank you.", ())
        for n in range(1, 4)
    )
    roomy = Folding(None, said, limit_tokens=5000)
    made = accept(renderer, roomy, extract(roomy, lambda text: len(renderer.text_ids(text)), method))
    assert made is not None
    assert "I have 1 cats." in made.text
    later = Folding(made, tuple(replace(each, number=each.number + 3) for each in said), limit_tokens=5000)
    again = accept(renderer, later, extract(later, lambda text: len(renderer.text_ids(text)), method))
    assert again is not None
    assert "I have 1 cats." in again.text


def test_a_model_is_asked_with_the_summary_so_far_and_all_words() -> None:
    asked = instruction(folding(("I am Ada.", "Hello Ada."), before="Greetings."))
    assert asked.index("Greetings.") < asked.index("User: I am Ada.\nAssistant: Hello Ada.") < asked.index("summary of")
    with pytest.raises(ValueError, match="instruction"):
        extract(folding(("a", "b")), words, Method.MODEL)


@pytest.mark.parametrize(
    ("worth", "less"),
    [
        (("I like tea.", ""), ("Tea is liked.", "")),  # what the user says of themselves
        (("Tea is liked.", ""), ("", "Tea is liked.")),  # the user before the model, whatever else is equal
        (("", "The tea was bought in Bergen by Ada."), ("", "The tea was bought in haste.")),
        (("", "It holds 20 cups."), ("", "It holds many cups.")),
        (("", "It is called 'the old one' here."), ("", "It is called nothing here.")),
        (("Never put milk into it.", ""), ("Milk goes into it.", "")),
        (("Tea is liked.", ""), ("Is tea liked?", "")),  # a question is no fact
        (("", "Milk goes into it."), ("Is tea liked?", "")),
    ],
)
def test_of_two_sentences_the_one_that_is_asked_for_later_is_kept(
    worth: tuple[str, str], less: tuple[str, str]
) -> None:
    def lines(text: str) -> int:
        return len(text.strip().splitlines())

    for said in ((worth, less), (less, worth)):
        assert extract(folding(*said, limit=1), lines).partition(": ")[2] == "".join(worth)


def test_a_sentence_is_kept_once_and_by_whom_it_was_said_first() -> None:
    made = extract(folding(("My cat is Rex.", "my cat is rex."), CHATTER, limit=100), words)
    assert [line for line in made.splitlines() if "rex" in line.casefold()] == ["- User: My cat is Rex."]


def test_a_summary_grows_by_half_of_what_is_new_at_most_and_uses_that() -> None:
    before = "- User: My name is Ada.\n- User: I was born in 1815."
    grown = folding(*((f"I have {n} cats.", "") for n in range(1, 9)), before=before, limit=1000)
    room = words(before) + (words(grown.source) - words(before)) // 2
    made = extract(grown, words)
    assert room - words("- User: I have 1 cats.") < words(made) <= room
