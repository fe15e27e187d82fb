"""What rules and dashboards name: metrics, labels and values, taken out of PromQL and held against the catalogue."""

import re
from collections.abc import Iterator
from typing import Any

from mutt.observability.reference import Metric, catalogue

TARGET_LABELS = {"job", "instance"}
"""What Prometheus adds to everything it scrapes."""

JOBS = set(catalogue())

PROMETHEUS_OWN = {"up": TARGET_LABELS, "ALERTS": {"alertname", "alertstate", "severity", *TARGET_LABELS}}

_SELECTOR = re.compile(r"\b(?P<name>mutt[a-z0-9_:]*|up|ALERTS)\b(?!\()(?:\{(?P<matchers>[^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|without)\s*\(([^)]*)\)")


def exported() -> dict[str, list[Metric]]:
    """Every series name that a program exports, with the metrics it may be (shared ones are several programs')."""
    found: dict[str, list[Metric]] = {}
    for metrics in catalogue().values():
        for metric in metrics:
            suffixes = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
            for suffix in suffixes:
                found.setdefault(metric.name + suffix, []).append(metric)
    return found


def mistakes(expression: str, recorded: dict[str, set[str]]) -> Iterator[str]:
    """A sentence for each name in the expression that nobody exports. ``recorded`` are rules and their labels."""
    known, labels = exported(), set(TARGET_LABELS)
    # What stands in quotes is no selector; the matchers are read from the expression as it is.
    for selector in _SELECTOR.finditer(expression):
        name, matchers = selector["name"], _MATCHER.findall(selector["matchers"] or "")
        if _quoted(expression, selector.start()):
            continue
        if name in known:
            own = {label for metric in known[name] for label in metric.labels} | TARGET_LABELS
            own |= {"le"} if name.endswith("_bucket") else set()
        elif name in recorded or name in PROMETHEUS_OWN:
            own = recorded.get(name) or PROMETHEUS_OWN.get(name, set())
        else:
            yield f"{name} does not exist"
            continue
        labels |= own
        for label, operator, value in matchers:
            if label not in own:
                yield f"{name} has no label {label}"
            elif operator in ("=", "=~") and not _has_value(known.get(name, []), label, operator, value):
                yield f"{name} never has {label}{operator}{value!r}"
    for group in _GROUPING.findall(expression):
        for label in filter(None, (each.strip() for each in group.split(","))):
            if label not in labels:
                yield f"nothing in the expression has the label {label}"


def _quoted(expression: str, at: int) -> bool:
    return expression[:at].count('"') % 2 == 1


def _has_value(metrics: list[Metric], label: str, operator: str, value: str) -> bool:
    possible = JOBS if label == "job" else {each for metric in metrics for each in metric.labels.get(label, ())}
    if not possible:
        return True  # Its values are not known at start.
    parts = value.split("|") if operator == "=~" and "(" not in value else [value]
    return all(any(re.fullmatch(part, each) for each in possible) for part in parts)


def labels_of_result(rule: dict[str, Any]) -> set[str]:
    """The labels of a recorded series: those of its outer aggregation."""
    grouped = re.match(r"\s*\w+ by \(([^)]*)\)", rule["expr"])
    return {each.strip() for each in grouped[1].split(",")} if grouped else set()
