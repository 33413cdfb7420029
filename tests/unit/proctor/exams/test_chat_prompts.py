"""What a chat template does with an exam: what is left out is noticed, and nothing is asked without its question."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import product

import pytest

from proctor.catalog.template import renderer
from proctor.exams.chat_prompts import (
    IN_PARTS,
    NO_SYSTEM,
    Habits,
    Message,
    Render,
    Unwritten,
    first_missing,
    habits,
    midnight,
    write,
)
from tests import templates, tiny
from workers.engines.chat_template import ExamChat
from workers.engines.hf.tokens import rendered, template_of

NOON = datetime(2026, 11, 3, 12, 5, 9, tzinfo=UTC)
DAY = date(2026, 11, 3)
CHAT = (
    Message("system", "About the moon.\n\n"),
    Message("user", "Is it far?\nA. yes\nB. no\nAnswer:"),
    Message("assistant", "A"),
    Message("user", 'Who said "one\tsmall  step"?\nA. Él\nB. 月\nAnswer:'),
)
KNOWN = {
    templates.CHATML: Habits(system_read=True, in_parts=False, dated=False),
    templates.GEMMA: Habits(system_read=False, in_parts=False, dated=False),
    templates.IGNORES_SYSTEM: Habits(system_read=False, in_parts=False, dated=False),
    templates.PARTS_ONLY: Habits(system_read=True, in_parts=True, dated=False),
    templates.DATED: Habits(system_read=True, in_parts=False, dated=True),
    templates.R1: Habits(system_read=True, in_parts=False, dated=False),
    templates.MISTRAL: Habits(system_read=True, in_parts=False, dated=False),
    templates.AS_JSON: Habits(system_read=True, in_parts=False, dated=False),
    tiny.LLAMA2_TEMPLATE: Habits(system_read=True, in_parts=False, dated=False),
}


def by_jinja(template: str) -> Render:
    found = renderer(template)
    assert found is not None
    return found


def by_worker(template: str) -> Render:
    tokenizer = tiny.tokenizer()
    tokenizer.chat_template = template
    return lambda said, moment: rendered(tokenizer, said, moment)


WAYS = (by_jinja, by_worker)
MORE = (
    templates.QWEN3,
    templates.DEEPSEEK,
    "{% if tools is defined and tools is none and documents is none %}{{ messages | tojson(indent=2) }}{% endif %}",
    "{% for m in messages %}{% if loop.index > 2 %}{% break %}{% endif %}{{ m.role }}{% endfor %}{{ eos_token }}",
    "{% for m in messages %}\n  {% generation %}{{ m['content'] }}{% endgeneration %}\n{% endfor %}\n",
    "{{ raise_exception('no') }}",
    "{{ missing.attribute }}",
    "{{ [].append(1) }}",
)
Said = Sequence[dict[str, object]]
NESTED = "".join(f"{{% for {name} in range(99999) %}}" for name in "abc")


def turns(said: Sequence[Message], *, parts: bool = False) -> Iterator[dict[str, object]]:
    """Messages as templates take them."""
    for one in said:
        yield {"role": one.role, "content": [{"type": "text", "text": one.content}] if parts else one.content}


def outcome(write_out: Callable[[Said, bool], str], said: Said, *, opened: bool) -> str:
    """The text, or what was raised instead of one."""
    try:
        return write_out(said, opened)
    except Exception as error:  # noqa: BLE001 -- of templates that fail
        return f"raised: {error}"


@pytest.mark.parametrize(("way", "template"), list(product(WAYS, KNOWN)))
def test_what_a_template_does_with_exams_is_found(way: Callable[[str], Render], template: str) -> None:
    assert habits(way(template), shots=True) == KNOWN[template]
    assert habits(way(template), shots=False) == KNOWN[template]


@pytest.mark.parametrize("template", KNOWN)
def test_what_is_found_at_submission_is_what_the_worker_writes(template: str) -> None:
    ours, theirs = (write(way(template), CHAT, NOON) for way in WAYS)
    assert ours == theirs


@pytest.mark.parametrize("way", WAYS)
def test_a_system_message_that_is_refused_is_left_out_as_lm_evaluation_harness_does(
    way: Callable[[str], Render],
) -> None:
    written = write(way(templates.GEMMA), CHAT, NOON)
    assert not written.system_read
    assert written.text == write(way(templates.GEMMA), CHAT[1:], NOON).text
    assert "About the moon" not in written.text
    assert written.text.endswith("Answer:<end_of_turn>\n<start_of_turn>model\n")


def test_a_template_that_wants_parts_gets_parts() -> None:
    written = write(by_worker(templates.PARTS_ONLY), CHAT, NOON)
    assert written.in_parts
    assert written.text == "".join(f"<|{said.role}|>{said.content}<|end|>" for said in CHAT) + "<|assistant|>"


@pytest.mark.parametrize("way", WAYS)
def test_a_template_that_swallows_the_question_is_refused(way: Callable[[str], Render]) -> None:
    with pytest.raises(Unwritten, match="leaves out what it is given"):
        habits(way(templates.SWALLOWS), shots=False)
    only_short = "{% for m in messages %}{% if m['content']|length < 30 %}{{ m['content'] }}{% endif %}{% endfor %}"
    with pytest.raises(Unwritten, match=r"leaves out what it is given \('Is it far"):
        write(way(only_short), CHAT, NOON)


@pytest.mark.parametrize("way", WAYS)
def test_a_template_that_leaves_the_examples_answers_out_is_refused(way: Callable[[str], Render]) -> None:
    users_only = "{% for m in messages %}{% if m['role'] != 'assistant' %}{{ m['content'] }}{% endif %}{% endfor %}"
    with pytest.raises(Unwritten, match="It is 17"):
        habits(way(users_only), shots=True)
    assert habits(way(users_only), shots=False).system_read


@pytest.mark.parametrize(
    ("way", "broken"), list(product(WAYS, ["{% for m in %}", "{{ raise_exception('no') }}", "{{ 1/0 }}"]))
)
def test_a_template_that_fails_is_refused_with_its_own_words(way: Callable[[str], Render], broken: str) -> None:
    with pytest.raises(Unwritten, match="its chat template fails: "):
        habits(way(broken), shots=False)


def test_white_space_and_the_spelling_of_json_dont_count_as_left_out() -> None:
    said = Message("user", 'a "b"\n  é\tc ')
    for text in ('x a "b" é c y', 'xa"b"éc', '{"content": "a \\"b\\"\\n  é\\tc "}', '"a \\"b\\"\\n  \\u00e9\\tc "'):
        assert first_missing(text, [said]) is None, text
    assert first_missing('x a "b" é', [said]) == said


def test_messages_must_stand_in_their_order() -> None:
    first, second = Message("user", "one"), Message("assistant", "two")
    assert first_missing("[one][two]", [first, second]) is None
    assert first_missing("[two][one]", [first, second]) == second


@pytest.mark.parametrize(
    "form", ["%d %b %Y", "%Y-%m-%d", "%A, %-d. %B %y", "%H:%M:%S %p", "100%% of %d%%d", "%j", "no date", "%", "%Q"]
)
def test_a_template_is_told_a_moment_in_every_form(form: str) -> None:
    template = "{{ strftime_now('" + form + "') }}|{% for m in messages %}{{ m['content'] }}{% endfor %}"
    for way in WAYS:
        assert write(way(template), CHAT[-1:], NOON).text.split("|")[0] == NOON.strftime(form)


def test_a_moment_is_told_before_a_template_that_begins_with_white_space() -> None:
    plain, dated = "   {%- if true %} {{ messages[0]['content'] }}{% endif %}\n", "{% set t = strftime_now('%d') %}"
    for way in WAYS:
        expected = write(way(plain), CHAT[-1:], NOON).text
        assert write(way(plain + dated), CHAT[-1:], NOON).text == expected


@pytest.mark.parametrize("template", [*KNOWN, *MORE])
def test_what_is_written_is_what_transformers_writes(template: str) -> None:
    tokenizer = tiny.tokenizer()
    tokenizer.chat_template = template.replace("strftime_now is defined", "false")

    def ours(said: Said, opened: bool) -> str:
        return rendered(tokenizer, said, NOON, opened=opened)

    def theirs(said: Said, opened: bool) -> str:
        return str(tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=opened))  # type: ignore[arg-type] # parts are lists, which their hints leave out

    for said, opened in product(([*turns(CHAT)], [*turns(CHAT[1:])], [*turns(CHAT, parts=True)]), (True, False)):
        assert outcome(ours, said, opened=opened) == outcome(theirs, said, opened=opened)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("hostile", "why"),
    [
        ("{{ 'A' * 3000000000 }}", "takes more than 1 GiB of memory"),
        ("{% set n = namespace(t='A') %}{% for i in range(99) %}{% set n.t = n.t + n.t %}{% endfor %}", "of memory"),
        ("{{ 'A' * 30000000 }}", "writes more than 16 Mi characters"),
        (
            f"{NESTED}{{% set x = c %}}{{% endfor %}}{{% endfor %}}{{% endfor %}}",
            "takes more computing time than any needs",
        ),
    ],
)
def test_a_template_that_takes_too_much_is_refused_and_the_next_is_written(
    way: Callable[[str], Render], hostile: str, why: str
) -> None:
    with pytest.raises(Unwritten, match=why):
        habits(way(hostile), shots=False)
    assert habits(way(templates.CHATML), shots=False) == KNOWN[templates.CHATML]


def test_a_template_that_takes_too_much_takes_none_of_this_process() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Unwritten):
        habits(by_jinja("{{ 'A' * 900000000 }}"), shots=False)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10 < 200 << 20


def test_the_prompts_of_a_run_are_told_its_day_and_what_they_leave_out_is_noted() -> None:
    tokenizer = tiny.tokenizer()
    tokenizer.chat_template = templates.DATED
    chat = ExamChat(template_of(tokenizer, "tiny"), DAY, shots=True)
    assert "Today Date: 03 Nov 2026 00:00:00\nAbout the moon." in chat.text(CHAT)
    assert (chat.told_date, chat.notes) == ("2026-11-03", ("its chat template is told the date 2026-11-03",))
    tokenizer.chat_template = templates.GEMMA
    plain = ExamChat(template_of(tokenizer, "tiny"), DAY, shots=True)
    assert (plain.told_date, plain.notes) == ("", (NO_SYSTEM,))
    tokenizer.chat_template = templates.PARTS_ONLY
    assert ExamChat(template_of(tokenizer, "tiny"), DAY, shots=True).notes == (IN_PARTS,)
    assert midnight(DAY) == datetime(2026, 11, 3, tzinfo=UTC)
