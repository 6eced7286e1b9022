"""`/images/<sha256>.png`: pictures that whoever knows the address may see, as GitHub's image proxy must."""

import re
from pathlib import Path

from flask import Blueprint, Response, abort, send_file

_NAME = re.compile(r"[0-9a-f]{64}\.png")


def images(data_dir: Path) -> Blueprint:
    """Return the page of the pictures in `DATA_DIR/images`. They are named by their contents, so they never change."""
    pages = Blueprint("images", __name__)

    @pages.get("/images/<name>")
    def image(name: str) -> Response:
        path = data_dir / "images" / name
        if not _NAME.fullmatch(name) or path.is_symlink() or not path.is_file():
            abort(404)
        response = send_file(path, mimetype="image/png", conditional=True, etag=name.removesuffix(".png"))
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response

    return pages
