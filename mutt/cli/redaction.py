"""Takes secrets out of text: those that are known by value, and those that look like one."""

import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from mutt.settings import shown

MARK = "(redacted)"
SHORTEST = 4
"""A shorter secret is everywhere by accident; taking it out would leave nothing to read."""

_NAMED = re.compile(
    r"""(?ix)
    ( (?<![\w.-]) [\w.-]{0,100}  # only from the start of a word: the scan stays linear in the length of a line
      (?: password | passwd | secret(?:_id)? | token | api[_-]?key | private[_-]?key | _pass(?:_current|_next)? )
      ["']? \s{0,3} [=:] \s{0,3} )
    ( "(?:[^"\\\n]|\\.)*" | '[^'\n]*' | [^\s,;&"'}]+ )
    """
)
_HEADER = re.compile(r"(?i)((?:proxy-)?authorization\s*[:=]\s*)[^\r\n]*|((?:bearer|basic)\s+)[A-Za-z0-9+/._~=-]{6,}")
_USERINFO = re.compile(r"((?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,20}://)[^/\s@\"']{1,500}@")
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)


class Redactor:
    """``text`` takes out the secrets in every way they may be written."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
        # The longest first: a secret may begin with another.
        self._known = sorted(forms, key=len, reverse=True)

    def text(self, text: str) -> str:
        for form in self._known:
            text = text.replace(form, MARK)
        text = _PEM.sub(MARK, text)
        text = _USERINFO.sub(rf"\1{MARK}@", text)
        text = _HEADER.sub(lambda found: f"{found[1] or found[2]}{MARK}", text)
        return _NAMED.sub(lambda found: found[1] + _marked(found[2]), text)


def secret_values(*sources: Mapping[str, str]) -> list[str]:
    """The values of variables whose name says that they are secret."""
    return [value for source in sources for name, value in source.items() if shown(name, value) == "(not shown)"]


def _marked(value: str) -> str:
    """In the quotes that the value had, so that JSON stays JSON."""
    return f"{value[0]}{MARK}{value[0]}" if value[:1] in ("'", '"') else MARK


def _forms(secret: str) -> set[str]:
    return {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], quote(secret, safe="")}
