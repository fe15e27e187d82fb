"""Reading YAML that somebody sent."""

from typing import Any

import gevent
import yaml


def read_yaml(raw: bytes) -> Any:
    """The document, read in a native thread: a large rule set takes seconds, and others are being served.

    Raises ValueError with a sentence for what is not YAML or has aliases.
    """
    document, problem = gevent.get_hub().threadpool.apply(_read, (raw,))
    if problem:
        raise ValueError(problem)
    return document


def _read(raw: bytes) -> tuple[Any, str]:
    """(document, problem). Without aliases: a few of them, nested, are a document that never ends."""
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(raw, yaml.CSafeLoader)):
            return None, "aliases (*name) are not taken"
        return yaml.load(raw, yaml.CSafeLoader), ""
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        return None, str(error)
