"""`/` and the login: a page that says what this is, and for whoever logged in the list of experiments."""

from flask import Blueprint, Response, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from bot.store import pages as queries
from bot.store.database import Database
from bot.web.access import COOKIE, LASTS, Logins, is_logged_in

_LISTED = 100


def entrance(database: Database, logins: Logins, base: str, is_https: bool) -> Blueprint:
    """Return `/`, `/login` and `/logout`. `base` is the path that PUBLIC_URL adds before ours."""
    pages = Blueprint("entrance", __name__)

    @pages.get("/")
    def index() -> str:
        if not is_logged_in(logins):
            return render_template("welcome.html")
        with database.read() as tx:
            entries = queries.recent(tx, _LISTED)
        return render_template("index.html", entries=entries, limit=_LISTED)

    @pages.get("/login")
    def form() -> AnyResponse:
        if "token" in request.args:
            return admit(request.args["token"])
        return make_response(render_template("login.html", is_wrong=False))

    @pages.post("/login")
    def login() -> AnyResponse:
        return admit(request.form.get("token", ""))

    @pages.post("/logout")
    def logout() -> AnyResponse:
        response = redirect(f"{base}/", 303)
        response.delete_cookie(COOKIE, path=base or "/", httponly=True, samesite="Lax", secure=is_https)
        return response

    def admit(token: str) -> AnyResponse:
        if not logins.is_token(token.strip()):
            return make_response(render_template("login.html", is_wrong=True), 403)
        response: Response | AnyResponse = redirect(f"{base}/", 303)
        response.set_cookie(
            COOKIE,
            logins.issue(),
            max_age=LASTS // 1_000_000,
            path=base or "/",
            secure=is_https,
            httponly=True,
            samesite="Lax",
        )
        return response

    return pages
