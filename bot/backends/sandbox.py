"""The walls around a run, by bubblewrap, and what a run finds inside them.

A run sees the system's /usr, its environment and its datasets read-only, and what it may write: /workspace,
/artifacts, /storage, /cache, /tmp and its home. It has processes, users and a host name of its own; the network is
that of its supervisor (see `namespaces`).

As a user, bubblewrap makes a user namespace. As root it makes none, so the run gets another uid *inside*, by setpriv:
outside, that uid could not read an interpreter below /root. Nothing that a run chose (its environment above all: think
of LD_PRELOAD) touches a process before that.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

WORKSPACE, ARTIFACTS, STORAGE, CACHE, DATA = "/workspace", "/artifacts", "/storage", "/cache", "/data"
GENERATED = "/generated"
"""What is made for a run: the hosts of MPI, the study of a search."""
HOME = "/home/experiment"
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
"""Where a run finds programs, after those of its environment."""
_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_TAKEN = frozenset(
    {"usr", "etc", "proc", "dev", "sys", "home", "storage", "cache", "data", "generated", "tmp"}
    | {path[1:] for path in _SYSTEM}
)
"""First parts of a path that no artifacts directory may have: they are the system's, or another's."""
_ETC = (
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "timezone", "mime.types"),
    *("resolv.conf", "nsswitch.conf", "host.conf", "gai.conf", "services", "protocols", "fonts"),
    *("ssl/certs", "ssl/openssl.cnf", "ca-certificates", "pki/tls/certs", "pki/ca-trust/extracted", "OpenCL"),
)
"""What programs need of /etc. No passwords, no keys, no host's configuration."""
_SYS = (PurePosixPath("/sys/devices/system/cpu"), PurePosixPath("/sys/devices/system/node"))
"""What BLAS libraries and MPI look up to know how many cores there are, and how they lie."""

BOOTSTRAP = 'eval "$(/bin/cat)"; [ -n "$READY" ] || exit 125; unset READY; exec </dev/null; /bin/sh -c "$1"; exit $?'
"""The first process of a run: it waits for its environment (which ends with READY), so that not a line of the run is
executed before its supervisor has written down whom to kill; and it stays the parent, see `Running.ask_to_end`."""


class SandboxError(Exception):
    """The walls could not be built; the platform's fault."""


class PathRefused(Exception):
    """A path of the config cannot be used; the user's fault, the message says why."""


@dataclass(frozen=True)
class Sandbox:
    """How runs are kept apart on this machine. `bwrap` None: not at all. `uid` and `gid` are the run's, if not ours."""

    bwrap: str | None
    uid: int | None = None
    gid: int | None = None

    @property
    def owner(self) -> tuple[int, int]:
        """Return uid and gid of what a run writes."""
        return (os.getuid() if self.uid is None else self.uid, os.getgid() if self.gid is None else self.gid)


@dataclass(frozen=True)
class Places:
    """Where a run's directories lie on this machine, and where it wants to see some of them.

    `artifacts_path` is absolute and one that `artifacts_path()` returned; `workdir` is relative to the workspace.
    `datasets` are names with what is to be seen under them; `hosts` are the names of all tasks, `gpus` those that this
    one may use (None: it uses none). `resolver` is a file to be seen as /etc/resolv.conf, where it is not the system's.
    """

    workspace: str
    artifacts: str
    storage: str
    scratch: str
    cache: str | None = None
    generated: str | None = None
    datasets: tuple[tuple[str, str], ...] = ()
    artifacts_path: str = ARTIFACTS
    workdir: str = "."
    environment: str | None = None
    hostname: str = "worker-0"
    hosts: tuple[str, ...] = ()
    resolver: str | None = None
    gpus: tuple[int, ...] | None = None
    is_storage_writable: bool = True

    @property
    def written(self) -> tuple[str, ...]:
        """The directories whose files count as the run's."""
        return (self.workspace, self.artifacts, self.scratch)

    @property
    def shared(self) -> tuple[str, ...]:
        """The directories that other runs, or other tasks, write to as well."""
        storage = self.storage if self.is_storage_writable else None
        return tuple(path for path in (storage, self.cache, self.generated) if path is not None)


