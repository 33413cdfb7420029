"""Sections as one page that stands alone: HTML for reading, Markdown for pasting."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from analysis.data.tables import Table, to_markdown
from analysis.graphs.style import Graph
from analysis.report.blocks import Block, Bullets, Folded, Section, Text
from analysis.report.markup import escape, section_html
from proctor.printing import visible

# Nothing may be loaded from anywhere, and no script runs, whatever a model's name says.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page_html(title: str, subtitle: str, sections: Sequence[Section], formats: Sequence[str]) -> str:
    """The whole page, its style inside it. `formats` are those of the files beside it, which it links to."""
    style = files("analysis.report").joinpath("page.css").read_text(encoding="utf-8")
    links = "".join(f'<li><a href="#{escape(s.anchor)}">{escape(s.called)}</a></li>' for s in sections)
    body = "\n".join(section_html(section, formats) for section in sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<a class="skip" href="#main">To the content</a>
<header>
<h1>{escape(title)}</h1>
<p class="sub">{escape(subtitle)}</p>
<nav aria-label="Sections"><ul>{links}</ul></nav>
</header>
<main id="main">
{body}
</main>
</body>
</html>
"""


def page_markdown(title: str, subtitle: str, sections: Sequence[Section], formats: Sequence[str]) -> str:
    """The same as Markdown; graphs are links to the PNG or SVG files beside it, or words where there are none."""
    pictures = next((kind for kind in ("png", "svg") if kind in formats), None)
    parts = [f"# {_plain(title)}", _plain(subtitle)]
    for section in sections:
        parts.append(f"## {_plain(section.heading)}")
        parts.extend(_markdown(block, pictures) for block in section.blocks)
    return "\n\n".join(parts) + "\n"


def _markdown(block: Block, pictures: str | None) -> str:
    match block:
        case Text():
            return _plain(block.words)
        case Bullets():
            return "\n".join(f"- {_plain(item)}" for item in block.items)
        case Folded():
            return "\n\n".join([f"### {_plain(block.summary)}", *(_markdown(one, pictures) for one in block.blocks)])
        case Table():
            return to_markdown(block)
        case Graph():
            words = _plain(block.alt)
            return words if pictures is None else f"![{words}]({block.name}.{pictures})"


def _plain(text: str) -> str:
    """Text that Markdown takes for text."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>#|" else c for c in visible(text))
