"""Templates of task files: what they may use, what is refused when they are read, and what they can't take."""

from __future__ import annotations

import pytest

from proctor.errors import BadExam
from proctor.exams.tasks.templates import LONGEST_TEMPLATE, read_template

ROW = {"question": " Why? ", "choices": {"text": ["yes", "no"], "label": ["A", "B"]}, "key": "B", "n": 3, "none": None}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("Q: {{question}}\n", "Q:  Why? \n"),
        ("{{question.strip()}}|{{choices.text[1]}}|{{choices['label'].index(key)}}", "Why?|no|1"),
        ("{{choices.text}}", "['yes', 'no']"),
        ("{{'a b c'.split(' ')[:-1]|join(' ')}}", "a b"),
        ("{{(n|int) - 1}}{{ -n }}{{[1, 2] + [n]}}", "2-3[1, 2, 3]"),
        ("{% for i in range(2) %}{{i}}{{loop.last}} {% endfor %}", "0False 1True "),
        ("{% if none is none %}{{ 'a' if n > 2 and not n == 4 else 'b' }}{% endif %}", "a"),
        ("{% if missing is defined %}x{% else %}y{% endif %}", "y"),
        ("{% set a = 'x' %}{{ {'x': 'z'}[a] }}", "z"),
        ("{{question|regex_replace('[Ww]', 'v')|trim}}", "vhy?"),
        ("{{'HELLO'.capitalize()}}{{'aa'|replace('a', 'b')}}{{'aa'.replace('a', 'c', 1)}}", "Hellobbca"),
        ("{{ [{'t': 'a'}, {'t': 'b'}]|map(attribute='t')|list|length|string }}", "2"),
        ("{{ 'a' in 'ab' }}{{ ', '.join(choices.text) }}", "Trueyes, no"),
    ],
)
def test_what_tasks_use_is_rendered(source: str, text: str) -> None:
    assert read_template(source, "t").render(ROW) == text


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("{{ 'a' * 3000000000 }}", "Mul"),
        ("{{ 2 ** 99 }}", "Pow"),
        ("{{ 1 / 2 }}", "Div"),
        ("{{ 5 // 2 }}", "FloorDiv"),
        ("{{ '%1000000000d' % 1 }}", "Mod"),
        ("{{ 'a' ~ 'b' }}", "Concat"),
        ("{% macro m() %}{% endmacro %}", "Macro"),
        ("{% call m() %}{% endcall %}", "CallBlock"),
        ("{% import 'x' as y %}", "Import"),
        ("{% from 'x' import y %}", "FromImport"),
        ("{% include 'x' %}", "Include"),
        ("{% extends 'x' %}", "Extends"),
        ("{% block b %}{% endblock %}", "Block"),
        ("{% filter upper %}{% endfilter %}", "FilterBlock"),
        ("{% set a %}x{% endset %}", "AssignBlock"),
        ("{% with a = 1 %}{% endwith %}", "With"),
        ("{% autoescape true %}{% endautoescape %}", "ScopedEvalContextModifier"),
        ("{% set ns.x = 1 %}", "NSRef"),
        ("{% for i in [] recursive %}{% endfor %}", "recursive loop"),
        ("{{ 'a'|center(1000000000) }}", "'center'"),
        ("{{ 'a'|pprint }}", "'pprint'"),
        ("{{ x|attr('y') }}", "'attr'"),
        ("{{ [1]|map('center', 1000000000) }}", "'map'"),
        ("{{ [1]|map(attribute='__class__') }}", "'map'"),
        ("{{ [1]|map(attribute=key) }}", "'map'"),
        ("{{ [1]|map(attribute='a', default='b') }}", "'map'"),
        ("{{ 3 is divisibleby(2) }}", "'divisibleby'"),
        ("{{ 'a'.ljust(1000000000) }}", "'ljust'"),
        ("{{ '{0:1000000000}'.format(1) }}", "'format'"),
        ("{{ ''.__class__ }}", "'__class__'"),
        ("{{ ''['__class__'] }}", "'__class__'"),
        ("{{ ''['ljust'](1000000000) }}", "no name"),
        ("{% set f = ''.ljust %}{{ f(1000000000) }}", "'f'"),
        ("{% set range = ''.ljust %}{{ range(1000000000) }}", "'range'"),
        ("{% for range in [''.ljust] %}{{ range(9) }}{% endfor %}", "'range'"),
        ("{{ lipsum() }}", "'lipsum'"),
        ("{{ cycler('a') }}", "'cycler'"),
        ("{{ namespace() }}", "'namespace'"),
        ("{{ 'a'.join(*x) }}", "by \\*"),
        ("{{ 'a'|join(**x) }}", "by \\*"),
        ("{{ steps_of_a_loop }}", "steps_of_a_loop"),
        ("{{ [1]|steps_of_a_loop(1) }}", "steps_of_a_loop"),
        ("{{ unclosed", "no template"),
        ("{% bogus %}", "no template"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "no template"),
        ("x" * (LONGEST_TEMPLATE + 1), "characters"),
    ],
)
def test_what_tasks_may_not_use_is_refused_when_it_is_read(source: str, named: str) -> None:
    with pytest.raises(BadExam, match=named) as caught:
        read_template(source, "exam.yaml, doc_to_text")
    assert "exam.yaml, doc_to_text" in str(caught.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{ gone }}", "gone"),
        ("{{ key.gone }}", "gone"),
        ("{{ choices.label.index('C') }}", "index"),
        ("{{ n + key }}", "unsupported"),
        ("{% for i in range(99999999) %}{% endfor %}", "ange"),
        ("{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}", "steps"),
        ("{% set a = 'x' %}" + "{% set a = a + a %}" * 60 + "{{ a[0] }}", "grows"),
        ("{% set a = 'xxxxxxxx' %}" + "{% set a = a.replace('x', a) %}" * 60 + "{{ a[0] }}", "grows"),
        ("{% set a = 'xxxxxxxx' %}" + "{% set a = a|replace('x', a) %}" * 60 + "{{ a[0] }}", "grows"),
        ("{% set a = 'xxxxxxxx' %}" + "{% set a = a.join(a) %}" * 60 + "{{ a[0] }}", "grows"),
        ("{% set a = 'xxxxxxxx' %}" + "{% set a = a|join(a) %}" * 60 + "{{ a[0] }}", "grows"),
        ("{% set a = 'xxxxxxxx' %}" + "{% set a = a|regex_replace('x', a) %}" * 60 + "{{ a[0] }}", "grows"),
        ("{% set a = [1] %}" + "{% set a = a + a %}" * 60 + "{{ a[0] }}", "grows"),
        ("{% for i in range(9999) %}" + "x" * 9999 + "{% endfor %}", "grows"),
    ],
)
def test_what_fails_or_grows_without_end_is_told_with_the_template(source: str, said: str) -> None:
    with pytest.raises(BadExam, match=said) as caught:
        read_template(source, "exam.yaml, doc_to_text").render(ROW)
    assert "exam.yaml, doc_to_text" in str(caught.value)