@dataclass(frozen=True)
class Mount:
    """A directory or file of this machine (`source`) that a run sees at `target`."""

    source: str
    target: str
    is_writable: bool = True


def artifacts_path(path: str) -> str:
    """Return where a run sees its artifacts, absolute: a relative path is one of the workspace.

    Raises PathRefused for one that is the system's.
    """
    inside = PurePosixPath(WORKSPACE, path)
    if ".." in inside.parts or len(inside.parts) < 2 or "\0" in path:
        raise PathRefused(f"the artifacts cannot lie at {path!r}")
    if inside.parts[1] in _TAKEN or str(inside) == WORKSPACE:
        raise PathRefused(f"the artifacts cannot lie at {path}: choose {ARTIFACTS} or a directory of the workspace")
    return str(inside)


def command(sandbox: Sandbox, places: Places, status: int) -> list[str]:
    """Return the command that builds the walls and waits in them. `status` is the descriptor for bwrap's reports."""
    return [
        *(sandbox.bwrap or "bwrap", "--json-status-fd", str(status)),
        *walls(sandbox),
        *("--hostname", places.hostname),
        *_own_places(places),
        *_environments(places.environment),
        *_devices(places.gpus),
        *("--chdir", str(PurePosixPath(WORKSPACE, places.workdir)), "--remount-ro", "/", "--"),
        *change_user(sandbox),
        *("/bin/sh", "-c", BOOTSTRAP, "sh"),
    ]


def walls(sandbox: Sandbox) -> Iterator[str]:
    """Yield what every sandbox has, a probe's too."""
    yield from ("--die-with-parent", "--new-session", "--clearenv")
    if sandbox.uid is None:
        yield from ("--unshare-user", "--cap-drop", "ALL")
    else:
        # Just what setpriv needs to become somebody else; it gives these away too.
        yield from (
            "--cap-drop",
            "ALL",
            "--cap-add",
            "CAP_SETUID",
            "--cap-add",
            "CAP_SETGID",
            "--cap-add",
            "CAP_SETPCAP",
        )
    yield from ("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
    yield from ("--ro-bind", "/usr", "/usr")
    for path in map(Path, _SYSTEM):
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), str(path))
        elif path.exists():
            yield from ("--ro-bind", str(path), str(path))
    yield from ("--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/dev/shm")  # noqa: S108 - its own
    for shown in _SYS:
        yield from (*_directories(shown.parent), "--ro-bind-try", str(shown), str(shown))
    for name in _ETC:
        yield from _directories(PurePosixPath("/etc", name).parent)
        yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")


def change_user(sandbox: Sandbox) -> Iterable[str]:
    """Return the words before a command that make it, inside the walls, somebody else's."""
    if sandbox.uid is None:
        return ()
    who = ("--reuid", str(sandbox.uid), "--regid", str(sandbox.gid), "--clear-groups")
    return ("setpriv", *who, "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--")


def prepare(sandbox: Sandbox, places: Places) -> None:
    """Make the run's directories and the few files of /etc that are its own."""
    scratch = Path(places.scratch)
    own = [places.workspace, places.artifacts, places.storage, f"{scratch}/tmp", f"{scratch}/home"]  # noqa: S108 - its own
    for path in own if places.cache is None else [*own, places.cache]:
        Path(path).mkdir(parents=True, exist_ok=True)
        os.chown(path, *sandbox.owner)
    (scratch / "etc").mkdir(exist_ok=True)
    uid, gid = sandbox.owner
    (scratch / "etc/passwd").write_text(f"experiment:x:{uid}:{gid}::{HOME}:/bin/sh\n")
    (scratch / "etc/group").write_text(f"experiment:x:{gid}:\n")
    names = " ".join(dict.fromkeys((places.hostname, *places.hosts)))
    (scratch / "etc/hosts").write_text(f"{_host_names()}\n127.0.0.1 {names}\n")


