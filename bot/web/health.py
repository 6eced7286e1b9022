"""`/healthz`: this process answers. `/readyz`: the database can be read and a worker is alive."""

from flask import Blueprint, Response, jsonify

from bot.store.database import Database, Unavailable
from bot.store.deliveries import count_waiting
from bot.worker_sign import WorkerSign


def health(database: Database, sign: WorkerSign) -> Blueprint:
    """Return the two pages that monitors ask."""
    pages = Blueprint("health", __name__)

    @pages.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok")

    @pages.get("/readyz")
    def readyz() -> tuple[Response, int]:
        try:
            with database.read() as tx:
                waiting: int | None = count_waiting(tx)
        except Unavailable:
            waiting = None
        worker = sign.read()
        is_ready = waiting is not None and worker.is_alive
        answer = jsonify(
            status="ready" if is_ready else "not ready",
            database="ok" if waiting is not None else "cannot be read",
            worker=worker.sentence,
            deliveries_waiting=waiting,
        )
        return answer, 200 if is_ready else 503

    return pages
