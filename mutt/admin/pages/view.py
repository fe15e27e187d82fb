"""One request to a page: who looks, what was asked for and typed, and how it is answered."""

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import falcon
import msgspec

from mutt.admin.access import Actor, Author, Scope, demand
from mutt.admin.pages.forms import Form, read
from mutt.errors import OutageError, RequestError

if TYPE_CHECKING:
    from mutt.admin.pages.site import Site

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)


class View:
    """A request by somebody who is logged in."""

    def __init__(self, site: "Site", req: falcon.Request, resp: falcon.Response, actor: Actor) -> None:
        self.site = site
        self.req = req
        self.resp = resp
        self.actor = actor
        self.correlation_id = str(uuid.uuid4())
        self.outages: list[str] = []
        self.parameters = {name: _single(value) for name, value in req.params.items()}
        self._typed: dict[str, Any] | None = None

    @property
    def typed(self) -> dict[str, Any]:
        """The form that was sent: text by name, or a list where a name came several times."""
        if self._typed is None:
            form = self.req.get_media(default_when_empty={})
            self._typed = form if isinstance(form, dict) else {}
        return self._typed

    def text(self, name: str) -> str:
        """One field of the form that was sent, "" when it is not there."""
        return _single(self.typed.get(name, ""))

    def texts(self, name: str) -> list[str]:
        """All values of a field that may come several times."""
        value = self.typed.get(name, [])
        return [str(each) for each in value] if isinstance(value, list) else [str(value)]

    def form(self) -> Form:
        """The form that was sent, to be shown again should something be wrong with it."""
        return Form({name: _single(value) for name, value in self.typed.items() if name != "csrf"})

    def filters(self) -> Form:
        """The filters of the address."""
        return Form(self.parameters)

    def asked(self, shape: type[S], **more: Any) -> S:
        """The address's query as a ``shape``. Raises FormError."""
        return read(self.parameters, shape, **more)

    def author(self) -> Author:
        """Whoever makes the change, with the reason that was typed."""
        return Author(self.actor.name, self.text("reason").strip()[:1000] or None, self.correlation_id)

    def demand(self, scope: Scope) -> None:
        """Raises RequestError (403) when whoever looks may not do this."""
        demand(self.actor, scope)

    def may(self, scope: str) -> bool:
        return self.actor.scope >= Scope[scope.upper()]

    def load(self, fetch: Callable[[], T], form: Form | None = None) -> T | None:
        """What ``fetch`` returns. While a dependency is away None: the page says which, and shows the rest.

        With a form of filters, what they are refused with is kept there.
        """
        try:
            return fetch()
        except RequestError as refusal:
            if form is None:
                raise
            form.refuse(refusal)
        except OutageError as outage:
            sentence = str(outage)
            if sentence not in self.outages:
                self.outages.append(sentence)
        return None

    def show(self, template: str, status: int = 200, **values: Any) -> None:
        """Answers with the page."""
        self.resp.status = falcon.code_to_http_status(status)
        self.site.render(self.req, self.resp, template, view=self, **values)

    def go(self, to: str, message: str = "") -> None:
        """Sends the browser to another page, where the message is shown once."""
        self.resp.status = falcon.HTTP_303
        self.resp.location = to
        if message:
            self.site.messages.leave(self.req, self.resp, message)


def own_path(address: str) -> str:
    """The address when it lies on this site, or the overview: a login must not send anybody elsewhere."""
    parts = urlsplit(address)
    is_own = address.startswith("/") and not address.startswith(("//", "/\\")) and not parts.netloc
    return address if is_own and address.isprintable() and "\\" not in address else "/"


def _single(value: Any) -> str:
    return str(value[-1]) if isinstance(value, list) and value else "" if isinstance(value, list) else str(value)