def make_mount_point(places: Places) -> None:
    """Make the artifacts' directory in the workspace, where it is wanted there.

    Raises PathRefused when a link or a file of the repository is in the way: bwrap would follow the link.
    """
    inside = PurePosixPath(places.artifacts_path)
    if not inside.is_relative_to(WORKSPACE):
        return
    directory = Path(places.workspace)
    for part in inside.relative_to(WORKSPACE).parts:
        directory /= part
        if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
            raise PathRefused(f"the artifacts cannot lie at {inside}: the repository has something else there")
        directory.mkdir(exist_ok=True)


def check_workdir(places: Places) -> None:
    """Raise PathRefused unless the working directory is a directory of the workspace, no link on the way."""
    workdir = PurePosixPath(places.workdir)
    if workdir.is_absolute() or ".." in workdir.parts or "\0" in places.workdir:
        raise PathRefused(f"the working directory {places.workdir!r} does not lie in the repository")
    directory = Path(places.workspace)
    for part in workdir.parts:
        directory /= part
        if directory.is_symlink() or not directory.is_dir():
            raise PathRefused(f"the working directory {places.workdir!r} is not a directory of this commit")


def environment(sandbox: Sandbox, places: Places, wanted: Mapping[str, str]) -> dict[str, str]:
    """Return a run's whole environment: what only the backend knows, and over it what was `wanted`.

    Without walls there are no /workspace, /artifacts and /storage: values that lie there are translated to the real
    directories, and `WORKSPACE_DIR`, `ARTIFACTS_DIR` and `STORAGE_DIR` name them in both cases.
    """
    path = SYSTEM_PATH if places.environment is None else f"{places.environment}/bin:{SYSTEM_PATH}"
    known = {
        "PATH": path,
        "HOME": HOME,
        "USER": "experiment",
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PS_HOSTNAME": places.hostname,
        "WORKSPACE_DIR": WORKSPACE,
        "ARTIFACTS_DIR": places.artifacts_path,
        "STORAGE_DIR": STORAGE,
        **(_caches() if places.cache is not None else {}),
    }
    if places.gpus is not None:
        known["CUDA_VISIBLE_DEVICES"] = known["NVIDIA_VISIBLE_DEVICES"] = ",".join(map(str, places.gpus))
    if places.environment is not None:
        known["VIRTUAL_ENV"] = places.environment
    if sandbox.bwrap is not None:
        return known | dict(wanted)
    scratch = places.scratch
    real = {
        places.artifacts_path: places.artifacts,
        ARTIFACTS: places.artifacts,
        STORAGE: places.storage,
        WORKSPACE: places.workspace,
        HOME: f"{scratch}/home",
        **({} if places.cache is None else {CACHE: places.cache}),
        **{f"{DATA}/{name}": path for name, path in places.datasets},
    }
    everything = known | {"TMPDIR": str(Path(scratch, "tmp"))} | dict(wanted)
    return {name: _translated(value, real) for name, value in everything.items()}


def _caches() -> dict[str, str]:
    """Return where installers and model hubs keep what the next run need not download again."""
    return {
        "XDG_CACHE_HOME": CACHE,
        "PIP_CACHE_DIR": f"{CACHE}/pip",
        "UV_CACHE_DIR": f"{CACHE}/uv",
        "HF_HOME": f"{CACHE}/huggingface",
        "TORCH_HOME": f"{CACHE}/torch",
        "KERAS_HOME": f"{CACHE}/keras",
    }


def script(variables: Mapping[str, str]) -> bytes:
    """Return what BOOTSTRAP waits for: the environment, as lines that a shell reads."""
    lines = [f"export {name}={_quoted(value)}\n" for name, value in variables.items() if _is_name(name)]
    return "".join([*lines, "READY=1\n"]).encode(errors="surrogateescape")


