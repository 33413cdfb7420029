"""Sentences and words by NLTK's rules, without its downloads.

Sentences are split by Punkt (Kiss and Strunk 2006), whose learned parameters are a download. In their place stands a
list of abbreviations; the rules on initials, numbers, ellipses and capitals are Punkt's own.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from proctor.exams.judging.libraries import library

_LISTED = """
a.d a.m adm al apr assn aug ave b.c bros capt cf co col corp ct d.c dec dept dr drs e.g eds est etc feb fig ft gen gov
hon i.e inc jan jr lt ltd maj messrs mr mrs ms mt n.j n.y nov oct p.m ph ph.d prof r.i rep reps rev s.a sen sens sep
sept sgt sr st u.k u.n u.s v viz vol vs wed
"""
ABBREVIATIONS = frozenset(_LISTED.split())


def sentences_of(text: str) -> list[str]:
    """The sentences of an English text."""
    return [str(one) for one in _punkt().tokenize(text)]


def words_of(text: str) -> list[str]:
    """Words and punctuation, in the manner of the Penn Treebank: `don't` is two, `well-known` one."""
    return [str(word) for sentence in sentences_of(text) for word in _words().tokenize(sentence)]


def runs_of(text: str) -> list[str]:
    r"""Runs of `\w`. Vowel signs of Indic scripts are within words by NLTK's expressions, and not by Python's own."""
    return [str(run) for run in _runs().tokenize(text)]


@cache
def _punkt() -> Any:  # of a library without types
    punkt = library("nltk.tokenize.punkt")
    parameters = punkt.PunktParameters()
    parameters.abbrev_types = set(ABBREVIATIONS)
    return punkt.PunktSentenceTokenizer(parameters)


@cache
def _words() -> Any:  # of a library without types
    return library("nltk.tokenize.destructive").NLTKWordTokenizer()


@cache
def _runs() -> Any:  # of a library without types
    return library("nltk.tokenize").RegexpTokenizer(r"\w+")
