"""The start of a process that needs everything: what stands in its way is told in a sentence, never in a traceback."""

from bot.app import App, login_token
from bot.backends.base import BackendUnavailable
from bot.backends.machines import MachinesError
from bot.clock import Clock
from bot.settings import Settings, SettingsError
from bot.storage.errors import Unavailable
from bot.troubles import DATABASE_TROUBLES, database_sentence, disk_sentence


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
