"""What stands on the command line of `replay`."""

import argparse
from collections.abc import Mapping

from bot import settings
from bot.clock import Clock
from bot.inbox.replay import Replay
from bot.run.screen import Screen


def replay(options: argparse.Namespace, environ: Mapping[str, str], clock: Clock) -> int:
    """Have deliveries looked at again. Returns the exit status. Raises CannotRun or SettingsError: nothing was done."""
    read = settings.read(environ)
    settings.forget_secrets()
    return Replay(read, clock, Screen(environ)).run(options.deliveries)
