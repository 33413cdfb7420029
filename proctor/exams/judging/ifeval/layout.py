"""Instructions on layout: paragraphs, lists, sections, marks."""

from __future__ import annotations

import json
import re

from proctor.exams.judging.ifeval.given import Given

_ENDS_WORD = frozenset(".,?!'\"")


def paragraphs(reply: str, given: Given) -> bool:
    """`length_constraints:number_paragraphs`: `num_paragraphs` parts between `***`, none of the inner ones empty."""
    parts = re.split(r"\s?\*\*\*\s?", reply)
    if not all(part.strip() for part in parts[1:-1]):
        return False
    return sum(bool(part.strip()) for part in parts) == given.number("num_paragraphs")


def first_word(reply: str, given: Given) -> bool:
    """`length_constraints:nth_paragraph_first_word`: `num_paragraphs`, the `nth_paragraph` beginning with `first_word`.

    Paragraphs stand between two line ends. Empty ones don't count, though they have a place.
    """
    parts = reply.split("\n\n")
    count, place = sum(bool(part.strip()) for part in parts), given.number("nth_paragraph")
    if not 1 <= place <= count or not parts[place - 1].strip():
        return False
    word = parts[place - 1].split()[0].lstrip("'").lstrip('"')
    cut = next((index for index, one in enumerate(word) if one in _ENDS_WORD), len(word))
    return count == given.number("num_paragraphs") and word[:cut].lower() == given.text("first_word").lower()


def placeholders(reply: str, given: Given) -> bool:
    """`detectable_content:number_placeholders`: at least `num_placeholders` in square brackets, each in one line."""
    return len(re.findall(r"\[.*?\]", reply)) >= given.number("num_placeholders")


def postscript(reply: str, given: Given) -> bool:
    """`detectable_content:postscript`: `postscript_marker` occurs, in any case; `P.S.` and `P.P.S` with spaces too."""
    marker = given.text("postscript_marker").strip()
    known = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
    return bool(re.search(known.get(marker, re.escape(marker.lower())), reply.lower()))


def bullets(reply: str, given: Given) -> bool:
    """`detectable_format:number_bullet_lists`: exactly `num_bullets` lines that begin with `-`, or with one `*`."""
    stars = re.findall(r"^\s*\*[^\*].*$", reply, re.MULTILINE)
    dashes = re.findall(r"^\s*-.*$", reply, re.MULTILINE)
    return len(stars) + len(dashes) == given.number("num_bullets")


def highlights(reply: str, given: Given) -> bool:
    """`detectable_format:number_highlighted_sections`: at least `num_highlights` texts between `*`, or `**`."""
    single = [one.strip("*") for one in re.findall(r"\*[^\n\*]*\*", reply)]
    double = [one[2:-2] for one in re.findall(r"\*\*[^\n\*]*\*\*", reply)]
    return sum(bool(one.strip()) for one in single + double) >= given.number("num_highlights")


def sections(reply: str, given: Given) -> bool:
    """`detectable_format:multiple_sections`: at least `num_sections` headings, `section_spliter` and a number."""
    heading = re.compile(rf"\s?{re.escape(given.text('section_spliter').strip())}\s?\d+\s?")
    return len(heading.findall(reply)) >= given.number("num_sections")


def json_format(reply: str, _: Given) -> bool:
    """`detectable_format:json_format`: all of it is JSON, a fence of backticks around it apart."""
    reply = reply.strip()
    for fence in ("```json", "```Json", "```JSON", "```"):
        reply = reply.removeprefix(fence)
    try:
        json.loads(reply.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


def title(reply: str, _: Given) -> bool:
    """`detectable_format:title`: a line has a text between `<<` and `>>`."""
    return any(one.lstrip("<").rstrip(">").strip() for one in re.findall(r"<<[^\n]+>>", reply))


def two_responses(reply: str, _: Given) -> bool:
    """`combination:two_responses`: two different texts with `******` between them; it may stand at the ends too."""
    parts = [part.strip() for part in reply.split("******")]
    spoken = [part for part in parts if part]
    return all(parts[1:-1]) and len(spoken) == 2 and spoken[0] != spoken[1]
