"""Where the files that are not code lie: beside `bot/` in a checkout, inside it when installed from a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _found(name: str) -> Path:
    packed = _PACKAGE / "_files" / name
    return packed if packed.exists() else _PACKAGE.parent / name


TEMPLATES = _found("templates")
EXAMPLES = _found("examples")
MANIFEST = _found("app.yaml")
