"""`experiment-ci doctor`: each thing that must be right, looked at once, with the cure where it is not."""

from collections.abc import Iterator, Mapping

import yaml

from bot.app import make_backend
from bot.backends.base import BackendUnavailable
from bot.backends.machines import Machines, MachinesError
from bot.clock import Clock
from bot.forge.credentials import Credentials
from bot.forge.diagnosis import Finding, diagnose
from bot.resources import MANIFEST
from bot.settings import Settings, SettingsError, read
from bot.store.database import Database, Unavailable
from bot.worker_sign import WorkerSign


def examine(environ: Mapping[str, str], clock: Clock) -> Iterator[Finding]:
    """Yield what is well and what is not, in the order in which one would look. Never raises for what it finds."""
    try:
        settings = read(environ)
    except SettingsError as error:
        for problem in error.problems:
            yield Finding("settings", False, problem, "Set it in the environment; README.md says where to get it.")
        return
    yield Finding("settings", True, f"App {settings.app_id}, data in {settings.data_dir}")
    yield from _github(settings, clock)
    yield _database(settings)
    yield from _backend(settings, clock)
    yield _worker(settings, clock)
    yield _images(settings)


def line(finding: Finding) -> str:
    """Return the finding as the terminal shows it."""
    cure = f"\n    → {finding.cure}" if finding.cure and not finding.ok else ""
    return f"{'✓' if finding.ok else '✗'} {finding.name}: {finding.sentence}{cure}"


def _github(settings: Settings, clock: Clock) -> Iterator[Finding]:
    manifest = yaml.safe_load(MANIFEST.read_text())
    credentials = Credentials(settings.app_id, settings.private_key, settings.api_url, clock)
    try:
        yield from diagnose(credentials, manifest["default_permissions"], manifest["default_events"])
    finally:
        credentials.close()


def _database(settings: Settings) -> Finding:
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        database = Database(settings.database_url)
        database.migrate(settings.data_dir / "migrate.lock")
        database.close()
    except (OSError, Unavailable) as error:
        cure = "DATA_DIR (and DATABASE_URL's server) must be writable for the bot's user."
        return Finding("database", False, f"cannot be opened: {type(error).__name__}", cure)
    return Finding("database", True, "opens, and has this version's tables")


def _backend(settings: Settings, clock: Clock) -> Iterator[Finding]:
    try:
        machines = Machines.load(settings.machines_file)
    except MachinesError as error:
        yield Finding("machines", False, str(error), "Correct MACHINES_FILE; docs/settings.md shows one.")
        return
    try:
        found = make_backend(settings, machines, clock).capabilities
    except BackendUnavailable as error:
        yield Finding("backend", False, str(error), "Debian and Ubuntu: apt-get install bubblewrap")
        return
    room = found.capacity
    size = "queues by itself" if room is None else f"{room.cpus:g} CPUs, {room.memory_mb} MB, {room.gpus} GPUs"
    yield Finding("backend", True, f"{found.name}: {size}")
    cure = "Install bubblewrap and take ALLOW_UNISOLATED_TRUSTED_CODE away."
    yield Finding("isolation", found.is_isolated, found.isolation, cure)
    yield from (Finding("limits", True, limit) for limit in found.limits)


def _worker(settings: Settings, clock: Clock) -> Finding:
    seen = WorkerSign(settings.data_dir, clock).read()
    return Finding("worker", seen.is_alive, seen.sentence, "Start it: `experiment-ci up`, or `experiment-ci work`.")


def _images(settings: Settings) -> Finding:
    if settings.images == "public" and not settings.has_public_address:
        cure = "Set PUBLIC_URL to an https address that GitHub can reach, or IMAGES=off."
        return Finding("images", False, f"GitHub's image proxy cannot fetch from {settings.public_url}", cure)
    return Finding("images", True, f"IMAGES={settings.images}")
