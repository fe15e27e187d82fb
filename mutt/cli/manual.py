"""The manual of mutt-admin, generated from its commands: the man page, and docs/reference/mutt-admin.md.

``python -m mutt.cli.manual`` prints mutt-admin(1), with ``--reference`` the page of the documentation. Both files
are tested to equal what is generated, so that a new option cannot miss its documentation.
"""

import inspect
import re
import sys
from collections.abc import Iterator

import click

from mutt import __version__
from mutt.cli.exits import MEANINGS

FILES = {
    "~/.config/mutt/admin.toml": "Appliances to work with. See CONFIGURATION.",
    "/etc/mutt/mutt.env": "Settings of the programs on this host: the port of the web UI, and where the secrets are.",
}

VARIABLES = {
    "MUTT_ADMIN_URL": "Web UI to work with.",
    "MUTT_ADMIN_API_KEY, WEBUI_API_KEY": "API key; the first that is set.",
    "MUTT_ADMIN_CONTEXT": "Appliance of admin.toml to work with.",
    "MUTT_ADMIN_CA_FILE": "CA that signed the certificate of the web UI.",
    "MUTT_INGEST_URL, INGEST_API_KEY": "Where send-test sends its event, and the key for that.",
    "MUTT_ENV_FILE": "Another place for /etc/mutt/mutt.env.",
    "XDG_CONFIG_HOME": "Another place for ~/.config.",
    "NO_COLOR": "No colours, when set to anything.",
}

CONFIGURATION = """\
current_context = "lab"        # which one, without --context

[contexts.production]
url = "https://mutt.example.net:8090"
api_key_file = "~/.config/mutt/production.key"   # chmod 0600
ca_file = "/etc/pki/tls/certs/example-ca.pem"
timeout_seconds = 30

[contexts.lab]
url = "http://127.0.0.1:8090"
api_key_file = "~/.config/mutt/lab.key"
ingest_url = "http://127.0.0.1:8080"             # for send-test
ingest_api_key_file = "~/.config/mutt/lab-ingest.key"
"""

NOTES = (
    "A member that is not under [contexts] belongs to the context without a name. A file with a key must not be open "
    "to other users. A stored key goes only to the server it was stored for: with another --url, give --api-key-file "
    "too. Redirects are not followed and the check of certificates cannot be switched off."
)


Entry = tuple[click.Command, click.Context]


def walk(command: click.Command, ctx: click.Context) -> Iterator[Entry]:
    """The command and all below it, in the order of their names."""
    yield command, ctx
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            child = command.get_command(ctx, name)
            if child and not child.hidden:
                yield from walk(child, click.Context(child, info_name=name, parent=ctx))


def as_roff(root: click.Command) -> str:
    """mutt-admin(1)."""
    entries = list(walk(root, click.Context(root, info_name="mutt-admin")))
    lines = [
        f'.TH MUTT-ADMIN 1 "" "MUTT {__version__}" "MUTT"',
        ".SH NAME",
        "mutt-admin \\- manage MUTT, the Multi-Use Telemetry Tool",
        ".SH SYNOPSIS",
        ".B mutt-admin",
        "[OPTIONS] COMMAND [ARGS]...",
        ".SH DESCRIPTION",
        *_roff_text(root.help or ""),
        ".SH OPTIONS",
        *_roff_options(*entries[0]),
        ".SH COMMANDS",
    ]
    for command, ctx in entries[1:]:
        lines += [f".SS {_roff(_usage(command, ctx))}", *_roff_text(command.help or ""), *_roff_options(command, ctx)]
    lines += [".SH CONFIGURATION", ".nf", *(_roff(line) for line in CONFIGURATION.splitlines()), ".fi", ".PP"]
    lines += [_roff(NOTES), ".SH ENVIRONMENT", *_roff_terms(VARIABLES), ".SH FILES", *_roff_terms(FILES)]
    lines += [
        ".SH EXIT STATUS",
        *_roff_terms({str(code): meaning.capitalize() + "." for code, meaning in MEANINGS.items()}),
    ]
    return "\n".join(lines) + "\n"


