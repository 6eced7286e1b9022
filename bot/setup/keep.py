"""Where the App's key and settings are kept: files that nobody else could read at any moment.

A file is written whole under another name (mode 600 from its first byte on) and then given its own: by a link, which
never replaces anything, or by a rename where people said that it may.
"""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from bot import envfile
from bot.settings import SettingsError, web_url_of
from bot.setup.answers import Answers, GitHub

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_REPLACED = frozenset({"GITHUB_PRIVATE_KEY", "GITHUB_API_URL", "GITHUB_WEB_URL", "INTAKE"})
"""Settings of another App that must not stay, even where this one needs none of the kind."""


class CannotKeep(Exception):
    """Something cannot be written; the sentence says what is in the way, and what to do."""


@dataclass(frozen=True)
class Place:
    """Where it goes: `env_file` is absolute, the key lies beside it. `may_replace` what is there already."""

    env_file: Path
    may_replace: bool = False

    def key_file(self, app_id: int) -> Path:
        return self.env_file.parent / f"github-app-{app_id}.pem"


def prepare(place: Place) -> str:
    """See that everything can be kept before GitHub makes anything; return what the env file says now ("": nothing).

    A directory that is not there is made, with mode 700. Raises CannotKeep.
    """
    folder = place.env_file.parent
    try:
        envfile.render({"GITHUB_PRIVATE_KEY_PATH": str(place.key_file(1))})
    except ValueError as error:
        raise CannotKeep(f"{folder}: {error}. --env-file names another place.") from None
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = folder / f".experiment-ci-{secrets.token_hex(8)}"
        os.close(os.open(probe, _NEW, 0o600))
        probe.unlink()
    except OSError as error:
        raise CannotKeep(f"{folder} cannot be written: {error.strerror}. --env-file names another place.") from None
    if not os.path.lexists(place.env_file):
        return ""
    if not place.may_replace:
        raise CannotKeep(
            f"{place.env_file} is there already. --force puts the new App's settings into it and leaves its others as"
            " they are; --env-file names another file."
        )
    return _current(place)


def _current(place: Place) -> str:
    if not os.path.lexists(place.env_file):
        return ""
    try:
        envfile.read(place.env_file)
        return place.env_file.read_text(encoding="utf-8")
    except (SettingsError, OSError) as error:
        raise CannotKeep(f"{error} Mend or remove it first: nothing of it is replaced unseen.") from None


def keep(place: Place, answers: Answers, app_id: int, private_key: str, webhook_secret: str) -> Path:
    """Write key and settings; return the key's path. The key goes first: all else can be had again.

    Doing it once more after a failure is well. Raises CannotKeep.
    """
    key_file = place.key_file(app_id)
    _store(key_file, private_key.strip() + "\n", may_replace=place.may_replace)
    values = {
        "GITHUB_APP_ID": str(app_id),
        "GITHUB_PRIVATE_KEY_PATH": str(key_file),
        "GITHUB_WEBHOOK_SECRET": webhook_secret,
        **_addresses(answers.github),
        "PUBLIC_URL": answers.public_url,
        **({} if answers.is_reachable else {"INTAKE": "poll"}),
    }
    try:
        before = _current(place) if place.may_replace else ""
        text = envfile.render(values, before or _HEAD, _REPLACED)
        _store(place.env_file, text, may_replace=place.may_replace)
    except (CannotKeep, ValueError) as error:
        raise CannotKeep(f"The key is in {key_file}, but the settings are not written: {error}") from None
    return key_file


_HEAD = (
    "# Written by `experiment-ci setup`. It holds a secret: mode 600. docs/settings.md has all that can stand here.\n"
)


def _addresses(github: GitHub) -> dict[str, str]:
    """Return the settings that say which GitHub it is, as far as they are not the default."""
    if github == GitHub():
        return {}
    web = {} if github.web_url == web_url_of(github.api_url) else {"GITHUB_WEB_URL": github.web_url}
    return {"GITHUB_API_URL": github.api_url, **web}


def _store(path: Path, text: str, *, may_replace: bool) -> None:
    try:
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            path.chmod(0o600)
            return
        _write(path, text.encode(), may_replace)
    except FileExistsError:
        raise CannotKeep(f"{path} is there already, with something else in it; --force replaces it.") from None
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise CannotKeep(f"{path} cannot be written: {reason}.") from None


def _write(path: Path, data: bytes, may_replace: bool) -> None:
    draft = path.parent / f".{path.name}.{secrets.token_hex(8)}"
    try:
        with os.fdopen(os.open(draft, _NEW, 0o600), "wb") as file:
            os.fchmod(file.fileno(), 0o600)  # the umask may have taken even that away
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if may_replace:
            draft.replace(path)
        else:
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
