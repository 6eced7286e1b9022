"""What this machine lets an attempt have for itself, a network and a layer of storage: by trying, once, at the start.

The trying is done by a child program, since it moves itself into what it tries.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.backends import namespaces
from bot.backends.base import BackendUnavailable
from bot.backends.network import NONE, PRIVATE, SHARED, Nat

_LIMIT = 60.0
_PACKAGE = Path(__file__).parents[2]
_NO_USERS = (
    "Allow user namespaces: sysctl user.max_user_namespaces=10000, on Ubuntu also"
    " sysctl kernel.apparmor_restrict_unprivileged_userns=0"
)
_NO_ROOT = "Give the bot CAP_SYS_ADMIN, or run it as a user"
_NO_SLIRP = "Install slirp4netns (1.0 or later) and let the bot's user open /dev/net/tun: chmod 666 /dev/net/tun"
_NO_OVERLAY = "Keep DATA_DIR on a file system that overlays can write to (ext4, xfs, btrfs; Linux 5.11 for a user)"
_NO_WALLS = "runs are not isolated here"
_RESOLVERS = ("/etc", "/run")
"""Where slirp4netns in its sandbox still finds the machine's resolv.conf."""


@dataclass(frozen=True)
class Powers:
    """What attempts can have. `slirp` is the path of a slirp4netns that works; the `no_…` say why there is none."""

    own_network: bool = False
    overlay: bool = False
    slirp: str = ""
    no_network: str = _NO_WALLS
    no_nat: str = _NO_WALLS
    no_overlay: str = _NO_WALLS

    @property
    def nat(self) -> bool:
        """Tell whether a network of its own can have a way out."""
        return bool(self.slirp)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What `doctor` and the details page say."""
        if self.nat:
            network = "network: an attempt can have its own, with a way out by slirp4netns"
        elif self.own_network:
            network = f"network: an attempt can have its own, but none with a way out: {self.no_nat}"
        else:
            network = f"network: the machine's only: {self.no_network}"
        if self.overlay:
            return network, "storage: a pull request writes to a layer of its own, gone afterwards"
        return network, f"storage: read-only for pull requests, a layer of their own cannot be had: {self.no_overlay}"


def probe(directory: Path, command: Sequence[str], slirp: str = "slirp4netns") -> Powers:
    """Try all of it. `directory` lies where runs and storage do; `command` builds the walls around nothing and ends."""
    path = shutil.which(slirp) or ""
    order = json.dumps({"directory": str(directory), "command": list(command), "slirp": path})
    try:
        done = subprocess.run(
            [sys.executable, "-S", "-P", "-m", "bot.backends.powers"],
            input=order.encode(),
            env={"PYTHONPATH": str(_PACKAGE), "PATH": "/usr/local/bin:/usr/bin:/bin"},
            capture_output=True,
            timeout=_LIMIT,
            check=True,
        )
        return Powers(**json.loads(done.stdout))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError) as error:
        why = f"the trial itself failed: {error}"
        return Powers(no_network=why, no_nat=why, no_overlay=why)


def choose(setting: str, powers: Powers, *, is_trusted: bool) -> str:
    """Return the network of an attempt: `private`, `none` or `shared`. `setting` is NETWORK.

    Code that is not trusted never has a network that leads anywhere. Raises BackendUnavailable, with the cure, when
    the machine cannot give what that or the setting demands.
    """
    if not is_trusted:
        if not powers.own_network:
            raise BackendUnavailable(f"code that is not trusted cannot be kept off the network: {powers.no_network}")
        return NONE
    if setting == PRIVATE and not powers.nat:
        why = powers.no_nat if powers.own_network else powers.no_network
        raise BackendUnavailable(f"NETWORK=private is not possible here: {why}; or set NETWORK=auto")
    return PRIVATE if powers.nat and setting != SHARED else SHARED


def _try_all(directory: Path, command: Sequence[str], slirp: str) -> Powers:
    no_network = _in_a_child(lambda: _try_network(command))
    no_nat = no_network or _trouble_with(slirp) or _in_a_child(lambda: _try_nat(slirp))
    no_overlay = _try_overlay(directory)
    return Powers(
        own_network=not no_network,
        overlay=not no_overlay,
        slirp="" if no_nat else slirp,
        no_network=_with_cure(no_network, _NO_USERS if os.geteuid() else _NO_ROOT),
        no_nat=_with_cure(no_nat, _NO_SLIRP),
        no_overlay=_with_cure(no_overlay, _NO_OVERLAY),
    )


def _with_cure(why: str, cure: str) -> str:
    return f"{why}. {cure}" if why else ""


def _in_a_child(attempt: Callable[[], None]) -> str:
    """Return why the attempt failed, nothing when it did not. It changes only a child of ours."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        why = "it ended without a word"
        try:
            attempt()
            why = ""
        except Exception as error:
            why = " ".join(str(error).split())[-300:] or type(error).__name__
        finally:
            os.write(writer, why.encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as words:
        why = words.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    return why or ("it was killed" if status else "")


def _try_network(command: Sequence[str]) -> None:
    with namespaces.enter(network=True, mounts=True):
        pass
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LIMIT / 3, check=False)
    if done.returncode != 0:
        raise OSError(f"bubblewrap does not work in it ({done.stderr.decode(errors='replace')[-200:]})")


def _trouble_with(slirp: str) -> str:
    if not slirp:
        return "slirp4netns is missing"
    resolver = Path("/etc/resolv.conf").resolve()
    if not any(resolver.is_relative_to(place) for place in _RESOLVERS):
        return f"slirp4netns could not read this machine's name servers in {resolver}"
    return ""


def _try_nat(slirp: str) -> None:
    nat = Nat(slirp)
    try:
        with namespaces.enter(network=True, mounts=True):
            nat.connect()
    finally:
        nat.close()


def _try_overlay(directory: Path) -> str:
    try:
        return _trouble_with_overlays(directory)
    except OSError as error:
        return str(error)


def _trouble_with_overlays(directory: Path) -> str:
    with tempfile.TemporaryDirectory(prefix="probe-", dir=directory) as place:
        storage, writes = Path(place, "storage"), Path(place, "writes")
        storage.mkdir()
        why = _in_a_child(lambda: _try_to_write(storage, writes))
        for path in writes.glob("work/*"):
            path.chmod(0o700)  # the kernel leaves a directory that a user could not remove
        return why or ("what was written came through" if any(storage.iterdir()) else "")


def _try_to_write(storage: Path, writes: Path) -> None:
    with namespaces.enter(network=False, mounts=True):
        namespaces.overlay(storage, writes)
    (storage / "new").write_text("private")


def main() -> None:
    """Try what standard input asks for, and print the Powers."""
    order = json.load(sys.stdin)
    powers = _try_all(Path(order["directory"]), order["command"], order["slirp"])
    sys.stdout.write(json.dumps(vars(powers)))


if __name__ == "__main__":
    main()
