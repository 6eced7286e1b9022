"""A person with a browser, as far as devhub's pages need one: cookies, forms, and what browsers say of themselves."""

import re
from html import unescape
from html.parser import HTMLParser

import requests

from bot.devhub import DevHub

Fields = dict[str, str | list[str]]


class Form:
    """A form of a page: where it goes, and what it says unless somebody changes that."""

    def __init__(self, method: str, action: str) -> None:
        self.method, self.action = method, action
        self.fields: Fields = {}
        self.words = ""


class _Forms(HTMLParser):
    """Finds forms, their fields and the words on their buttons."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._form: Form | None = None
        self._text: str | None = None
        self._is_button = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(given["method"], given["action"])
            self.found.append(self._form)
        elif self._form is not None and "name" in given:
            is_off = given.get("type") in {"radio", "checkbox"} and "checked" not in given
            if not is_off:
                self._form.fields[given["name"]] = given.get("value", "")
            self._text = given["name"] if tag == "textarea" else None
        self._is_button = tag == "button"

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag in {"textarea", "button"}:
            self._text, self._is_button = None, False

    def handle_data(self, data: str) -> None:
        if self._form is not None and self._text is not None:
            self._form.fields[self._text] = data.removeprefix("\n")
        elif self._form is not None and self._is_button:
            self._form.words += data.strip()


class Browser:
    """Shows pages and presses buttons. `login` chooses as whom; None leaves it at what devhub takes."""

    def __init__(self, hub: DevHub, login: str | None = None) -> None:
        self.hub, self._session = hub, requests.Session()
        self.html, self.status, self.url = "", 0, ""
        if login is not None:
            self.post("/acting-as", {"login": login})

    def get(self, path: str) -> str:
        return self._seen(self._session.get(self._absolute(path), timeout=10))

    def post(self, path: str, fields: Fields, **headers: str) -> str:
        """Send a form as a page of devhub's would, or with other headers as another site's."""
        said = {"Origin": self.hub.url, "Sec-Fetch-Site": "same-origin"} | {
            k.replace("_", "-"): v for k, v in headers.items()
        }
        answer = self._session.post(self._absolute(path), data=fields, headers=said, timeout=10, allow_redirects=False)
        if answer.is_redirect and answer.headers["Location"].startswith("/"):
            return self.get(answer.headers["Location"])
        return self._seen(answer)

    def press(self, words: str, **changes: str | list[str]) -> str:
        """Press the button with these words, on the page that is shown, after filling in its form."""
        form = self.form(words)
        return self.post(form.action, form.fields | changes)

    def form(self, words: str) -> Form:
        """Return the form whose button has these words; raises LookupError when there is none."""
        found = [form for form in self.forms() if form.words == words]
        if not found:
            raise LookupError(f"no button says {words!r}")
        return found[0]

    def forms(self) -> list[Form]:
        parser = _Forms()
        parser.feed(self.html)
        return parser.found

    @property
    def words(self) -> str:
        return unescape(" ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", self.html, flags=re.DOTALL).split()))

    def _absolute(self, path: str) -> str:
        return path if path.startswith("http") else self.hub.url + path

    def _seen(self, answer: requests.Response) -> str:
        self.status, self.html, self.url = answer.status_code, answer.text, answer.url
        self.headers = answer.headers
        return answer.text
