"""What stands on the command line of `replay` and `simulate`."""

import argparse
from collections.abc import Mapping

from bot import settings
from bot.clock import Clock
from bot.core.permission import Permission
from bot.inbox.replay import Replay
from bot.inbox.simulate import Subject
from bot.inbox.simulate import simulate as told
from bot.run.errors import CannotRun
from bot.run.screen import Screen


def replay(options: argparse.Namespace, environ: Mapping[str, str], clock: Clock) -> int:
    """Have deliveries looked at again. Returns the exit status. Raises CannotRun or SettingsError: nothing was done."""
    read = settings.read(environ)
    settings.forget_secrets()
    return Replay(read, clock, Screen(environ)).run(options.deliveries)


def simulate(options: argparse.Namespace, environ: Mapping[str, str], clock: Clock) -> int:
    """Tell what would come of a payload. Otherwise as `replay`."""
    if (options.payload is None) == (options.delivery is None):
        raise CannotRun("name a file with a payload (- for standard input), or a --delivery")
    if options.delivery is not None and options.event is not None:
        raise CannotRun("--event is for a payload: of a delivery it is known")
    if options.config is None and (options.base_config is not None or options.role is not None):
        raise CannotRun("--base-config and --role go with --config: otherwise GitHub is asked")
    role = Permission(options.role or Permission.WRITE)
    subject = Subject(options.payload, options.event, options.delivery, options.config, options.base_config, role)
    return told(subject, environ, clock, Screen(environ))
