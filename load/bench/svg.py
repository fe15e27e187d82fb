"""A curve as a picture: axes, one line a series, every point with its value as a tooltip."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 720, 380
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 44, 52
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
"""Told apart by colour-blind people too."""


class Curve(NamedTuple):
    """What grows, what it costs, and the points (x, y) of each series; x has a logarithmic axis."""

    name: str
    title: str
    x: str
    y: str
    series: Mapping[str, Sequence[tuple[float, float]]]


def draw(curve: Curve) -> str:
    """The picture as SVG text."""
    points = [point for series in curve.series.values() for point in series]
    place_x = _scale([math.log10(max(x, 1)) for x, _ in points], LEFT, WIDTH - RIGHT)
    top = _round_up(max(y for _, y in points))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
        f"<title>{escape(curve.title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(WIDTH / 2, 18, curve.title, "middle", "bold"),
        _text(WIDTH / 2, HEIGHT - 10, curve.x, "middle"),
        _text(14, HEIGHT / 2, curve.y, "middle", turned=True),
        *_grid(points, place_x, top),
    ]
    for number, (label, series) in enumerate(curve.series.items()):
        places = [(place_x(math.log10(max(x, 1))), _down(y, top)) for x, y in sorted(series)]
        colour = COLOURS[number % len(COLOURS)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for (x, y), (at, value) in zip(places, sorted(series), strict=True):
            told = f"{escape(label)}: {value:,.4g} at {at:,.0f}"
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"><title>{told}</title></circle>')
        parts.append(f'<rect x="{LEFT + 10 + number * 200}" y="26" width="12" height="12" fill="{colour}"/>')
        parts.append(_text(LEFT + 28 + number * 200, 36, label, "start"))
    return "\n".join([*parts, "</svg>", ""])


def _grid(points: Sequence[tuple[float, float]], place_x: "_Scale", top: float) -> list[str]:
    parts = []
    for step in range(6):
        value, y = top * step / 5, _down(top * step / 5, top)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{value:,.4g}", "end"))
    for x in sorted({x for x, _ in points}):
        at = place_x(math.log10(max(x, 1)))
        parts.append(_text(at, HEIGHT - BOTTOM + 18, _short(x), "middle"))
    return parts


class _Scale:
    """Places values between two edges."""

    def __init__(self, values: Sequence[float], first: float, last: float) -> None:
        self._low, self._span = min(values), (max(values) - min(values)) or 1.0
        self._first, self._width = first, last - first

    def __call__(self, value: float) -> float:
        return self._first + 10 + (self._width - 30) * (value - self._low) / self._span


def _scale(values: Sequence[float], first: float, last: float) -> _Scale:
    return _Scale(values, first, last)


def _down(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top


def _round_up(value: float) -> float:
    if value <= 0:
        return 1.0
    magnitude = 10 ** math.floor(math.log10(value))
    return next(step * magnitude for step in (1, 2, 2.5, 5, 10) if step * magnitude >= value)


def _short(value: float) -> str:
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:g} {letter}"
    return f"{value:g}"


def _text(x: float, y: float, text: str, anchor: str, weight: str = "normal", turned: bool = False) -> str:
    turn = f' transform="rotate(-90 {x} {y})"' if turned else ""
    style = f'text-anchor="{anchor}" font-weight="{weight}" font-size="12"{turn}'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'
