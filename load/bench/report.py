"""docs/performance.md: the table with what it was measured on, and how to measure again."""

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path

from load.bench.figures import Figure, as_markdown

HEAD = """\
# How fast it is

Written by `make bench`; a figure changed by hand would be lost. The goals are those of the design: the user wants
10,000 events a second of one ingest worker. Figures of shared machines drift: compare lines of one run, and CPU
microseconds an event rather than rates. `others took` names the CPU that other processes took during a measurement.
Wherever a rate of the whole pipeline is named, Redis, PostgreSQL, all five programs and the load generator share the
machine. `lost or doubled` is the accounting of the same run: every accepted event has to have its one audit row, and
every forwardable one its one delivery.
"""

TAIL = """\
## How it is measured

- `make bench` runs everything in this table, one part after another, in at most 40 minutes; `make bench-quick` the same
  in small, to see that it works. `python -m load.bench --only ingest alerter` runs parts of it.
- Every part runs on a Redis (AOF) and a PostgreSQL of its own, with authentication, limits and metrics on.
- The load comes from a raw generator (`load/bench/generator.py`): keep-alive connections on one epoll loop, bodies made
  beforehand. Its own CPU is part of what the machine has to give. Of the events 30 % are forwarded, 60 % match a rule
  that only logs, 10 % match none.
- `a core` is 1,000,000 divided by the CPU microseconds that the ingest worker takes for an event.
- Sustained means: sources pause while 20,000 messages wait, and the clock stops when the last row is written and the
  last alert delivered.
- Latencies at half load are counted from the moment a request was due, whether or not a connection was free.
- `python -m load.bench.matching` compares ways to match rules, by CPU an event.
- Comparisons are made in pairs, the other and then MUTT, three times; the table shows medians. The other systems take
  the same events with as many routes or filters as MUTT has rules. What is compared is said in the line: the
  specification's ingest has four workers against one of MUTT's; Alertmanager keeps alerts in memory only and writes no
  audit log; rsyslog has no webhook and a queue in memory.

## Load as clients make it: Locust

`make locust-steady` and its siblings (`make locust` runs them all) start the appliance and Locust on this machine,
judge p95, p99, failures and the accounting, end with an error when a threshold is missed, and leave Locust's report in
`var/locust/<profile>.html`.

| profile | load |
| --- | --- |
| steady | ten sources, 10,000 events/s in batches of 100 |
| ramp | 5,000 events/s more every few seconds, up to 60,000; sources may be told to wait |
| burst | 2,000 events/s, then 40,000 for ten seconds, then 2,000 |
| sources | 1,000 devices with a connection each, an event every other second |
| relays | rsyslog-like: half post single messages, half batches, as lines, to the relay route |
| operators | 100 people on the API while 5,000 events/s come in |
| poison | 5,000 events/s of which two in a hundred are broken |

To load an appliance elsewhere, and from several machines, give Locust the files itself:

```
export INGEST_API_KEY=... WEBUI_API_KEY=... MUTT_ADMIN_URL=http://mutt.example.net:8090 LOCUST_SECONDS=600
locust -f load/locust/steady.py --master --expect-workers 4 --headless --users 40 --run-time 600s \\
       --host http://mutt.example.net:8080 --html steady.html
locust -f load/locust/steady.py --worker --master-host loader-1      # on each core of each machine that drives
```

One Locust process uses one core. `make locust-drive` measures what it can drive there, on a worker that only answers,
beside the raw generator on the same worker; the table has both as "what a client can drive". With batches of 100 one
process is enough for 10,000 events/s many times over; for single requests start a process a core, or take the raw
generator.

## Soak

`make soak` first measures what is sustained, then runs 80 % of it for ten minutes and judges the memory's slope over
the second half (below 1 MB a minute a program), p99 of the second half against the first, and the accounting.
"""


def write(file: Path, figures: Sequence[Figure], machine: Mapping[str, str], command: str, minutes: float) -> None:
    goals = [figure for figure in figures if figure.verdict]
    met = sum(figure.verdict == "MET" for figure in goals)
    today = datetime.datetime.now(datetime.UTC).date()
    lines = [
        HEAD,
        f"`{command}` on {today}, {minutes:.0f} minutes: {met} of {len(goals)} goals met.\n",
        *(f"- {name}: {value}" for name, value in machine.items()),
        "",
        as_markdown(figures),
        "",
        TAIL,
    ]
    file.write_text("\n".join([*lines, *_pictures(file.parent)]))


def _pictures(docs: Path) -> list[str]:
    """The growth curves that `make bench-curves` has drawn."""
    drawn = sorted(docs.glob("pictures/growth-*.svg"))
    if not drawn:
        return []
    pictures = [f"![{each.stem.replace('-', ' ')}](pictures/{each.name})\n" for each in drawn]
    return ["## Growth", "", "Drawn by `make bench-curves`.", "", *pictures]
