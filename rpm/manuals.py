"""Writes what is generated for people at a terminal: manuals.py FOLDER, with MUTT and its libraries on PYTHONPATH.

FOLDER gets the manual pages mutt.env(5) and those of the five programs in section 8 (mutt-admin(1) is kept in
docs/man), and the completion of mutt-admin for bash, zsh and fish. Only libraries without compiled parts are imported:
the package may be built for another processor.
"""

import dataclasses
import gzip
import sys
from collections.abc import Iterator
from pathlib import Path

from click.shell_completion import get_completion_class

from mutt import __version__, settings, settings_template

COMPLETIONS = {
    "bash": "bash-completion/completions/mutt-admin",
    "zsh": "zsh/site-functions/_mutt-admin",
    "fish": "fish/vendor_completions.d/mutt-admin.fish",
}

PROGRAMS = {
    "mutt-ingestor": "takes events over HTTP on port 8080 and queues them in Redis",
    "mutt-alerter": "decides by rules what every event means and writes the audit log",
    "mutt-forwarder": "sends alerts to the webhook of Moogsoft",
    "mutt-remediation": "sends dead letters once more",
    "mutt-webui": "serves the dashboard and the admin API on port 8090",
}


def program_page(name: str, purpose: str) -> str:
    others = ", ".join(f"{other} (8)" for other in PROGRAMS if other != name)
    return "\n".join([
        f'.TH {name.upper()} 8 "" "MUTT {__version__}" "MUTT"',
        ".SH NAME", f"{escaped(name)} \\- {escaped(purpose)}",
        ".SH SYNOPSIS", f".B {escaped(name)}",
        ".SH DESCRIPTION",
        "One of the five programs of MUTT, the Multi\\-Use Telemetry Tool. It takes no arguments: its settings are in",
        "/etc/mutt/mutt.env and its environment. On an appliance supervisord runs it under mutt.service.",
        ".SH SIGNALS", ".TP", ".B SIGTERM", "Finishes the work in hand and ends.",
        ".TP", ".B SIGHUP", "Reads again what may change while it runs, as the rules, without a gap.",
        ".SH EXIT STATUS", ".TP", ".B 78", "The settings are wrong; standard error says which.",
        ".SH SEE ALSO", escaped(f"mutt-admin (1), mutt.env (5), {others}"), "",
    ])  # fmt: skip


def settings_page() -> str:
    """mutt.env(5), in the order of the template."""
    lines = [
        f'.TH MUTT.ENV 5 "" "MUTT {__version__}" "MUTT"',
        ".SH NAME", "mutt.env \\- settings of MUTT, the Multi\\-Use Telemetry Tool",
        ".SH SYNOPSIS", ".I /etc/mutt/mutt.env",
        ".SH DESCRIPTION",
        "One VARIABLE=value a line, in the syntax of a systemd EnvironmentFile. A value left empty counts as not set.",
        "The programs read their settings once, at start; a variable in their environment wins over the file.",
        ".B mutt\\-admin config check",
        "says what is wrong with a file. Passwords and API keys are in the secrets file or in Vault, not here.",
    ]  # fmt: skip
    seen: set[str] = set()
    for group in settings.GROUPS:
        lines.append(f".SH {escaped(str(group.__doc__).strip().upper())}")
        for field in dataclasses.fields(group):
            if field.metadata["variable"] not in seen:
                seen.add(field.metadata["variable"])
                lines += settings_entry(group, field)
    lines += [".SH SEE ALSO", "mutt\\-admin (1)", ""]
    return "\n".join(lines)


def settings_entry(group: type, field: "dataclasses.Field[object]") -> Iterator[str]:
    default = settings_template.shown_default(field)
    mark = settings_template.requirement(group, field) or (f"Default: {default}" if default else "No default")
    yield ".TP"
    yield f".B {escaped(field.metadata['variable'])}"
    yield escaped(f"{field.metadata['doc']} Accepts {settings_template.accepts(field)}. {mark}.")


def escaped(text: str) -> str:
    """The text with what roff would take for its own escaped."""
    plain = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + plain if plain[:1] in (".", "'") else plain


def completion(shell: str) -> str:
    """What `mutt-admin completion` prints."""
    kind = get_completion_class(shell)
    if kind is None:
        sys.exit(f"click knows no completion for {shell}")
    # The command is only asked for when something is completed; here its name is enough.
    script = kind(None, {}, "mutt-admin", "_MUTT_ADMIN_COMPLETE")  # type: ignore[arg-type]
    return str(script.source_template % script.source_vars()) + "\n"


def write_page(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(text.encode(), mtime=0))


def main(folder: str) -> None:
    share = Path(folder)
    write_page(share / "man/man5/mutt.env.5.gz", settings_page())
    write_page(share / "man/man1/mutt-admin.1.gz", Path("docs/man/mutt-admin.1").read_text(encoding="utf-8"))
    for name, purpose in PROGRAMS.items():
        write_page(share / f"man/man8/{name}.8.gz", program_page(name, purpose))
    for shell, path in COMPLETIONS.items():
        (share / path).parent.mkdir(parents=True, exist_ok=True)
        (share / path).write_text(completion(shell))


if __name__ == "__main__":
    main(sys.argv[1])
