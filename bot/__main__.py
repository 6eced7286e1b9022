"""The command line: `experiment-ci`."""

import argparse
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bot import __version__, settings
from bot.clock import SystemClock
from bot.core import config

if TYPE_CHECKING:
    from bot.app import App

Command = Callable[[argparse.Namespace], int]
_log = logging.getLogger("experiment-ci")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0 well, 1 not well, 2 wrong usage or settings."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("alembic", "werkzeug"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        return int(options.run(options))
    except settings.SettingsError as error:
        for problem in error.problems:
            print(f"experiment-ci: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="experiment-ci", description="A GitHub App that runs experiments.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="command")
    _command(commands, "up", _up, "run web and worker on this machine")
    _command(commands, "serve", _serve, "run the web process: the webhook door and the pages")
    _command(commands, "work", _work, "run the worker: intake, launch, watch, collect, report")
    _command(commands, "doctor", _doctor, "say what works and what does not, with the cure")
    demo = _command(commands, "demo", _demo, "show everything on this machine, with a GitHub of its own")
    demo.add_argument("--once", action="store_true", help="end by itself: 0 when every check concluded as it must")
    demo.add_argument("--dir", type=Path, default=Path(".demo"), help="where the demo keeps its files")
    check = _command(commands, "check-config", _check_config, "say what is wrong with a config, with line and hint")
    check.add_argument("path", nargs="?", type=Path, help="a config file, or a repository (default: this one)")
    _command(commands, "config-schema", _config_schema, "print the config's JSON Schema, for editors")
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, run: Command, summary: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
    parser.set_defaults(run=run)
    return parser


# The commands import what they need themselves: `check-config` answers at once, without a database or a web server.


def _up(_options: argparse.Namespace) -> int:
    from bot.app import login_token
    from bot.up import Processes

    read = settings.read(os.environ)
    read.data_dir.mkdir(parents=True, exist_ok=True)
    print(f"experiment-ci listens on http://{read.host}:{read.port}; GitHub's webhook URL is {read.public_url}/webhook")
    print(f"log in: {read.public_url}/login?token={login_token(read.data_dir)}", flush=True)
    Processes(os.environ, SystemClock()).run()
    return 0


def _serve(_options: argparse.Namespace) -> int:
    from bot.app import App
    from bot.web.serve import serve

    app = _app()
    # The server builds its own after the fork; this one proved that it can be built, and brought the tables.
    app.database.close()
    serve(lambda: App.build(app.settings, app.clock).web(), app.settings.host, app.settings.port)
    return 0


def _work(_options: argparse.Namespace) -> int:
    from bot.app import AlreadyRunning

    try:
        worker = _app().worker()
    except AlreadyRunning as error:
        return _complain(str(error))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    _log.info("the worker has started")
    worker.run()
    return 0


def _app() -> "App":
    from bot.app import App
    from bot.backends.base import BackendUnavailable

    read = settings.read(os.environ)
    settings.forget_secrets()
    try:
        return App.build(read, SystemClock())
    except BackendUnavailable as error:
        raise settings.SettingsError([str(error)]) from error


def _doctor(_options: argparse.Namespace) -> int:
    from bot.doctor import examine, line

    healthy = True
    for finding in examine(os.environ, SystemClock()):
        print(line(finding), flush=True)
        healthy = healthy and finding.ok
    return 0 if healthy else 1


def _demo(options: argparse.Namespace) -> int:
    from bot.demo import Demo

    return Demo(options.dir, SystemClock()).run(once=options.once)


def _check_config(options: argparse.Namespace) -> int:
    path = _config_file(options.path or Path())
    if path is None:
        return _complain(f"no {' or '.join(config.CONFIG_PATHS)} in {options.path or Path().absolute()}")
    try:
        data = path.read_bytes()
    except OSError as error:
        return _complain(f"{path} cannot be read: {error.strerror}")
    root = path.parent.parent if path.parent.name == ".ps_project" else path.parent
    loaded = config.load(data, str(path), lambda name: _params_file(root, name))
    print(config.render_terminal(loaded, data.decode(errors="replace")))
    return 0 if loaded.config is not None else 1


def _config_file(path: Path) -> Path | None:
    if not path.is_dir():
        return path
    return next((path / name for name in config.CONFIG_PATHS if (path / name).is_file()), None)


def _params_file(root: Path, name: str) -> bytes:
    """Read another file of the repository as the bot would at a commit: no links, no way out."""
    path = root / name
    if path.is_symlink() or not path.resolve().is_relative_to(root.resolve()):
        raise LookupError(f"{name} is a link or lies outside the repository")
    try:
        return path.read_bytes()
    except OSError as error:
        raise LookupError(f"{name} cannot be read: {error.strerror}") from error


def _config_schema(_options: argparse.Namespace) -> int:
    print(json.dumps(config.export_schema(), indent=2))
    return 0


def _complain(sentence: str) -> int:
    print(f"experiment-ci: {sentence}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
