"""The door: a signed delivery becomes one durable row, and is answered. What it says is somebody else's work.

Nothing is parsed here. GitHub counts an answer after ten seconds as failed and never tries again, so the row
(and its fsync) is all that stands between the request and its 202.
"""

import logging
import re

from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from bot.clock import Clock
from bot.forge.signature import is_signed
from bot.store import deliveries
from bot.store.database import Database, Unavailable

MAX_BYTES = 25 * 1024 * 1024
"""GitHub caps payloads at 25 MB and does not send larger ones."""

_GUID = re.compile(r"[0-9A-Za-z-]{1,64}")
_EVENT = re.compile(r"[0-9A-Za-z_.-]{1,100}")
_log = logging.getLogger(__name__)


def webhook_door(database: Database, clock: Clock, secrets: tuple[str, ...], app_id: int) -> Blueprint:
    """Return `POST /webhook`. `secrets` are all valid at once, so that they can be rotated."""
    door = Blueprint("webhook", __name__)

    @door.post("/webhook")
    def receive() -> Response:
        try:
            body = _body()
        except RequestEntityTooLarge:
            return _answer(413, "the payload is larger than GitHub sends")
        except Exception:  # a torn body, a malformed chunk, a bad trailer: the server has an exception for each
            return _answer(400, "the payload cannot be read to its end")
        refusal = _refusal(body, secrets, app_id)
        if refusal is not None:
            return refusal
        guid, event = request.headers["X-GitHub-Delivery"], request.headers["X-GitHub-Event"]
        try:
            with database.connection() as connection:
                is_new = deliveries.receive(connection, guid, event, body, clock.now())
        except Unavailable:
            _log.exception("delivery %s could not be stored", guid)
            return _answer(503, "the database cannot be written; redeliver this later")
        return _answer(202, "accepted" if is_new else "accepted before")

    return door


def _body() -> bytes:
    """Return the raw body. Raises RequestEntityTooLarge over MAX_BYTES.

    Werkzeug cuts a body without Content-Length silently at its limit: one byte more tells a cut one from a whole one.
    """
    request.max_content_length = MAX_BYTES + 1
    body = request.get_data(cache=False, parse_form_data=False)
    if len(body) > MAX_BYTES:
        raise RequestEntityTooLarge
    return body


def _refusal(body: bytes, secrets: tuple[str, ...], app_id: int) -> Response | None:
    """Return why the request is not taken. The signature comes first: a stranger learns nothing else."""
    headers = request.headers
    if not is_signed(body, headers.get("X-Hub-Signature-256"), secrets):
        return _answer(401, "X-Hub-Signature-256 is missing or does not match")
    if not _EVENT.fullmatch(headers.get("X-GitHub-Event", "")):
        return _answer(400, "X-GitHub-Event is missing or malformed")
    if not _GUID.fullmatch(headers.get("X-GitHub-Delivery", "")):
        return _answer(400, "X-GitHub-Delivery is missing or malformed")
    kind = headers.get("X-GitHub-Hook-Installation-Target-Type")
    target = headers.get("X-GitHub-Hook-Installation-Target-ID")
    if kind == "integration" and target is not None and target != str(app_id):
        return _answer(400, f"this delivery is for another GitHub App ({target[:20]}), not {app_id}")
    return None


def _answer(status: int, sentence: str) -> Response:
    return Response(sentence + "\n", status, mimetype="text/plain")
