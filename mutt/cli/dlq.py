"""``mutt-admin dlq``: dead letters, looked at, mended, replayed or discarded."""

import json
from pathlib import Path
from typing import Any, get_args

import click

from mutt.admin.shapes.dead_letters import (
    EditedLetter,
    Letter,
    LetterGroup,
    LetterList,
    LetterLists,
    LetterOutcome,
    LetterPage,
    ListName,
)
from mutt.cli.api import Api, path_of
from mutt.cli.exits import USAGE, CliError
from mutt.cli.options import confirm, limit_option, pass_api, reason_option, say_how_many, yes_option
from mutt.cli.output import Column, Listing, output_option, say, show, show_document, show_one, shown_duration
from mutt.cli.rule_drafts import read_document

ID_LENGTH = 40
SHORT_ID = 12
"""Digits of an id in a table; commands take as few of them as name one letter."""

LETTERS: Listing[Letter] = Listing(
    (
        Column("ID", lambda letter: letter.id[:SHORT_ID]),
        Column("FAILED AT", lambda letter: letter.failed_at),
        Column("REASON", lambda letter: letter.reason),
        Column("HOST", lambda letter: letter.hostname),
        Column("ATTEMPTS", lambda letter: letter.attempts, wide=True),
        Column("REPLAYS", lambda letter: letter.replays, wide=True),
        Column("REPLAY DUE", lambda letter: letter.due_at, wide=True),
        Column("CORRELATION ID", lambda letter: letter.correlation_id, wide=True),
        Column("ERROR", lambda letter: letter.error, long=True),
        Column("MESSAGE", lambda letter: letter.message, wide=True),
    ),
    lambda letter: letter.id,
)

GROUPS: Listing[tuple[LetterList, LetterGroup | None]] = Listing(
    (
        Column("LIST", lambda pair: pair[0].name),
        Column("LETTERS", lambda pair: pair[1].count if pair[1] else pair[0].depth),
        Column("REASON", lambda pair: pair[1].reason if pair[1] else None),
        Column("OLDEST", lambda pair: pair[1].oldest if pair[1] else None, wide=True),
        Column("NEWEST", lambda pair: pair[1].newest if pair[1] else None),
        Column("A SAMPLE", lambda pair: pair[1].sample_error if pair[1] else None, long=True),
        Column("SAMPLE ID", lambda pair: pair[1].sample_id if pair[1] else None, wide=True),
        Column("WHAT IS IN THE LIST", lambda pair: pair[0].what, wide=True),
    ),
    lambda pair: pair[0].name,
)

list_argument = click.argument("name", type=click.Choice(get_args(ListName)))


@click.group()
def dlq() -> None:
    """Dead letters: messages that could not be processed or delivered, and are kept with the reason."""


@dlq.command()
@output_option
@pass_api
def lists(api: Api, output: str) -> None:
    """Show all lists, by reason."""
    answer = api.get("/dlq", LetterLists)
    pairs: list[tuple[LetterList, LetterGroup | None]] = []
    for each in answer.lists:
        pairs += [(each, group) for group in each.groups] or [(each, None)]
    if output == "name":
        pairs = [(each, None) for each in answer.lists]
    show(output, pairs, GROUPS, answer)
    for each in answer.lists:
        if each.looked_at < each.depth:
            say(f"{each.name}: grouped are the newest {each.looked_at} of {each.depth}")


@dlq.command("list")
@list_argument
@click.option("--with-reason", metavar="REASON", help="Only those of this reason.")
@click.option("-q", "--search", metavar="TEXT", help="Text in the letter.")
@click.option("--payload", is_flag=True, help="The message whole, for -o json and yaml.")
@limit_option
@output_option
@pass_api
def list_letters(
    api: Api, name: str, with_reason: str | None, search: str | None, payload: bool, limit: int, output: str
) -> None:
    """List the letters of a list, newest first."""
    entries, total, page = api.listed(
        path_of("dlq", name), LetterPage, "letters", limit, reason=with_reason, q=search, payload=payload or None
    )
    show(output, entries, LETTERS, {"letters": entries, "total": total, "looked_at": page.looked_at})
    say_how_many(len(entries), total)


@dlq.command("show")
@list_argument
@click.argument("letter_id")
@output_option
@pass_api
def show_letter(api: Api, name: str, letter_id: str, output: str) -> None:
    """Show one letter with its payload."""
    letter = api.get(path_of("dlq", name, _whole_id(api, name, letter_id)), Letter)
    members = {member: getattr(letter, member) for member in letter.__struct_fields__ if member != "payload"}
    show_one(output, letter.id, members, letter)
    if output in ("table", "wide"):
        say("payload:")
        show_document("json", letter.payload)


