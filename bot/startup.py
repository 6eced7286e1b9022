"""The start of a process that needs everything: what stands in its way is told in a sentence, never in a traceback."""

from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from bot.app import App, login_token
from bot.backends.base import BackendUnavailable
from bot.backends.machines import MachinesError
from bot.clock import Clock
from bot.settings import Settings, SettingsError
from bot.storage.errors import Unavailable

DATABASE_TROUBLES = (SQLAlchemyError, CommandError, ImportError)
"""What opening the database raises: it does not answer or its URL is none, a newer version made its tables, its driver
is not installed.
"""


class CannotStart(Exception):
    """Something outside the settings stands in the way; the message says what, and what to do."""


def start(settings: Settings, clock: Clock) -> App:
    """Build everything. Raises SettingsError or CannotStart, both with sentences for the terminal."""
    try:
        # Deliveries, logs and the tokens of pages lie in it: none of that is for this machine's other accounts.
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        app = App.build(settings, clock)
        token = login_token(settings.data_dir)
    except (BackendUnavailable, MachinesError, Unavailable) as error:
        raise SettingsError([str(error)]) from None
    except DATABASE_TROUBLES as error:
        raise CannotStart(f"the database cannot be used: {database_sentence(error)}") from None
    except OSError as error:
        raise CannotStart(f"DATA_DIR cannot be used: {disk_sentence(error)}") from None
    if not token:
        app.close()
        raise CannotStart(f"{settings.data_dir / 'login-token'} is empty (was the disk full?); delete it, start again")
    return app


def database_sentence(error: Exception) -> str:
    """Return why the database cannot be used. Nothing of DATABASE_URL is in it: it may hold a password."""
    if isinstance(error, CommandError):
        return "its tables are not this version's; a newer version may have made them"
    if isinstance(error, ImportError):
        return f"DATABASE_URL wants a driver that is not installed ({error.name})"
    # A driver's own words are the part that people can search for; SQLAlchemy's add a link and the statement.
    said = str(getattr(error, "orig", None) or error).strip()
    return f"{said.splitlines()[0] if said else type(error).__name__} (DATABASE_URL, DATA_DIR)"


def disk_sentence(error: OSError) -> str:
    """Return why a file or directory cannot be used, with its path."""
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)
