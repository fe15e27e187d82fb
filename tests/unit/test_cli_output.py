"""How answers look: tables at several widths, JSON, YAML, names, and the redaction of secrets."""

import json
from datetime import UTC, datetime

import pytest
import yaml
from rich.console import Console

from mutt.cli import output
from mutt.cli.output import Column, Listing, make_table, show, shown_duration
from mutt.cli.redaction import MARK, Redactor, secret_values

LONG = "a [bold]message[/bold] that goes on " * 5
LISTING: Listing[tuple[int, str]] = Listing(
    (
        Column("ID", lambda entry: entry[0]),
        Column("MESSAGE", lambda entry: entry[1], long=True),
        Column("TEAM", lambda entry: "Backbone-Operations"),
        Column("MORE", lambda entry: datetime(2026, 1, 2, tzinfo=UTC), wide=True),
    ),
    lambda entry: entry[0],
)


def lines(width: int, *rows: list[object], fold: bool = False) -> list[str]:
    table, needed = make_table(["ID", "MESSAGE", "TEAM"], rows, ["MESSAGE"], fold, width)
    console = Console(width=max(width, needed), color_system=None)
    with console.capture() as captured:
        console.print(table)
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize("width", [80, 200])
def test_a_table_fits_its_terminal_and_cuts_the_long_column_alone(width: int) -> None:
    head, row = lines(width, [1, LONG, "Backbone-Operations"])
    assert max(len(head), len(row)) <= width
    assert row.endswith("Backbone-Operations")
    assert ("…" in row) is (len(LONG) > width - 30)
    assert "[bold]" in row


def test_a_table_too_wide_for_its_terminal_is_not_folded_into_towers() -> None:
    assert len(lines(30, [1, LONG, "Backbone-Operations"])) == 2


def test_a_folding_column_shows_everything() -> None:
    folded = lines(60, [1, LONG, "T"], fold=True)
    assert len(folded) > 3
    assert "".join(" ".join(folded).split()).count("goeson") >= 3


@pytest.mark.parametrize("form", ["table", "wide", "json", "yaml", "name"])
def test_a_pipe_gets_whole_values(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    entries = [(1, LONG), (2, "tab\tand\nnewline\x1b[2J")]
    show(form, entries, LISTING, {"entries": entries, "total": 2})
    out, err = capsys.readouterr()
    assert err == ""
    assert "\x1b" not in out
    if form == "json":
        assert json.loads(out) == {"entries": [list(each) for each in entries], "total": 2}
    elif form == "yaml":
        assert yaml.safe_load(out)["entries"][1][1] == entries[1][1]
    elif form == "name":
        assert out.split() == ["1", "2"]
    else:
        assert LONG.strip() in out
        assert len(out.splitlines()) == 3
        assert ("2026-01-02 00:00:00Z" in out) is (form == "wide")


def test_durations() -> None:
    shown = [shown_duration(each) for each in (None, 0.0123, 1.5, 250, 3 * 3600 + 300, 200_000)]
    assert shown == ["-", "12ms", "1.5s", "4m10s", "3h05m", "2d07h"]


def test_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.data_console().color_system is None


# --- redaction --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        'password="CANARY-1 with blanks"', "DB_PASS_CURRENT=CANARY-1", '{"api_key": "CANARY-1"}', "X-API-KEY: CANARY-1",
        "Authorization: Basic Q0FOQVJZLTE= CANARY-1", "sent Bearer CANARY-1", "https://user:CANARY-1@host/path",
        "-----BEGIN PRIVATE KEY-----\nCANARY-1\n-----END PRIVATE KEY-----", "{'auth_token': 'CANARY-1'}",
    ],
)  # fmt: skip
def test_what_looks_like_a_secret_goes(text: str) -> None:
    redacted = Redactor([]).text(f"before {text} after")
    assert "CANARY-1" not in redacted
    assert MARK in redacted
    assert redacted.startswith("before")


def test_a_known_secret_goes_however_it_is_written() -> None:
    secret = 'pa"ss\\wörd/+&'
    written = [
        secret,
        json.dumps({"x": secret}),
        json.dumps([secret], ensure_ascii=False),
        "q=pa%22ss%5Cw%C3%B6rd%2F%2B%26",
    ]
    for text in written:
        assert "ss" not in Redactor([secret]).text(text).replace("pass", "")


def test_json_stays_json_and_plain_text_stays() -> None:
    document = {"api_key": 'a"b', "host": "core1", "rate": 5, "monkey": "banana"}
    assert json.loads(Redactor([]).text(json.dumps(document))) == {**document, "api_key": MARK}
    assert Redactor(["abc", ""]).text("abc is too short to be taken out") == "abc is too short to be taken out"


def test_a_long_line_takes_no_time() -> None:
    import time

    started = time.monotonic()
    Redactor([]).text("a" * 500_000 + " " + "pass" * 50_000)
    assert time.monotonic() - started < 5


def test_values_are_secret_by_the_name_of_their_variable() -> None:
    found = secret_values({"DB_PASS_CURRENT": "a", "MUTT_SECRETS_FILE": "/f", "REDIS_HOST": "h", "VAULT_TOKEN": "t"})
    assert found == ["a", "t"]
