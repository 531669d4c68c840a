"""Line charts as SVG text: what the pages of docs/ show, drawn without a plotting library.

One rule: the same data gives the same bytes, so that a chart changes in a commit only if its figures do.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 720
HEIGHT: Final = 400
LEFT: Final = 70
RIGHT: Final = 150  # the legend's room
TOP: Final = 40
BOTTOM: Final = 55
TICKS: Final = 6
COLOURS: Final = ("#1b6ca8", "#d1495b", "#2e8b57", "#b8860b", "#6a4c93", "#444444")
STEPS: Final = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Line:
    """Points of one colour, joined in order."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart. A logarithmic axis takes positive values only."""

    title: str
    x_name: str
    y_name: str
    lines: tuple[Line, ...]
    x_log: bool = False
    y_log: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """Values to places along one side of the plot."""

    low: float
    high: float
    log: bool
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """Return where a value lies, 0 to 1."""
        low, high, value = (math.log10(each) if self.log else each for each in (self.low, self.high, value))
        return (value - low) / (high - low)


def axis(values: Sequence[float], log: bool) -> Axis:
    """Return an axis on which all values lie, with round ticks. Raises ValueError if there are none."""
    if not values:
        raise ValueError("a chart without points")
    if log:
        if min(values) <= 0:
            raise ValueError("a logarithmic axis has no place for 0")
        low = math.floor(math.log10(min(values)))
        powers = range(low, max(math.ceil(math.log10(max(values))), low + 1) + 1)
        return Axis(10.0 ** powers[0], 10.0 ** powers[-1], True, tuple(10.0**power for power in powers))
    high = max(max(values), 1e-9)
    step = _step(high / TICKS)
    count = math.ceil(high / step - 1e-9)
    return Axis(0.0, count * step, False, tuple(index * step for index in range(count + 1)))


def draw(chart: Chart) -> str:
    """Return the SVG. Raises ValueError if there are no points."""
    xs = axis([x for line in chart.lines for x, _ in line.points], chart.x_log)
    ys = axis([y for line in chart.lines for _, y in line.points], chart.y_log)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"',
        ' font-family="sans-serif" font-size="12">',
        f"<title>{escape(chart.title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(LEFT, 22, chart.title, "start", 'font-weight="bold" font-size="14"'),
        *_grid(xs, ys),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, chart.x_name, "middle"),
        _text(18, HEIGHT / 2, chart.y_name, "middle", f'transform="rotate(-90 18 {HEIGHT / 2:g})"'),
    ]
    for index, line in enumerate(chart.lines):
        parts += _line(line, COLOURS[index % len(COLOURS)], index, xs, ys)
    return "\n".join([*parts, "</svg>", ""])


def _grid(xs: Axis, ys: Axis) -> list[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for tick in xs.ticks:
        x = _x(xs, tick)
        parts.append(f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="#e4e4e4"/>')
        parts.append(_text(x, bottom + 18, number(tick), "middle"))
    for tick in ys.ticks:
        y = _y(ys, tick)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#e4e4e4"/>')
        parts.append(_text(LEFT - 8, y + 4, number(tick), "end"))
    parts.append(f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="#666"/>')
    return parts


def _line(line: Line, colour: str, index: int, xs: Axis, ys: Axis) -> list[str]:
    places = [(_x(xs, x), _y(ys, y)) for x, y in line.points]
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
    y = TOP + 12 + 20 * index
    x = WIDTH - RIGHT + 15
    return [
        f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *dots,
        f'<path d="M{x} {y - 4}h18" stroke="{colour}" stroke-width="2"/>',
        _text(x + 24, y, line.name, "start"),
    ]


def _x(xs: Axis, value: float) -> float:
    return LEFT + xs.share(value) * (WIDTH - RIGHT - LEFT)


def _y(ys: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - ys.share(value) * (HEIGHT - BOTTOM - TOP)


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(text)}</text>'


def _step(least: float) -> float:
    """Return the next round number."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in STEPS if step * power >= least - 1e-12)


def number(value: float) -> str:
    """Return a tick's text."""
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:g}"
