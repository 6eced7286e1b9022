"""The command line: `experiment-ci`."""

import argparse
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bot import __version__, config_file, envfile, logs, settings
from bot.clock import Clock, SystemClock
from bot.core import config
from bot.inbox.options import of_replay, of_simulate
from bot.run.options import of_cancel, of_run
from bot.setup import options as setup_options
from bot.troubles import disk_sentence
from bot.up import Processes, follow, when_told_to_end

if TYPE_CHECKING:
    from bot.app import App

Command = Callable[[argparse.Namespace], int]
_log = logging.getLogger("experiment-ci")
_WHERE_THEY_ARE = (
    f"`experiment-ci setup` writes these into {envfile.DEFAULT}, which is read in the directory that it lies in; "
    "ENV_FILE names one elsewhere"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0 well, 1 not well, 2 wrong usage or settings."""
    options = _parsed(arguments)
    logs.to_terminal()
    for chatty in ("alembic", "werkzeug"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        # What is asked of the bot itself needs its settings; a checkout of one's own none of them.
        is_the_bots = options.run is _simulate and options.config is None
        if options.reads_settings or is_the_bots or getattr(options, "repo", None) is not None:
            envfile.add_to(os.environ)
        return int(options.run(options))
    except settings.SettingsError as error:
        for problem in error.problems:
            _complain(problem)
        if any(problem.startswith("GITHUB_") and " is missing" in problem for problem in error.problems):
            _complain(_WHERE_THEY_ARE)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has gone (`… | head`). What is still unsaid would be said at exit, and fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options. What is run may be named before and behind them, which argparse alone does not take."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and (not hasattr(options, "what") or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.what += rest
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="experiment-ci", description="A GitHub App that runs experiments.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="command")
    _command(commands, "up", _up, "run web and worker on this machine", settings=True)
    _command(commands, "serve", _serve, "run the web process: the webhook door and the pages", settings=True)
    _command(commands, "work", _work, "run the worker: intake, launch, watch, collect, report", settings=True)
    setup_options.add(_command(commands, "setup", _setup, "make the GitHub App, and keep its key and settings here"))
    _command(commands, "doctor", _doctor, "say what works and what does not, with the cure", settings=True)
    demo = _command(commands, "demo", _demo, "show everything on this machine, with a GitHub of its own")
    demo.add_argument("--once", action="store_true", help="end by itself: 0 when every check concluded as it must")
    demo.add_argument("--dir", type=Path, default=Path(".demo"), help="where the demo keeps its files")
    secret = _command(
        commands, "secret", _secret, "store secrets for experiments: set, list, delete, rotate", settings=True
    )
    _secret_verbs(secret)
    check = _command(commands, "check-config", _check_config, "say what is wrong with a config, with line and hint")
    check.add_argument("path", nargs="?", type=Path, help="a config file, or a repository (default: this one)")
    first = _command(commands, "init", _init, "look at a repository and write a first config that fits it")
    first.add_argument("path", nargs="?", type=Path, default=Path(), help="a local checkout (default: this one)")
    first.add_argument("--force", action="store_true", help="write even where there is a config already")
    first.add_argument("--print", action="store_true", dest="only_print", help="print the config, write nothing")
    of_run(_command(commands, "run", _run, "run a checkout here, or a branch by the bot, to its verdict"))
    of_cancel(_command(commands, "cancel", _cancel, "stop what the bot runs at a branch, a tag or a commit"))
    of_replay(
        _command(
            commands,
            "replay",
            _replay,
            "have the bot look at a delivery again, and tell what came of it",
            settings=True,
        )
    )
    of_simulate(
        _command(commands, "simulate", _simulate, "say what would come of a payload; nothing is posted or stored")
    )
    _command(commands, "config-schema", _config_schema, "print the config's JSON Schema, for editors")
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Command,
    summary: str,
    *,
    settings: bool = False,
) -> argparse.ArgumentParser:
    """Add a command. One that needs `settings` has those of the env file in its environment."""
    parser = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
    parser.set_defaults(run=run, reads_settings=settings)
    return parser


def _secret_verbs(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(required=True, metavar="verb", dest="verb")
    for verb, summary in (
        ("set", "store a secret; its value is asked for unseen, or read from standard input"),
        ("list", "say which secrets there are; values are never shown"),
        ("delete", "forget a secret"),
        ("rotate", "lock every secret anew, under the first key of SECRETS_KEY"),
    ):
        one = verbs.add_parser(verb, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if verb in ("set", "delete"):
            one.add_argument("name", help="what a config calls it: secret:<name>")
        if verb != "rotate":
            whose = one.add_mutually_exclusive_group(required=verb != "list")
            whose.add_argument("--repo", metavar="owner/name", help="of one repository; these go first")
            whose.add_argument("--owner", metavar="owner", help="of all repositories of an owner")


# The commands import what they need themselves, as late as they can: `check-config` answers at once, without a database
# or a web server, and wrong settings are told at once.


def _up(_options: argparse.Namespace) -> int:
    from bot.worker_sign import WorkerSign

    environ, clock = dict(os.environ), SystemClock()
    # The parts build their own; this one proves that it can be done, once, instead of in an endless round of restarts.
    app = _app()
    app.close()
    if WorkerSign(app.settings.data_dir, clock).read().is_alive:
        return _complain(f"another worker is running on {app.settings.data_dir}; end it first, or use it")
    if why := _why_deaf(app):
        return _complain(why)
    Processes(environ, clock).run()
    return 0


def _serve(_options: argparse.Namespace) -> int:
    follow(os.environ)
    app = _app()
    from bot.app import App, login_token
    from bot.web.serve import serve

    # The server builds its own after the fork; this one proved that it can be built, and brought the tables.
    app.close()
    if why := _why_deaf(app):
        return _complain(why)
    read = app.settings
    print(f"experiment-ci listens on http://{read.host}:{read.port}; GitHub's webhook URL is {read.public_url}/webhook")
    print(f"log in: {read.public_url}/login?token={login_token(read.data_dir)}", flush=True)
    serve(lambda: App.build(read, app.clock).web(), read.host, read.port)
    return 0


def _why_deaf(app: "App") -> str:
    """Return why nothing can listen where the settings say, "" if it can."""
    from bot.web.serve import why_not

    read = app.settings
    why = why_not(read.host, read.port, app.clock)
    return why and f"nothing can listen on {read.host}, port {read.port}: {why}; HOST and PORT choose another address"


def _work(_options: argparse.Namespace) -> int:
    follow(os.environ)
    app = _app()
    from bot.app import AlreadyRunning

    try:
        worker = app.worker()
    except AlreadyRunning as error:
        return _complain(str(error))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    _log.info("the worker has started")
    worker.run()
    return 0


def _app() -> "App":
    """Return everything, built from the environment. Raises SettingsError; ends with a sentence for other trouble."""
    read = settings.read(os.environ)
    settings.forget_secrets()
    from bot.startup import CannotStart, start

    try:
        return start(read, SystemClock())
    except CannotStart as error:
        sys.exit(_complain(str(error)))


def _setup(options: argparse.Namespace) -> int:
    from bot.setup.command import SetupError, run
    from bot.setup.terminal import Terminal

    try:
        run(options, os.environ, Terminal(partial(print, flush=True), input), SystemClock())
    except SetupError as error:
        return _complain(config.printable(str(error)))
    return 0


def _doctor(_options: argparse.Namespace) -> int:
    from bot.doctor import examine, line

    healthy = True
    for finding in examine(os.environ, SystemClock()):
        print(line(finding), flush=True)
        healthy = healthy and finding.ok
    return 0 if healthy else 1


def _secret(options: argparse.Namespace) -> int:
    read = settings.read(os.environ)
    settings.forget_secrets()
    from bot import secret_command

    try:
        for said in secret_command.run(options, read, SystemClock()):
            print(said)
    except secret_command.SecretCommandError as error:
        return _complain(str(error))
    return 0


def _demo(options: argparse.Namespace) -> int:
    try:
        from bot.demo import Demo
    except ModuleNotFoundError as error:
        return _complain(f"the demo needs {error.name}, which is not installed: pip install 'experiment-ci[demo]'")
    # Ended in whatever way (a service manager, a shell's background), the demo takes its bot along.
    when_told_to_end(signal.default_int_handler)
    try:
        return Demo(options.dir, SystemClock()).run(once=options.once)
    except subprocess.CalledProcessError as error:
        return _complain(f"{' '.join(map(str, error.cmd[:4]))} … ended with status {error.returncode}")
    except OSError as error:
        return _complain(disk_sentence(error))


def _run(options: argparse.Namespace) -> int:
    from bot.run import command

    return _told(command.run, options)


def _cancel(options: argparse.Namespace) -> int:
    from bot.run import command

    return _told(command.cancel, options)


def _replay(options: argparse.Namespace) -> int:
    from bot.inbox import command

    return _told(command.replay, options)


def _simulate(options: argparse.Namespace) -> int:
    from bot.inbox import command

    return _told(command.simulate, options)


def _told(action: Callable[[argparse.Namespace, Mapping[str, str], Clock], int], options: argparse.Namespace) -> int:
    """Do something of `bot.run` or `bot.inbox`; tell why nothing was done, with the status of wrong usage."""
    from bot.run.errors import CannotRun

    try:
        return action(options, os.environ, SystemClock())
    except CannotRun as error:
        _complain(config.printable(str(error)))
        return 2


def _init(options: argparse.Namespace) -> int:
    from bot.init import command

    try:
        done = command.run(options.path, force=options.force, only_print=options.only_print)
    except command.InitError as error:
        return _complain(config.printable(str(error)))
    if options.only_print:
        print(done.text, end="")
    # What is printed may be piped into a file: what is told must not get into it.
    print(done.told, file=sys.stderr if options.only_print else sys.stdout)
    return 0


def _check_config(options: argparse.Namespace) -> int:
    place = options.path or Path()
    path = _config_file(place)
    if path is None:
        return _complain(f"no {' or '.join(config.CONFIG_PATHS)} of ours in {place.absolute()}")
    root = _root_of(path)
    try:
        data = config_file.read(root, path.absolute().relative_to(root))
    except LookupError as error:
        return _complain(f"{path} cannot be read: {error}")
    loaded = config.load(data, str(path), lambda name: config_file.read(root, Path(name)))
    print(config.render_terminal(loaded, data.decode(errors="replace")))
    return 0 if loaded.config is not None else 1


def _config_file(path: Path) -> Path | None:
    """Return the file that the bot would read in a repository; a file that is named is taken as it is."""
    if not path.is_dir():
        return path
    ours, in_root = (path / name for name in config.CONFIG_PATHS)
    if os.path.lexists(ours):
        return ours
    return in_root if in_root.is_file() and config.is_ours(config_file.start_of(in_root)) else None


def _root_of(path: Path) -> Path:
    """Return the absolute directory that a config's other files are counted from."""
    directory = path.absolute().parent
    return directory.parent if directory.name == ".ps_project" else directory


def _config_schema(_options: argparse.Namespace) -> int:
    print(json.dumps(config.export_schema(), indent=2))
    return 0


def _complain(sentence: str) -> int:
    print(f"experiment-ci: {sentence}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