@dlq.command()
@list_argument
@click.argument("letter_id")
@click.option("--payload-file", type=click.Path(allow_dash=True, exists=True, dir_okay=False, path_type=Path),
              help="JSON or YAML document of the new payload; without it $EDITOR opens the present one.")  # fmt: skip
@reason_option
@pass_api
def edit(api: Api, name: str, letter_id: str, payload_file: Path | None, reason: str | None) -> None:
    """Change the payload of a letter, which stays in its list; prints its new id. `replay` sends it on."""
    path = path_of("dlq", name, _whole_id(api, name, letter_id))
    letter, etag = api.get_tagged(path, Letter)
    payload = read_document(payload_file) if payload_file else _edited(letter.payload)
    if payload == letter.payload:
        say("nothing was changed")
        return
    answer = api.put(path, {"payload": payload, "reason": reason}, EditedLetter, etag)
    click.echo(answer.id)
    say(answer.message)


def _choice_options(command: Any) -> Any:
    for option in (
        yes_option,
        click.option("--dry-run", is_flag=True, help="Only let the appliance count them."),
        reason_option,
        click.option("--all", "every", is_flag=True, help="All letters of the list."),
        click.option("--with-reason", metavar="REASON", help="All letters of this reason."),
        click.argument("letter_ids", nargs=-1),
        list_argument,
    ):
        command = option(command)
    return command


@dlq.command()
@_choice_options
@click.option("--rate", type=click.FloatRange(0, 10_000, min_open=True), metavar="PER_SECOND",
              help="Spread the replays over time; at once without it.")  # fmt: skip
@output_option
@pass_api
def replay(api: Api, name: str, rate: float | None, output: str, **choice: Any) -> None:
    """Send letters on their way again: those of the ids, those of a reason, or all."""
    _move(api, name, "replay", choice, {"rate_per_second": rate}, output)


@dlq.command()
@_choice_options
@output_option
@pass_api
def discard(api: Api, name: str, output: str, **choice: Any) -> None:
    """Throw letters away for good; the audit of the configuration keeps a record."""
    _move(api, name, "discard", choice, {}, output)


def _move(api: Api, name: str, action: str, choice: dict[str, Any], more: dict[str, Any], output: str) -> None:
    """Has the appliance count first, asks, then does it."""
    ids = [_whole_id(api, name, each) for each in choice["letter_ids"]]
    ways = {"ids": ids, "with_reason": choice["with_reason"], "all": choice["every"]}
    chosen = {way: value for way, value in ways.items() if value}
    if len(chosen) != 1:
        raise CliError("say which letters: their ids, or --with-reason REASON, or --all", USAGE)
    request = {**chosen, "reason": choice["reason"], **{key: value for key, value in more.items() if value}}
    path = path_of("dlq", name, action)
    if choice["dry_run"] or not choice["yes"]:
        counted = api.post(path, {**request, "dry_run": True}, LetterOutcome)
        if choice["dry_run"] or not counted.done:
            _show_outcome(counted, output)
            return
        confirm(f"{action.capitalize()} {counted.done} of the dead letters in {name}?", choice["yes"])
    _show_outcome(api.post(path, request, LetterOutcome), output)


def _show_outcome(outcome: LetterOutcome, output: str) -> None:
    if output in ("json", "yaml"):
        show_document(output, outcome)
        return
    say(outcome.message)
    for sentence, count in outcome.skipped.items():
        say(f"{count} skipped: {sentence}")
    if outcome.seconds:
        say(f"the last one is replayed in {shown_duration(outcome.seconds)}")


def _whole_id(api: Api, name: str, given: str) -> str:
    """The id that begins so. Raises CliError when none does, or several do."""
    if len(given) >= ID_LENGTH:
        return given.lower()
    if len(given) < 6 or not all(digit in "0123456789abcdef" for digit in given.lower()):
        raise CliError(f"{given!r} is not an id of a letter, nor its first six digits or more", USAGE)
    letters, _, _ = api.listed(path_of("dlq", name), LetterPage, "letters", 0)
    found = sorted({each.id for each in letters if each.id.startswith(given.lower())})
    if len(found) == 1:
        return str(found[0])
    many = f"{len(found)} letters of {name} begin with {given}; give more digits"
    raise CliError(many if found else f"no letter of {name} begins with {given}")


def _edited(payload: Any) -> Any:
    """The payload as the person left it in the editor. Raises CliError when it is not JSON any more."""
    text = click.edit(json.dumps(payload, indent=2, ensure_ascii=False), extension=".json")
    if text is None:
        return payload
    try:
        return json.loads(text)
    except ValueError as error:
        raise CliError(f"what the editor left is not JSON ({error}); nothing was changed") from error
