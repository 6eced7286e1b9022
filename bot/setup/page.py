"""The pages of the way through GitHub's manifest flow: questions, what will be made, what has become of it.

They are for one person, the one who reads the terminal: their address has a key that stands only there. Nothing of them
runs in the browser, no other site leads to them, and nothing secret is on them.
"""

import json
import secrets
import threading
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Flask, Response, redirect, render_template, request
from jinja2 import StrictUndefined
from werkzeug.wrappers import Response as AnyResponse

from bot.resources import TEMPLATES
from bot.setup import reasons
from bot.setup.answers import Answers
from bot.setup.flow import Flow, Stranger
from bot.setup.manifest import manifest

_STYLES = (TEMPLATES / "web" / "static" / "page.css", TEMPLATES / "setup" / "setup.css")
_MOST_BYTES = 64 * 1024


class Pages:
    """The pages of one flow. `first` is what the form says at first; `port` is the one on 127.0.0.1 they are served at.

    With `waits` the last page looks again and again, until `installed_on` was told where the App is installed.
    """

    def __init__(self, flow: Flow, first: Answers, port: int, *, waits: bool) -> None:
        self._flow, self._first = flow, first
        self._key = secrets.token_urlsafe(16)
        self._hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        self.url = f"http://127.0.0.1:{port}/{self._key}/"
        self._installed: list[str] = []
        self._is_waiting = waits
        self._shown = threading.Event()

    def installed_on(self, accounts: list[str]) -> None:
        """Tell where the App is installed by now, and look no more."""
        self._installed, self._is_waiting = accounts, False
        self._shown.clear()

    def was_shown(self, patience: float) -> bool:
        """Wait so many seconds until a browser has shown what has become of it; tell whether one did."""
        return self._shown.wait(patience)

    def web(self) -> Flask:
        """Return the application."""
        web = Flask("bot.setup", template_folder=str(TEMPLATES / "setup"), static_folder=None)
        web.config["MAX_CONTENT_LENGTH"] = _MOST_BYTES
        web.jinja_env.undefined = StrictUndefined
        web.jinja_env.trim_blocks = web.jinja_env.lstrip_blocks = True
        web.jinja_env.filters.update(shown=reasons.shown, access=reasons.access)
        pages = Blueprint("setup", __name__)
        pages.get("/")(self.questions)
        pages.get("/review")(self.review)
        pages.get("/created")(self.created)
        pages.post("/again")(self.again)
        pages.get("/now")(self.now)
        pages.get("/style.css")(self.style)
        web.register_blueprint(pages, url_prefix=f"/{self._key}")
        web.before_request(self._let_in)
        web.after_request(self._close)
        return web

    def _let_in(self) -> AnyResponse | None:
        """Refuse any other name that leads to this port: one that was made up elsewhere (DNS rebinding)."""
        if request.headers.get("Host") in self._hosts:
            return None
        told = (
            f"Open this page at http://{self._hosts[0]}: that name, that port. A tunnel has the same port at both ends."
        )
        return Response(f"{told}\n", 421, mimetype="text/plain")

    def _close(self, response: AnyResponse) -> AnyResponse:
        web = urlsplit(self._flow.github.web_url)
        response.headers.update(
            {
                "Content-Security-Policy": (
                    "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none';"
                    f" form-action 'self' {web.scheme}://{web.netloc}"
                ),
                # GitHub sees from which origin its form comes, and never the key in our address.
                "Referrer-Policy": "strict-origin",
                "Cache-Control": "no-store",
                "Cross-Origin-Opener-Policy": "same-origin",
                "X-Content-Type-Options": "nosniff",
                "X-Frame-Options": "DENY",
            }
        )
        return response

    def questions(self) -> str | AnyResponse:
        """Ask for the name, the owner, the address and whether GitHub reaches it."""
        if self._flow.app is not None:
            return self._to_now()
        answers = self._answers() if request.args else self._first
        return self._form(answers, answers.problems() if request.args else {})

    def review(self) -> str | tuple[str, int] | AnyResponse:
        """Show what will be made, with the one button that sends it to GitHub."""
        if self._flow.app is not None:
            return self._to_now()
        answers = self._answers()
        problems = answers.problems()
        if problems:
            return self._form(answers, problems), 422
        content = manifest(answers, f"{self.url}created")
        target = f"{answers.github.apps_page(answers.organization)}/new"
        return self._render(
            "review.html",
            answers=answers,
            content=content,
            text=json.dumps(content),
            action=f"{target}?{urlencode({'state': self._flow.begin(answers)})}",
            permissions=reasons.PERMISSIONS,
            events=reasons.EVENTS,
            back=urlencode(_fields(answers)),
            place=self._flow.place,
        )

    def created(self) -> str | tuple[str, int] | AnyResponse:
        """Take the code that GitHub's redirect brings. The address has it, so the page that is shown is another one."""
        try:
            self._flow.come_back(request.args.get("state", ""), request.args.get("code", ""))
        except Stranger:
            if self._flow.answers is not None:  # somebody reloads
                return self._to_now()
            return self._render("stranger.html"), 403
        return self._to_now()

    def again(self) -> AnyResponse:
        self._flow.go_on()
        return self._to_now()

    def now(self) -> tuple[str, int] | AnyResponse:
        """Show how it stands: made and kept, or what is in the way."""
        flow = self._flow
        flow.settle()
        if flow.answers is None:
            return redirect(self.url, 303)
        if flow.app is None or flow.key_file is None:
            apps = flow.github.apps_page(flow.answers.organization)
            return self._render("trouble.html", flow=flow, apps=apps), 502 if flow.app is None else 500
        page = self._render(
            "made.html",
            app=flow.app,
            key_file=flow.key_file,
            place=flow.place,
            installed=self._installed,
            is_waiting=self._is_waiting,
        )
        response = Response(page)
        if not self._is_waiting:
            response.call_on_close(self._shown.set)
        return response

    def style(self) -> AnyResponse:
        return Response("\n".join(one.read_text(encoding="utf-8") for one in _STYLES), mimetype="text/css")

    def _to_now(self) -> AnyResponse:
        return redirect(f"{self.url}now", 303)

    def _answers(self) -> Answers:
        """Return what the form says; whatever it leaves out is as it was first."""
        given, first = request.args, self._first
        organization = given.get("organization", first.organization or "").strip()
        is_own = given.get("owner", "self" if first.organization is None else "organization") == "self"
        return Answers(
            github=first.github,
            name=given.get("name", first.name).strip(),
            organization=None if is_own else organization,
            public_url=given.get("public_url", first.public_url).strip().rstrip("/"),
            is_reachable=given.get("intake", "webhook" if first.is_reachable else "poll") == "webhook",
        )

    def _form(self, answers: Answers, problems: dict[str, str]) -> str:
        return self._render("questions.html", answers=answers, problems=problems, place=self._flow.place)

    def _render(self, template: str, **facts: object) -> str:
        return render_template(template, base=f"/{self._key}", github=self._flow.github, **facts)


def _fields(answers: Answers) -> dict[str, str]:
    """Return the answers as the form sends them."""
    return {
        "name": answers.name,
        "owner": "self" if answers.organization is None else "organization",
        "organization": answers.organization or "",
        "public_url": answers.public_url,
        "intake": "webhook" if answers.is_reachable else "poll",
    }
