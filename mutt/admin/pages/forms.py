"""What somebody typed into a form, kept with what is wrong with it until it is right."""

from collections.abc import Mapping
from typing import Any, TypeVar, get_args

import msgspec

from mutt.admin.yaml_documents import read_yaml
from mutt.errors import DataError, OutageError, Reason, RequestError

T = TypeVar("T", bound=msgspec.Struct)


class FormError(RequestError):
    """Some fields cannot be read; ``problems`` has a sentence for each."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__(Reason.INVALID_FIELD, 422, "; ".join(problems.values()), field=next(iter(problems)))
        self.problems = problems


class Form:
    """The values of a form as text, and its problems by field ("" for those that belong to none)."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self.values = dict(values or {})
        self.problems: dict[str, str] = {}
        self.status = 200

    def __getitem__(self, name: str) -> str:
        return self.values.get(name, "")

    def wrong(self, name: str) -> str:
        """What is wrong with the field, "" when nothing is."""
        return self.problems.get(name, "")

    @property
    def if_match(self) -> str | None:
        """The ETag of what the form was filled from, as the header If-Match would hold it."""
        return f'"{self["etag"]}"' if self["etag"] else None

    def refusals(self) -> "_Refusals":
        """Keeps what is refused in here, to be shown where it was typed."""
        return _Refusals(self)

    def refuse(self, error: RequestError | DataError | OutageError) -> None:
        """Keeps what was refused with the field it belongs to."""
        match error:
            case FormError():
                self.problems |= error.problems
                self.status = error.status
            case RequestError():
                self.problems[error.field or ""] = str(error)
                self.status = error.status
            case DataError():
                self.problems[""] = str(error)
                self.status = 422
            case OutageError():
                self.problems[""] = f"{error}; what you typed is kept, try again"
                self.status = 503

    def elsewhere(self, shown: list[str]) -> list[str]:
        """The problems that no field of the page shows."""
        return [sentence for name, sentence in self.problems.items() if name not in shown]


class _Refusals:
    def __init__(self, form: Form) -> None:
        self._form = form

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: Any, error: BaseException | None, _traceback: Any) -> bool:
        if isinstance(error, RequestError | DataError | OutageError):
            self._form.refuse(error)
            return True
        return False


def read(values: Mapping[str, Any], shape: type[T], **more: Any) -> T:
    """The form as a ``shape``. An empty field is one that was not given. Raises FormError with all problems.

    ``more`` are fields that the form does not hold as text.
    """
    given: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for field in msgspec.structs.fields(shape):
        if field.name in more:
            given[field.name] = more[field.name]
            continue
        text = values.get(field.name, "")
        if text in ("", []):
            if field.required:
                problems[field.name] = f"{field.name} is needed"
            continue
        try:
            given[field.name] = msgspec.convert(text, field.type, strict=False)
        except msgspec.ValidationError as error:
            problems[field.name] = _sentence(field.name, str(error), field.type)
    if problems:
        raise FormError(problems)
    return shape(**given)


def _sentence(name: str, complaint: str, kind: Any) -> str:
    """msgspec's complaint with the field's name in front and what would be right behind."""
    accepted = [repr(value) for value in get_args(kind) if isinstance(value, str)]
    if accepted and "enum value" in complaint:
        return f"{name} must be one of {', '.join(accepted)}"
    return f"{name}: {complaint[:1].lower()}{complaint[1:]}".replace("`", "'")


def read_object(text: str, field: str) -> dict[str, Any]:
    """A JSON object that was typed. Raises FormError."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FormError({field: f"that is not a JSON object: {error}"}) from error


def read_json(text: str, field: str) -> Any:
    """Any JSON that was typed. Raises FormError."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FormError({field: f"that is not JSON: {error}"}) from error


def read_document(text: str, field: str) -> dict[str, Any]:
    """A YAML or JSON document that was pasted. Raises FormError."""
    try:
        document = read_yaml(text.encode("utf-8", "replace"))
    except ValueError as error:
        raise FormError({field: f"that is not YAML: {error}"}) from error
    if not isinstance(document, dict):
        raise FormError({field: "the document must be a mapping with the member 'rules'"})
    return document


def convert(document: Any, shape: type[T], field: str) -> T:
    """The document as a ``shape``. Raises FormError, which says where in the document the mistake is."""
    try:
        return msgspec.convert(document, shape)
    except msgspec.ValidationError as error:
        raise FormError({field: str(error).replace("`", "'")}) from error
