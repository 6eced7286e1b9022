"""The web process's application: the door, health, pictures and pages, under one set of security headers."""

import logging
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, Response, render_template
from jinja2 import StrictUndefined
from werkzeug.exceptions import HTTPException

from bot.backends.base import Backend
from bot.clock import Clock
from bot.core import text
from bot.storage.kept import KeptFiles
from bot.store.database import Database, Unavailable
from bot.web import formats
from bot.web.access import Logins
from bot.web.entrance import entrance
from bot.web.experiments import ExperimentPages
from bot.web.health import health
from bot.web.images import images
from bot.web.models import ModelPages
from bot.web.ports import PortPages
from bot.web.proxy import ForeignResponse
from bot.web.shelf import Shelf
from bot.web.webhook import webhook_door
from bot.worker_sign import WorkerSign

_log = logging.getLogger(__name__)
_MOST_BYTES = 64 * 1024
"""The largest request that any page but the door takes: a login form."""

_HEADERS = {
    # No inline script, no foreign source: what a page shows of an experiment stays text even if escaping failed once.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    # Addresses carry tokens: no other site may learn them from a Referer.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}


def create_web(
    *,
    database: Database,
    clock: Clock,
    backend: Backend,
    sign: WorkerSign,
    webhook_secrets: tuple[str, ...],
    app_id: int,
    public_url: str,
    web_url: str,
    data_dir: Path,
    templates: Path,
    login_token: str,
    kept: KeptFiles | None = None,
) -> Flask:
    """Return the application. Reads and writes nothing until it is asked something.

    `templates` is the directory of the pages' templates, with `static/` inside; `web_url` is GitHub's own address.
    `kept` is where files went that are no longer on this machine.
    """
    url = urlsplit(public_url)
    base, is_https = url.path.rstrip("/"), url.scheme == "https"
    logins = Logins(login_token, clock)
    app = Flask("bot.web", template_folder=str(templates), static_folder=str(templates / "static"))
    app.config["MAX_CONTENT_LENGTH"] = _MOST_BYTES
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals["base"] = base
    app.jinja_env.filters.update(
        moment=formats.moment,
        duration=formats.duration,
        size=formats.size,
        number=formats.number,
        parameter=formats.parameter,
        sentence=formats.sentence,
        branch=formats.branch,
        clean=text.clean,
        name=text.name,
    )
    app.register_blueprint(webhook_door(database, clock, webhook_secrets, app_id))
    app.register_blueprint(health(database, sign))
    app.register_blueprint(images(data_dir))
    app.register_blueprint(entrance(database, logins, base, is_https))
    shelf = Shelf(backend, kept)
    app.register_blueprint(ExperimentPages(database, clock, backend, shelf, logins, base, web_url).blueprint())
    app.register_blueprint(ModelPages(database, shelf, logins, base, web_url).blueprint())
    app.register_blueprint(PortPages(database, backend, logins, base).blueprint())
    app.after_request(_protect)
    app.register_error_handler(HTTPException, _problem)
    app.register_error_handler(Unavailable, _unavailable)
    return app


def _protect(response: Response) -> Response:
    if isinstance(response, ForeignResponse):
        return response
    response.headers.extend(_HEADERS)  # nobody else sets one of them; replacing would cost the door more
    # Pages show what only some may see, and change by the second: no cache keeps them.
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _problem(error: HTTPException) -> Response:
    """Answer an error as a page, with the headers that belong to it (what a 405 allows)."""
    response = Response(render_template("problem.html", status=error.code, title=error.name), error.code)
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        response.headers["Allow"] = ", ".join(allowed)
    return response


def _unavailable(error: Unavailable) -> Response:
    _log.error("a page could not be read", exc_info=error)
    return Response(render_template("problem.html", status=503, title="The database cannot be read just now"), 503)
