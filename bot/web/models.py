"""`/models/<public id>`: a model, its files with their checksums, and where it came from."""

from urllib.parse import quote

from flask import Blueprint, abort, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from bot.store import models as queries
from bot.store.database import Database
from bot.store.models import ModelPage
from bot.web.access import Logins, is_logged_in, is_same
from bot.web.shelf import Shelf

_LISTED = 500
"""The most files that the page shows; it says when there are more."""


class ModelPages:
    """The page and the downloads, for whoever has the experiment's view token, or logged in."""

    def __init__(self, database: Database, shelf: Shelf, logins: Logins, base: str, web_url: str) -> None:
        self._database, self._shelf, self._logins, self._base, self._web_url = database, shelf, logins, base, web_url

    def blueprint(self) -> Blueprint:
        """Return the pages under their addresses."""
        pages = Blueprint("models", __name__)
        pages.get("/models/<public_id>")(self.page)
        pages.get("/models/<public_id>/model.zip")(self.archive)
        pages.get("/models/<public_id>/files/<path:path>")(self.file)
        return pages

    def page(self, public_id: str) -> str:
        """Show all about a model."""
        model = self._opened(public_id)
        return render_template(
            "model.html",
            model=model,
            listed=_LISTED,
            commit_url=f"{self._web_url}/{model.full_name}/commit/{model.sha}",
            experiment_url=f"{self._base}/experiments/{model.experiment}?attempt={model.number}{_token('&')}",
            archive_url=f"{self._base}/models/{public_id}/model.zip{_token('?')}",
            address=lambda path: f"{self._base}/models/{public_id}/files/{quote(path)}{_token('?')}",
        )

    def file(self, public_id: str, path: str) -> AnyResponse:
        """Hand out one file."""
        return self._shelf.model_file(self._opened(public_id), path)

    def archive(self, public_id: str) -> AnyResponse:
        """Hand out all files."""
        return self._shelf.model(self._opened(public_id))

    def _opened(self, public_id: str) -> ModelPage:
        """Return the model, or answer 404, as for an experiment."""
        with self._database.read() as tx:
            model = queries.page(tx, public_id)
        has_token = is_same(request.args.get("token", ""), model.view_token if model else None)
        if model is None or not (has_token or is_logged_in(self._logins)):
            abort(404)
        return model


def _token(separator: str) -> str:
    """A token that opened the page opens what it links to, too."""
    token = request.args.get("token")
    return f"{separator}token={quote(token, safe='')}" if token else ""
