"""Blocks as HTML. Every text goes through `escape`; nothing else writes a character that came from outside."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape as html_escape

from analysis.data.tables import Table
from analysis.graphs.style import Graph, inline_svg
from analysis.report.blocks import Block, Bullets, Folded, Section, Text
from proctor.printing import visible

ROWS_ON_PAPER = 60  # of a table that is printed, as page.css has it; the page and the CSV file have them all


def escape(text: str) -> str:
    """Text as HTML: markup characters as entities, control characters as visible escapes."""
    return html_escape(visible(text), quote=True)


def section_html(section: Section, formats: Sequence[str]) -> str:
    """A section with its heading, named for screen readers by it. `formats` are those of the files beside the page."""
    name = escape(section.anchor)
    body = "\n".join(block_html(block, formats) for block in section.blocks)
    heading = f'<h2 id="{name}-h">{escape(section.heading)}</h2>'
    return f'<section id="{name}" aria-labelledby="{name}-h">{heading}\n{body}\n</section>'


def block_html(block: Block, formats: Sequence[str]) -> str:
    """One block of any kind."""
    match block:
        case Text():
            return f"<p>{escape(block.words)}</p>"
        case Bullets():
            return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in block.items)}</ul>"
        case Folded():
            inner = "\n".join(block_html(one, formats) for one in block.blocks)
            return f"<details><summary>{escape(block.summary)}</summary>\n{inner}\n</details>"
        case Table():
            return table_html(block, formats)
        case Graph():
            return graph_html(block, formats)


def table_html(table: Table, formats: Sequence[str]) -> str:
    """A real table: caption, column and row headers with their scope, in a region that scrolls by keyboard too."""
    numeric = [' class="n"' if column.numeric else "" for column in table.columns]
    heads = "".join(
        f'<th scope="col"{style}>{escape(column.heading)}</th>'
        for column, style in zip(table.columns, numeric, strict=True)
    )
    rows = []
    for first, *cells in table.shown()[: table.most]:
        data = "".join(f"<td{style}>{escape(cell)}</td>" for cell, style in zip(cells, numeric[1:], strict=True))
        rows.append(f'<tr><th scope="row"{numeric[0]}>{escape(first)}</th>{data}</tr>')
    caption = escape(table.said)
    if len(table.rows) > table.most:
        whole = f"{escape(table.name)}.csv has them all" if "csv" in formats else "--format csv writes them all"
        caption += f" The first {table.most:,} of {len(table.rows):,} rows; {whole}."
    shown = min(len(table.rows), table.most)
    on_paper = f'<p class="on-paper">The first {ROWS_ON_PAPER} of {shown:,} rows.</p>' if shown > ROWS_ON_PAPER else ""
    return (
        f'{on_paper}<div class="scroll" role="region" tabindex="0" aria-label="{caption}">'
        f"<table><caption>{caption}</caption><thead><tr>{heads}</tr></thead><tbody>\n{chr(10).join(rows)}\n</tbody></table></div>"
    )


def graph_html(graph: Graph, formats: Sequence[str]) -> str:
    """The graph as inline SVG that reads as one image with its content in words, and links to its files if any."""
    alt, name = escape(graph.alt), escape(graph.name)
    svg = inline_svg(graph).replace("<svg ", f'<svg role="img" aria-label="{alt}" ', 1)
    links = " ".join(f'<a href="{name}.{kind}">{kind.upper()}</a>' for kind in ("png", "svg") if kind in formats)
    caption = f"<figcaption>{links}</figcaption>" if links else ""
    return (
        f'<figure><div class="scroll" role="region" tabindex="0" aria-label="{escape(graph.title)}">{svg}</div>'
        f"{caption}</figure>"
    )