def mounts(places: Places) -> Iterator[Mount]:
    """Yield the directories that a run shares with this machine, those that others may lie in first."""
    scratch = places.scratch
    yield Mount(f"{scratch}/tmp", "/tmp")  # noqa: S108 - the run's own
    yield Mount(f"{scratch}/home", HOME)
    yield Mount(f"{scratch}/etc/hosts", "/etc/hosts", is_writable=False)
    if places.resolver is not None:
        yield Mount(places.resolver, "/etc/resolv.conf", is_writable=False)
    yield Mount(places.workspace, WORKSPACE)
    yield Mount(places.storage, STORAGE, places.is_storage_writable)
    yield Mount(places.artifacts, ARTIFACTS)
    for path, name in ((places.cache, CACHE), (places.generated, GENERATED)):
        if path is not None:
            yield Mount(path, name)
    for name, path in places.datasets:
        yield Mount(path, f"{DATA}/{name}", is_writable=False)
    if places.artifacts_path != ARTIFACTS:
        yield Mount(places.artifacts, places.artifacts_path)


def _own_places(places: Places) -> Iterator[str]:
    for name in ("passwd", "group"):
        yield from ("--ro-bind", f"{places.scratch}/etc/{name}", f"/etc/{name}")
    for mount in mounts(places):
        if not mount.target.startswith((f"{WORKSPACE}/", "/etc/")):
            yield from _directories(PurePosixPath(mount.target).parent)
        yield from ("--bind" if mount.is_writable else "--ro-bind", mount.source, mount.target)


def _environments(environment: str | None) -> Iterator[str]:
    """Mount an environment where it lies outside (its scripts name that path), and the interpreter it was made from."""
    for prefix in () if environment is None else _prefixes(environment):
        yield from _directories(PurePosixPath(prefix).parent)
        yield from ("--ro-bind", prefix, prefix)


def _prefixes(environment: str) -> list[str]:
    """Return the directories that an environment needs, the outer ones first, without what /usr has anyway."""
    found = {environment}
    home = _home(environment)
    if home is not None:
        # Both names of the interpreter's prefix: the one that links use, and where it really is.
        found |= {str(PurePosixPath(home).parent), str(Path(environment, "bin/python3").resolve().parents[1])}
    return sorted(path for path in found if not PurePosixPath(path).is_relative_to("/usr") and path != "/")


def _home(environment: str) -> str | None:
    """Return the directory of the interpreter that a virtual environment was made from; None for a plain prefix."""
    try:
        lines = Path(environment, "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, value = line.partition("=")
        if key.strip() == "home" and value.strip().startswith("/"):
            return value.strip()
    return None


def _devices(gpus: tuple[int, ...] | None) -> Iterator[str]:
    """Mount the driver's devices, and of the GPUs those that are this run's."""
    if not gpus:
        return
    shared = [path for path in Path("/dev").glob("nvidia*") if not path.name.removeprefix("nvidia").isdigit()]
    for device in [*shared, *(Path(f"/dev/nvidia{number}") for number in gpus)]:
        yield from ("--dev-bind-try", str(device), str(device))


def _directories(path: PurePosixPath) -> Iterator[str]:
    """Yield the making of `path` and its parents one by one: bwrap makes implied parents for root's eyes only."""
    for parent in (*reversed(path.parents), path):
        if len(parent.parts) > 1:
            yield from ("--perms", "0755", "--dir", str(parent))


def _host_names() -> str:
    try:
        return Path("/etc/hosts").read_text()
    except OSError:
        return "127.0.0.1 localhost"


def _translated(value: str, real: Mapping[str, str]) -> str:
    for inside, outside in real.items():
        if value == inside or value.startswith(f"{inside}/"):
            return outside + value[len(inside) :]
    return value


def _is_name(name: str) -> bool:
    """A shell cannot hold other names; the config's reader tells its author."""
    return name.isascii() and name.replace("_", "a").isalnum() and not name[0].isdigit()


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\"'\"'").replace("\0", "") + "'"
