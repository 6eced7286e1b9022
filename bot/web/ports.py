"""The ports of a running experiment, at addresses of ours: `/experiments/<public id>/ports/<port>/`.

That address asks for the view token or a login, as the page does, and leads on to one that holds a pass for this port
of this attempt. Everything that the run serves lies below it: see docs/decisions/0059-pages-and-keeping.md.
"""

from flask import Blueprint, Response, abort, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from bot.backends.base import Backend
from bot.store import pages as queries
from bot.store.database import Database
from bot.web.access import Logins, is_logged_in, is_same
from bot.web.proxy import METHODS, ForeignResponse, NoAnswer, forward
from bot.web.turns import Turns

TURNS = 12
"""Requests to ports that are at work at a time, of all threads there are: see `serve.THREADS`."""


class PortPages:
    """The way in, and what lies below. `base` is the path that PUBLIC_URL adds before ours."""

    def __init__(self, database: Database, backend: Backend, logins: Logins, base: str) -> None:
        self._database, self._backend, self._logins, self._base = database, backend, logins, base
        self._turns = Turns(TURNS)

    def blueprint(self) -> Blueprint:
        """Return the pages under their addresses."""
        pages = Blueprint("ports", __name__)
        place = "/experiments/<public_id>/ports/<int:port>"
        pages.get(f"{place}/")(self.enter)
        for below in ("", "<path:path>"):
            pages.add_url_rule(
                f"{place}/~<key>/{below}",
                view_func=self.forward,
                methods=METHODS,
                provide_automatic_options=False,
            )
            pages.add_url_rule(f"{place}/~<key>/{below}", view_func=_no_websocket, methods=("GET",), websocket=True)
        return pages

    def enter(self, public_id: str, port: int) -> AnyResponse:
        """Lead whoever may see the experiment to its port."""
        with self._database.read() as tx:
            key, running = queries.key(tx, public_id), queries.running(tx, public_id)
        has_token = is_same(request.args.get("token", ""), key.view_token if key else None)
        if key is None or running is None or not (has_token or is_logged_in(self._logins)):
            abort(404)
        if port not in running.ports:
            abort(404)
        word = self._logins.issue_pass(_thing(running.backend_id, port, key.view_token))
        return redirect(f"{self._place(public_id, port, word)}/", 303)

    def forward(self, public_id: str, port: int, key: str, path: str = "") -> Response | tuple[str, int]:  # noqa: ARG002 - Flask names it
        """Hand a request on to the run, if its address holds a pass. The run's own part is taken as it was written."""
        with self._database.read() as tx:
            opener, running = queries.key(tx, public_id), queries.running(tx, public_id)
        name = _thing(running.backend_id, port, opener.view_token if opener else None) if running else ""
        if not self._logins.is_pass(key, name) or running is None or port not in running.ports:
            abort(404)
        self._turns.take()
        try:
            response = self._forwarded(running.backend_id, port, self._place(public_id, port, key))
        except NoAnswer as error:
            self._turns.give_back()
            return render_template("silent.html", port=port, reason=str(error)), 502
        except BaseException:
            self._turns.give_back()
            raise
        response.call_on_close(self._turns.give_back)
        return response

    def _forwarded(self, backend_id: str, port: int, place: str) -> ForeignResponse:
        written = request.environ.get("RAW_URI") or request.environ["REQUEST_URI"]
        _, _, target = written.partition(place.removeprefix(self._base))
        if not target.startswith("/"):
            abort(404)  # the same address in other letters, such as an escaped tilde
        script = f"{self._base}/static/alone.js"
        return forward(lambda: self._backend.open_port(backend_id, port), f"localhost:{port}", target, place, script)

    def _place(self, public_id: str, port: int, key: str) -> str:
        return f"{self._base}/experiments/{public_id}/ports/{port}/~{key}"


def _no_websocket(**_: object) -> str:
    """A thread of gunicorn's answers one request after the other: it has no way to hand a connection over."""
    return abort(501)


def _thing(backend_id: str, port: int, view_token: str | None) -> str:
    """Name what a pass opens. Closing the experiment's page, or a new attempt, ends it."""
    return f"port {backend_id} {port} {view_token or ''}"
