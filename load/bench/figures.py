"""Figures and their goals, and the table they make."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LESS_IS_BETTER, MORE_IS_BETTER = "at most", "at least"


@dataclass(frozen=True)
class Figure:
    """One line of the table. Without a goal it is there to compare with; ``note`` says what has to be known."""

    part: str
    name: str
    value: float | None
    unit: str
    goal: float | None = None
    sense: str = MORE_IS_BETTER
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """1 or more when the goal is met; None where there is nothing to divide."""
        if not self.goal or self.value is None:
            return None
        if self.sense == MORE_IS_BETTER:
            return self.value / self.goal
        return self.goal / self.value if self.value > 0 else None

    @property
    def verdict(self) -> str:
        """MET, MISSED or nothing; a goal that could not be measured is missed."""
        if self.goal is None:
            return ""
        if self.value is None:
            return "MISSED"
        met = self.value >= self.goal if self.sense == MORE_IS_BETTER else self.value <= self.goal
        return "MET" if met else "MISSED"


def at_most(part: str, name: str, value: float | None, unit: str, goal: float, note: str = "") -> Figure:
    return Figure(part, name, value, unit, goal, LESS_IS_BETTER, note)


def exact(part: str, name: str, lost: int, note: str = "") -> Figure:
    """A count that has to be nought."""
    return Figure(part, name, float(lost), "", 0.0, LESS_IS_BETTER, note)


def number(value: float | None) -> str:
    if value is None:
        return "-"
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def row(figure: Figure) -> tuple[str, str, str, str, str, str]:
    """(verdict, part and name, goal, measured, ratio, note)"""
    unit = f" {figure.unit}" if figure.unit else ""
    goal = f"{figure.sense} {number(figure.goal)}{unit}" if figure.goal is not None else ""
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    return figure.verdict, f"{figure.part}: {figure.name}", goal, number(figure.value) + unit, ratio, figure.note


HEADINGS = ("", "what", "goal", "measured", "ratio", "")


def as_text(figures: Iterable[Figure]) -> str:
    """The table for a terminal; every line with a goal begins with MET or MISSED."""
    rows = [HEADINGS, *map(row, figures)]
    widths = [max(len(each[column]) for each in rows) for column in range(5)]
    return "\n".join(
        "  ".join([*(text.ljust(width) for text, width in zip(each[:5], widths, strict=True)), each[5]]).rstrip()
        for each in rows
    )


def as_markdown(figures: Sequence[Figure]) -> str:
    lines = ["| | what | goal | measured | ratio | |", "| --- | --- | --- | --- | --- | --- |"]
    lines += ["| " + " | ".join(text.replace("|", "\\|") for text in row(figure)) + " |" for figure in figures]
    return "\n".join(lines)
