"""A person at the dashboard without JavaScript: logs in, reads pages, and submits the forms that are on them."""

from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode, urlsplit

import falcon.testing

from tests.support.web_ui import ADMIN, WebUIUnderTest

VOID = {"input", "br", "meta", "link", "img", "hr"}


class Form:
    """A form with the values that a browser would send: by name, and the buttons by their text."""

    def __init__(self, action: str, method: str) -> None:
        self.action, self.method = action, method
        self.values: dict[str, str] = {}
        self.buttons: dict[str, dict[str, str | None]] = {}


class Page(HTMLParser):
    """A page as it was answered: its forms, and its text without the markup."""

    def __init__(self, answer: falcon.testing.Result) -> None:
        super().__init__()
        self.answer, self.status = answer, answer.status_code
        self.html = answer.text
        self.forms: list[Form] = []
        self.problems: list[str] = []
        self.commands: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self._text: list[str] = []
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self._select = self._button = self._area = ""
        self.feed(self.html)
        self.text = " ".join(" ".join(self._text).split())

    def form(self, action: str) -> Form:
        """The form that is sent there; rather one that changes something than one that searches."""
        found = [form for form in self.forms if form.action.partition("?")[0] == action]
        found.sort(key=lambda form: form.method != "post")
        assert found, f"no form for {action}, only {[form.action for form in self.forms]}"
        return found[0]

    def posts(self) -> set[str]:
        """Where the page's forms and their buttons post to."""
        targets = set()
        for form in self.forms:
            if form.method == "post":
                targets |= {form.action, *(each.get("formaction") or form.action for each in form.buttons.values())}
        return targets

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "form":
            self.forms.append(Form(given.get("action") or "", (given.get("method") or "get").lower()))
        elif self.forms and tag == "input" and given.get("name"):
            if given.get("type") != "checkbox" or "checked" in given:
                self.forms[-1].values[given["name"] or ""] = given.get("value") or ""
        elif tag == "select":
            self._select = given.get("name") or ""
        elif tag == "option" and (self._select not in self.forms[-1].values or "selected" in given):
            self.forms[-1].values[self._select] = given.get("value") or ""
        if tag not in VOID:
            self._open.append((tag, given))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        tags = [tag for tag, _ in self._open]
        if "script" in tags or "style" in tags:
            return
        self._text.append(data)
        tag, given = self._open[-1] if self._open else ("", {})
        if tag == "textarea" and self.forms:
            self.forms[-1].values[given.get("name") or ""] = data.removeprefix("\n")
        elif tag == "button" and self.forms:
            self.forms[-1].buttons[data.strip()] = given
        elif tag == "pre" and (given.get("id") or "").startswith("command"):
            self.commands += data.strip().splitlines()
        if any(given.get("class") in ("problem", "wrong") for _, given in self._open) and data.strip():
            self.problems.append(" ".join(data.split()))


class Visitor:
    """Somebody with a key. Cookies are kept as a browser keeps them."""

    def __init__(self, web_ui: WebUIUnderTest, key: str | None = ADMIN) -> None:
        self._client = web_ui.client
        self._cookies: dict[str, str] = {}
        if key is not None:
            assert self.send("/login", {"api_key": key}).status == 303

    def get(self, path: str, **headers: str) -> Page:
        address = urlsplit(path)
        given = {"Accept": "text/html", **headers}
        return self._page(
            self._client.simulate_get(address.path, query_string=address.query, headers=self._with_cookies(given))
        )

    def send(self, path: str, values: dict[str, Any], **headers: str) -> Page:
        """POSTs the values as a form, and does not follow a redirect."""
        address = urlsplit(path)
        given = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html", **headers}
        return self._page(
            self._client.simulate_post(
                address.path,
                query_string=address.query,
                body=urlencode(values, doseq=True),
                headers=self._with_cookies(given),
            )
        )

    def submit(self, form: Form, button: str = "", **typed: Any) -> Page:
        """Sends the form with what is typed into it, by the button with this text, and follows a redirect."""
        pressed = form.buttons[button] if button else next(iter(form.buttons.values()), {})
        values: dict[str, Any] = form.values | typed
        if pressed.get("name"):
            values[pressed["name"] or ""] = pressed.get("value") or ""
        answered = self.send(pressed.get("formaction") or form.action, values)
        return self.get(answered.answer.headers["Location"]) if answered.status == 303 else answered

    def _with_cookies(self, headers: dict[str, str]) -> dict[str, str]:
        jar = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        return {**headers, "Cookie": jar} if jar else headers

    def _page(self, answer: falcon.testing.Result) -> Page:
        for name, cookie in answer.cookies.items():
            if cookie.value:
                self._cookies[name] = cookie.value
            else:
                self._cookies.pop(name, None)
        return Page(answer)
