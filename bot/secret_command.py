"""`experiment-ci secret`: what people store for their experiments. Values come in, and never go out again."""

import argparse
import datetime
import getpass
import sys
from collections.abc import Callable

from bot.clock import Clock
from bot.core.secret import LARGEST, NAME, TOO_LARGE, refusal, scope_of
from bot.settings import Settings
from bot.store import secrets
from bot.store.database import Database, Transaction
from bot.troubles import DATABASE_TROUBLES, database_sentence
from bot.vault import CannotUnlock, Vault

NO_KEY = (
    "the bot has no SECRETS_KEY to lock secrets with. Make one by `openssl rand -base64 32`, set it in the bot's"
    " environment, and keep a copy: without it nobody can read what was stored"
)


class SecretCommandError(Exception):
    """The command cannot be done; the message says why, and what to do."""


def run(options: argparse.Namespace, settings: Settings, clock: Clock) -> list[str]:
    """Do what `verb`, `name`, `repo` and `owner` say; return what to print. Raises SecretCommandError."""
    try:
        database = Database(settings.database_url)
        try:
            settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            database.migrate(settings.data_dir / "migrate.lock")
            return VERBS[options.verb](options, settings, database, clock)
        finally:
            database.close()
    except OSError as error:
        raise SecretCommandError(f"DATA_DIR cannot be used: {error.filename}: {error.strerror}") from None
    except DATABASE_TROUBLES as error:
        raise SecretCommandError(f"the database cannot be used: {database_sentence(error)}") from None


def set_secret(options: argparse.Namespace, settings: Settings, database: Database, clock: Clock) -> list[str]:
    """Store a secret, over what was there."""
    scope, name, vault = _asked_scope(options), _asked_name(options), _vault(settings)
    value = _value(name, scope)
    why_not = refusal(value)
    if why_not:
        raise SecretCommandError(why_not)
    locked = vault.lock(scope, name, value)
    with database.write() as tx:
        is_new = secrets.put(tx, scope, name, locked, clock.now())
    return [f"{'stored' if is_new else 'replaced'} `{name}` of {scope}; configs call it secret:{name}"]


def list_secrets(options: argparse.Namespace, _settings: Settings, database: Database, _clock: Clock) -> list[str]:
    """Tell scope, name and the time of the last change, a line for each."""
    scope = _asked_scope(options) if options.repo or options.owner else None
    with database.read() as tx:
        rows = secrets.stored(tx, scope)
    lines = [f"{row.scope}\t{row.name}\t{_day(row.updated_at)}" for row in rows]
    return lines or ["no secrets are stored" + (f" for {scope}" if scope else "")]


def delete_secret(options: argparse.Namespace, _settings: Settings, database: Database, _clock: Clock) -> list[str]:
    """Forget a secret. Experiments that run have it already."""
    scope, name = _asked_scope(options), _asked_name(options)
    with database.write() as tx:
        is_gone = secrets.delete(tx, scope, name)
    if not is_gone:
        raise SecretCommandError(f"there is no secret `{name}` of {scope}")
    return [f"deleted `{name}` of {scope}"]


def rotate(_options: argparse.Namespace, settings: Settings, database: Database, _clock: Clock) -> list[str]:
    """Lock everything under the first key. What does not open stays as it is and is told; all else is done."""
    vault = _vault(settings)
    with database.write() as tx:
        rows = secrets.stored(tx)
        stuck = [f"`{row.name}` of {row.scope}" for row in rows if not _lock_anew(tx, vault, row)]
    done = f"{len(rows) - len(stuck)} of {len(rows)} secrets are locked under the first key"
    if stuck:
        lost = ", ".join(stuck)
        raise SecretCommandError(f"{done}; no key opens {lost}: add theirs to SECRETS_KEY, or set them again")
    return [done]


VERBS: dict[str, Callable[[argparse.Namespace, Settings, Database, Clock], list[str]]] = {
    "set": set_secret,
    "list": list_secrets,
    "delete": delete_secret,
    "rotate": rotate,
}


def _lock_anew(tx: Transaction, vault: Vault, row: secrets.Stored) -> bool:
    try:
        value = vault.unlock(row.scope, row.name, row.locked)
    except CannotUnlock:
        return False
    secrets.put(tx, row.scope, row.name, vault.lock(row.scope, row.name, value), row.updated_at)
    return True


def _day(at: int) -> str:
    return f"{datetime.datetime.fromtimestamp(at // 1_000_000, datetime.UTC):%Y-%m-%d %H:%M} UTC"


def _asked_scope(options: argparse.Namespace) -> str:
    try:
        if options.owner is not None:
            return scope_of(options.owner)
        owner, slash, name = options.repo.partition("/")
        return scope_of(owner, name if slash else "")
    except ValueError as error:
        raise SecretCommandError(f"{error}; write --repo owner/name or --owner owner") from None


def _asked_name(options: argparse.Namespace) -> str:
    name: str = options.name
    if not NAME.fullmatch(name):
        # What is no name may be a value in the wrong place: it is not repeated.
        raise SecretCommandError("a secret's name has letters, digits, `_` and `-`, at most 100, no digit first")
    return name


def _vault(settings: Settings) -> Vault:
    if not settings.secrets_keys:
        raise SecretCommandError(NO_KEY)
    return Vault(settings.secrets_keys)


def _value(name: str, scope: str) -> str:
    """Return the value that is typed unseen, or standard input. The end of a single line is none of it."""
    if sys.stdin.isatty():
        try:
            return getpass.getpass(f"value of `{name}` of {scope} (unseen; several lines: < file): ")
        except EOFError:
            raise SecretCommandError("no value was given") from None
    data = sys.stdin.buffer.read(LARGEST + 3)
    if len(data) > LARGEST + 2:  # the bytes of a line end
        raise SecretCommandError(TOO_LARGE)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise SecretCommandError("the value is no UTF-8 text; encode it first, for instance by base64") from None
    line = text.removesuffix("\n").removesuffix("\r")
    return text if "\n" in line else line
