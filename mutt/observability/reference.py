"""docs/reference/metrics.md, generated from the declarations in mutt/observability/metrics.py.

``python -m mutt.observability.reference`` prints it. The file is tested to equal what is generated, so that a new
metric cannot miss its documentation; dashboards and alert rules are tested against the same catalogue.
"""

import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry

from mutt.observability import metrics

PROGRAMS: Mapping[str, tuple[type[metrics.ProgramMetrics], int]] = {
    "mutt-ingestor": (metrics.IngestorMetrics, 8080),
    "mutt-alerter": (metrics.AlerterMetrics, 8081),
    "mutt-forwarder": (metrics.ForwarderMetrics, 8083),
    "mutt-remediation": (metrics.RemediationMetrics, 8086),
    "mutt-webui": (metrics.WebUIMetrics, 8090),
}

OPEN_LABELS = {
    "status": "the HTTP status",
    "version": "the version of the package",
    "endpoint": "the route, like `/rules/{id}`",
    "operation": "the name of the statement, that is of its file in mutt/store/queries, or `other`",
    "setting": "the setting that names the certificate's file",
}
"""Labels whose values are not known at start."""

ALWAYS_OPEN = ("version",)
"""A label whose value changes with every release is not listed."""

MODES = {
    "mostrecent": "what the process that looked last found; not there until one has looked",
    "livesum": "the sum over the processes that live",
    "livemax": "the largest value among the processes that live",
    "max": "the same in every process",
}

_INTRO = """\
# Metrics

Each program answers `GET /metrics` on its own port in Prometheus's text format, however many processes it runs: one
target a program and host. Ports are settings (see [settings.md](settings.md)). Labels exist from the start on, so
rates begin at zero. Counters begin anew with the program, and not with one of its processes. No metric is labelled by
host name or message: what devices send cannot fill Prometheus.

Queues, dead letters, the circuit and the rate of events are read from Redis when Prometheus asks, so every host shows
the same figures: take `max without (instance) (...)` of them, never a sum. While Redis is away they keep their value.
What a process notes about itself (secrets, connections, age of the rules) is up to 5 seconds old; partitions and
certificates up to a minute.

Alert rules, dashboards and a scrape configuration lie in `monitoring/`, on a host with the package in
`/usr/share/mutt/monitoring`.

This page is generated from `mutt/observability/metrics.py` by `python -m mutt.observability.reference`.
"""


class Metric(NamedTuple):
    """A metric as it is exported. ``labels`` has the values of each label that are known at start."""

    name: str
    kind: str
    meaning: str
    labels: Mapping[str, tuple[str, ...]]
    mode: str | None
    bounds: tuple[float, ...]


def catalogue() -> dict[str, list[Metric]]:
    """The metrics of each program, in the order of their declaration."""
    return {program: list(_metrics(kind)) for program, (kind, _) in PROGRAMS.items()}


def _metrics(program: type[metrics.ProgramMetrics]) -> Iterator[Metric]:
    for each in vars(program(CollectorRegistry())).values():
        declared: Any = each
        suffix = "_total" if declared._type == "counter" else ""
        values: dict[str, list[str]] = {label: [] for label in declared._labelnames}
        for sample in (sample for family in declared.collect() for sample in family.samples):
            for label in values:
                values[label].append(sample.labels[label])
        yield Metric(
            declared._name + suffix,
            declared._type,
            declared._documentation,
            {label: () if label in ALWAYS_OPEN else tuple(dict.fromkeys(known)) for label, known in values.items()},
            getattr(declared, "_multiprocess_mode", None),
            tuple(getattr(declared, "_upper_bounds", ())[:-1]),
        )


def render() -> str:
    """The page."""
    sections = [_section(program, found) for program, found in catalogue().items()]
    modes = "\n".join(f"- {mode}: {words}." for mode, words in MODES.items())
    return "\n".join([_INTRO, *sections, f"## Gauges of several processes\n\n{modes}"]) + "\n"


def _section(program: str, found: list[Metric]) -> str:
    rows = [_row(each) for each in found]
    heading = f"## {program} (port {PROGRAMS[program][1]})\n"
    return "\n".join([heading, "| metric | type | labels | meaning |", "| --- | --- | --- | --- |", *rows, ""])


def _row(metric: Metric) -> str:
    kind = f"{metric.kind}, {metric.mode}" if metric.mode else metric.kind
    meaning = metric.meaning
    if metric.bounds:
        meaning += f" Buckets: {', '.join(f'{bound:g}' for bound in metric.bounds)}."
    return f"| `{metric.name}` | {kind} | {'; '.join(_labels(metric)) or '-'} | {meaning} |"


def _labels(metric: Metric) -> Iterator[str]:
    for label, values in metric.labels.items():
        known = ", ".join(f"`{value}`" if value else "empty" for value in values)
        yield f"`{label}`: {known or OPEN_LABELS[label]}"


if __name__ == "__main__":
    sys.stdout.write(render())