def as_markdown(root: click.Command) -> str:
    """docs/reference/mutt-admin.md."""
    entries = list(walk(root, click.Context(root, info_name="mutt-admin")))
    lines = [
        "# mutt-admin",
        "",
        "Generated from the commands by `python -m mutt.cli.manual --reference`; `man mutt-admin` says the same.",
        "",
        *_markdown_text(root.help or ""),
        "Listings take `-o table|wide|json|yaml|name`. Data goes to standard output, all else to standard error.",
        "",
        *_markdown_options(*entries[0]),
        "## Exit codes",
        "",
        "| code | meaning |",
        "| --- | --- |",
        *(f"| {code} | {meaning} |" for code, meaning in MEANINGS.items()),
        "",
        "## Configuration",
        "",
        "`~/.config/mutt/admin.toml` names appliances:",
        "",
        "```toml",
        *CONFIGURATION.splitlines(),
        "```",
        "",
        NOTES,
        "",
        "| variable | meaning |",
        "| --- | --- |",
        *(f"| `{name.replace(', ', '`, `')}` | {meaning} |" for name, meaning in VARIABLES.items()),
        "",
    ]
    for command, ctx in entries[1:]:
        depth = "##" if ctx.parent and ctx.parent.parent is None else "###"
        lines += [f"{depth} {ctx.command_path}", ""]
        if not isinstance(command, click.Group):
            lines += ["```", _usage(command, ctx), "```", ""]
        lines += [*_markdown_text(command.help or ""), *_markdown_options(command, ctx)]
    return "\n".join(lines)


def _usage(command: click.Command, ctx: click.Context) -> str:
    return " ".join([ctx.command_path, *command.collect_usage_pieces(ctx)])


def _options(command: click.Command, ctx: click.Context) -> list[tuple[str, str]]:
    records = (parameter.get_help_record(ctx) for parameter in command.params if isinstance(parameter, click.Option))
    return [record for record in records if record]


def _paragraphs(text: str) -> Iterator[tuple[bool, str]]:
    r"""The paragraphs of a help text, and whether one is to be left as it is (click's \b)."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        verbatim = paragraph.startswith("\b")
        words = paragraph.removeprefix("\b").strip("\n")
        yield verbatim, words if verbatim else " ".join(words.split())


def _roff_text(text: str) -> list[str]:
    lines: list[str] = []
    for verbatim, paragraph in _paragraphs(text):
        body = [_roff(line) for line in paragraph.splitlines()]
        lines += [".PP", ".nf", *body, ".fi"] if verbatim else [".PP", *body]
    return lines


def _roff_options(command: click.Command, ctx: click.Context) -> list[str]:
    return _roff_terms(dict(_options(command, ctx)))


def _roff_terms(terms: dict[str, str]) -> list[str]:
    return [line for term, meaning in terms.items() for line in (".TP", f".B {_roff(term)}", _roff(meaning))]


def _roff(text: str) -> str:
    """The text with what roff would take for its own escaped."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + escaped if escaped[:1] in (".", "'") else escaped


def _markdown_text(text: str) -> list[str]:
    lines: list[str] = []
    for verbatim, paragraph in _paragraphs(text):
        lines += ["```", *paragraph.splitlines(), "```", ""] if verbatim else [paragraph.replace("<", "&lt;"), ""]
    return lines


def _markdown_options(command: click.Command, ctx: click.Context) -> list[str]:
    options = _options(command, ctx)
    if not options:
        return []
    rows = [f"| `{name.replace('|', '/')}` | {meaning.replace('|', '/')} |" for name, meaning in options]
    return ["| option | meaning |", "| --- | --- |", *rows, ""]


if __name__ == "__main__":
    from mutt.cli.main import main

    sys.stdout.write(as_markdown(main) if "--reference" in sys.argv[1:] else as_roff(main))
