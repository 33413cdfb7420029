"""How every graph looks: colours, sizes, names that fit, and files written without pyplot or any global state."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, wraps
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path
from textwrap import fill
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.font_manager import findfont, get_font
from matplotlib.image import AxesImage

P = ParamSpec("P")
R = TypeVar("R")

# Each of these becomes a CSS variable in the report's SVG, so they must occur nowhere else.
INK, MUTED, GRID, PAPER = "#1b1f24", "#57606b", "#d9dee3", "#fefefe"
THEMED = {INK: "--ink", MUTED: "--muted", GRID: "--line", PAPER: "--paper"}
# Okabe and Ito 2008, the yellow left out (it vanishes on white) and the black last (it vanishes on dark).
OKABE_ITO = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
BLUE, ORANGE = OKABE_ITO[:2]
AMOUNTS, DIFFERENCES = "cividis", "PuOr"

POINTS = 72.0
BASE, SMALL, SMALLEST, TITLE = 9.0, 8.0, 6.5, 12.0
PNG_DPI, WIDEST_PNG = 150, 12_000

_RC: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": BASE,
    "text.color": INK,
    "text.parse_math": False,  # a model's name may hold a dollar sign
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.labelsize": SMALL,
    "axes.titlecolor": INK,
    "axes.titlesize": BASE + 1,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": PAPER,
    "axes.axisbelow": True,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": SMALL,
    "svg.fonttype": "none",
    "svg.hashsalt": "proctor",
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.06,
}


@dataclass(frozen=True, eq=False)
class Graph:
    """A drawn graph: the name of its files, the finding that stands above it, and its content in words."""

    name: str
    title: str
    alt: str
    figure: Figure = field(repr=False)

    def of_set(self, name: str) -> Graph:
        """The graph with its set, such as `Set 2: mmlu`, in its title, its note and its words."""
        title = f"{name.partition(':')[0]}: {self.title}"
        note = " ".join(self.figure.get_supxlabel().split())
        with mpl.rc_context(_RC):
            put_title(self.figure, title, f"{name}. {note}")
        return replace(self, title=title, alt=f"{name}. {self.alt}")

    def settle(self) -> None:
        """Lay the figure out once: it is drawn two or three times, and finding the places costs as much as drawing."""
        if self.figure.get_layout_engine() is not None:
            self.figure.draw_without_rendering()
            self.figure.set_layout_engine("none")

    @cached_property
    def svg(self) -> str:
        """The graph as a whole SVG file, the same bytes for the same figure."""
        self.settle()
        buffer = BytesIO()
        about = {"Date": None, "Creator": None, "Title": self.title}
        with mpl.rc_context(_RC):
            self.figure.savefig(buffer, format="svg", metadata=about)
        return buffer.getvalue().decode()


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Draw with the house style, whatever the caller's matplotlib is set to; the settings are put back."""

    @wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with mpl.rc_context(_RC):
            return draw(*args, **kwargs)

    return wrapper


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, without pyplot."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def put_title(figure: Figure | SubFigure, title: str, note: str = "", width: float | None = None) -> None:
    """The finding at the top left, wrapped to the figure's width in inches, and a smaller note beneath it."""
    inches = width if width is not None else figure.get_figure(root=True).get_size_inches()[0]
    lines = wrapped(title, inches, TITLE)
    figure.suptitle(lines, x=0.01, ha="left", fontsize=TITLE, fontweight="bold", linespacing=1.25)
    if note:
        figure.supxlabel(wrapped(note, inches, SMALL), x=0.01, ha="left", fontsize=SMALL, color=MUTED, linespacing=1.35)


def wrapped(text: str, inches: float, size: float) -> str:
    """The text in lines that fit so many inches at that font size (an average letter is 0.62 of the size)."""
    return fill(drawable(text), max(12, int(inches * POINTS / (size * 0.62))))


@lru_cache(maxsize=1)
def _drawn_by_the_font() -> frozenset[int]:
    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())


def drawable(text: str) -> str:
    """The text with control characters and signs that the font lacks replaced by □, so that nothing is hidden."""
    known = _drawn_by_the_font()
    return "".join(c if c == "\n" or (c.isprintable() and ord(c) in known) else "□" for c in text)


def shortened(names: Iterable[str], longest: int = 40) -> list[str]:
    """Names that fit: cut in the middle, or around the place where they differ, and still distinct."""
    whole = list(map(drawable, names))
    middle = [
        name if len(name) <= longest else f"{name[: longest // 2]}…{name[1 - longest + longest // 2 :]}"
        for name in whole
    ]
    short: list[str] = []
    for place, (name, cut) in enumerate(zip(whole, middle, strict=True)):
        alike = [other for at, other in enumerate(whole) if at != place and middle[at] == cut and other != name]
        fits = _around(name, max(_common(name, other) for other in alike), longest) if alike else cut
        repeat = sum(1 for other in short if other == fits or other.startswith(f"{fits} #"))
        short.append(f"{fits} #{repeat + 1}" if repeat else fits)
    return short


def _common(first: str, second: str) -> int:
    """How many letters both begin with."""
    return next(
        (at for at, (one, other) in enumerate(zip(first, second, strict=False)) if one != other),
        min(len(first), len(second)),
    )


def _around(name: str, place: int, longest: int) -> str:
    """The beginning, the letters about this place, and the end; a shorter name as it is."""
    if len(name) <= longest:
        return name
    side = longest // 4
    width = longest - 2 * side - 2
    start = max(side, min(place - width // 4, len(name) - side - width))
    return f"{name[:side]}…{name[start : start + width]}…{name[-side:]}"


def subject_names(subjects: Iterable[str], longest: int = 30) -> list[str]:
    """Subjects as words: underscores become spaces."""
    return shortened((subject.replace("_", " ") for subject in subjects), longest)


def colours(count: int) -> list[str]:
    """So many colours, told apart by colour-blind eyes up to six; shapes tell the rest apart."""
    return list(islice(cycle(OKABE_ITO), count))


def markers(count: int) -> list[str]:
    """So many shapes; with `colours` they first repeat together after 42."""
    return list(islice(cycle(MARKERS), count))


def ink_on(image: AxesImage, value: float) -> str:
    """Black or white, whichever is read more easily on the cell of this value."""
    low, high = image.get_clim()
    red, green, blue, _ = image.cmap((value - (low or 0.0)) / ((high or 1.0) - (low or 0.0)))
    return "#ffffff" if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.45 else "#111111"


def percent_axis(axes: Axes, low: float = 0.0, high: float = 1.0, *, name: str = "accuracy (%)") -> None:
    """The x axis as percentages of fractions, with a light grid."""
    span = high - low
    axes.set_xlim(low, high)
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25) if span / step <= 6 or step == 0.25)
    first = -(-low // step)
    ticks = [tick * step for tick in range(int(first), int(high / step + 1e-9) + 1)]
    axes.set_xticks(ticks, [f"{100 * tick:.0f}" for tick in ticks])
    axes.set_xlabel(name)
    axes.grid(visible=True, axis="x")


def row_axis(axes: Axes, names: Sequence[str], size: float = SMALL) -> None:
    """One row a name from the top down, without a spine."""
    axes.set_yticks(range(len(names)), list(names), fontsize=size)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.spines["left"].set_visible(False)


def write_png(graph: Graph, path: Path) -> None:
    """Write the graph as PNG, at 150 dots an inch, fewer where it would be wider or higher than 12,000."""
    dpi = min(PNG_DPI, WIDEST_PNG / max(graph.figure.get_size_inches()))
    graph.settle()
    with mpl.rc_context(_RC):
        graph.figure.savefig(path, format="png", dpi=dpi, metadata={"Software": None, "Title": graph.title})


_IDENTITY = re.compile(r'(\bid="|url\(#|href="#)')
_FONT = "font-family: 'DejaVu Sans'"


def inline_svg(graph: Graph) -> str:
    """The graph as an `<svg>` element for the middle of an HTML page: no prolog, no metadata, ids of its own.

    Its text stays text; ink, paper and grid become the CSS variables of `THEMED`, so that it follows the page's theme.
    """
    svg = graph.svg
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<title>.*?</title>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = _IDENTITY.sub(rf"\g<1>{graph.name}-", svg)
    for colour, variable in THEMED.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = re.sub(r"font: ([^;\"]*?)'DejaVu Sans'", r"font: \1'DejaVu Sans', Verdana, sans-serif", svg)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    return re.sub(r"\n\s*", "\n", svg)
