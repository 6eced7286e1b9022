"""An attempt's own network and its own layer of storage: what is in them, what is out of reach, what is left.

The supervisors are miniatures (`miniature.py`), run by whoever runs the tests and, where that is root, by a user too.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.backends import sandbox
from bot.backends.powers import Powers, probe
from bot.backends.sandbox import Sandbox
from tests.backends.lab import eventually, processes_with

pytestmark = pytest.mark.service
PACKAGE = Path(__file__).parents[2]
USER = 54_321
"""A uid that nobody has."""
SYSTEM = "/usr/bin/python3"
"""An interpreter in root's home is none for a user."""
WITH_TUN = (
    'mount --make-rprivate / && mknod -m 666 "$0/tun" c 10 200 && mount --bind "$0/tun" /dev/net/tun && exec "$@"'
)
"""On most machines every user may open /dev/net/tun; in some containers only root."""


@dataclass
class Stage:
    """Where a play takes place, and what makes its supervisor: the words before it and its interpreter."""

    place: Path
    before: tuple[str, ...]
    python: str
    slirp: str

    @property
    def owner(self) -> tuple[int, int]:
        """Who owns what a run writes."""
        return (USER, USER) if self.before else (os.getuid() or 65534, os.getgid() or 65534)

    def storage(self, name: str = "storage") -> Path:
        """Return a directory that a run may write to."""
        made = self.place / name
        made.mkdir()
        os.chown(made, *self.owner)
        return made

    def supervisor(self, lines: str, **order: str) -> "subprocess.Popen[str]":
        argv = [*self.before, self.python, "-S", "-P", str(Path(__file__).with_name("miniature.py"))]
        return subprocess.Popen(
            [*argv, json.dumps({"slirp": self.slirp, **order}), lines],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "PYTHONPATH": str(PACKAGE), "PYTHONDONTWRITEBYTECODE": "1"},
            text=True,
        )

    def play(self, lines: str, **order: str) -> dict[str, Any]:
        """Return all that a supervisor said in these lines."""
        with self.supervisor(lines, **order) as process:
            said, complaints = process.communicate(timeout=60)
        assert not complaints, complaints
        _nat, *words = map(json.loads, said.splitlines())
        return {key: value for word in words for key, value in word.items()}


@pytest.fixture(scope="module")
def powers(tmp_path_factory: pytest.TempPathFactory) -> Powers:
    path = shutil.which("bwrap")
    if path is None:
        pytest.skip("bubblewrap is missing")
    who = Sandbox(path) if os.getuid() else Sandbox(path, 65534, 65534)
    empty = [path, *sandbox.walls(who), "--", *sandbox.change_user(who), "/bin/sh", "-c", ":"]
    found = probe(tmp_path_factory.mktemp("probe"), empty)
    if not found.own_network:
        pytest.skip(found.no_network)
    return found


@pytest.fixture(params=["ourselves", "a user"])
def stage(request: pytest.FixtureRequest, powers: Powers) -> Iterator[Stage]:
    place = Path(tempfile.mkdtemp(prefix="stage-", dir="/tmp"))  # a user cannot go where pytest has its own
    try:
        if request.param == "ourselves":
            yield Stage(place, (), sys.executable, powers.slirp)
        elif os.getuid() != 0:
            pytest.skip("we are a user")
        else:
            os.chown(place, USER, USER)
            yield as_a_user(place, powers.slirp)
    finally:
        shutil.rmtree(place)


def as_a_user(place: Path, slirp: str) -> Stage:
    become = ("setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups")
    words = [*become, SYSTEM, "-S", "-P", "-c", "import bot.backends.network"]
    tried = subprocess.run(words, env={"PYTHONPATH": str(PACKAGE)}, capture_output=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"a user cannot run this code with the system's Python: {tried.stderr.decode()[-200:]}")
    tun = tempfile.mkdtemp(prefix="tun-", dir=place)
    return Stage(place, ("unshare", "--mount", "sh", "-c", f"rm -f {tun}/tun; {WITH_TUN}", tun, *become), SYSTEM, slirp)


@pytest.fixture
def connected(stage: Stage) -> Stage:
    if not stage.slirp:
        pytest.skip("slirp4netns is missing, or cannot be used here")
    return stage


LOOK_AROUND = """
say(
    public=reaches(PUBLIC), loopback=reaches("127.0.0.1", PORT + 1), abstract=reaches_abstract(),
    names=asks(NAME_SERVER), names_of_slirp=asks("10.0.2.3"), behind_names=reaches("10.0.2.3"),
    gateway=reaches("10.0.2.2"), loopback_of_gateway=reaches("10.0.2.2", PORT + 1),
    metadata=has_route("169.254.169.254"), elsewhere=has_route("198.51.100.1"),
)
"""


def test_on_the_machines_own_network_all_its_services_are_in_reach(stage: Stage) -> None:
    seen = stage.play(LOOK_AROUND, network="shared", machine=str(stage.place))
    assert {name for name, is_reached in seen.items() if is_reached} == {"public", "loopback", "abstract", "names"}


def test_a_private_network_leads_out_but_not_to_what_only_the_machine_should_reach(connected: Stage) -> None:
    seen = connected.play(LOOK_AROUND, network="private", machine=str(connected.place))
    # The name server of the machine's loopback is asked through slirp; nothing else answers at that address.
    assert {name for name, is_reached in seen.items() if is_reached} == {"public", "names_of_slirp", "elsewhere"}


def test_without_a_way_out_there_is_an_own_loopback_and_nothing_else(stage: Stage) -> None:
    own = """
server = socket.create_server(("127.0.0.1", 0))
if os.fork() == 0:
    server.accept()[0].sendall(b"here")
    os._exit(0)
say(own=reaches(*server.getsockname()))
"""
    seen = stage.play(LOOK_AROUND + own, network="none", machine=str(stage.place))
    assert {name for name, is_reached in seen.items() if is_reached} == {"own"}


def test_sandboxes_of_one_supervisor_share_its_network_and_get_no_rights_over_it(stage: Stage) -> None:
    look = "readlink /proc/self/ns/net; grep Cap /proc/self/status; id -u"
    seen = stage.play(f"say(one=sandboxed({look!r}), other=sandboxed({look!r}))", network="none")
    network, *capabilities, uid = seen["one"].splitlines()
    assert network == seen["other"].splitlines()[0] != str(Path("/proc/self/ns/net").readlink())
    held = dict(line.split(":\t") for line in capabilities)
    assert {held[kind] for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert int(uid) == stage.owner[0]


def test_a_supervisor_can_do_afterwards_what_it_could_before(stage: Stage) -> None:
    lines = f"""
child = subprocess.Popen(["sleep", "60"])
child.terminate()
with open("{stage.place}/lock", "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    lock.write("written")
say(ended=child.wait(), uid=os.getuid(), gid=os.getgid())
"""
    seen = stage.play(lines, network="none", storage=str(stage.storage()), writes=f"{stage.place}/writes")
    uid, gid = (USER, USER) if stage.before else (os.getuid(), os.getgid())
    assert seen == {"ended": -15, "uid": uid, "gid": gid}


def test_what_a_run_writes_to_its_layer_of_storage_is_seen_by_it_alone(stage: Stage) -> None:
    storage, writes = stage.storage("storage,a:b"), stage.place / "writes"
    (storage / "runs").mkdir()
    for name in ("model", "old", "runs/1"):
        (storage / name).write_text("main's")
    for path in storage.rglob("*"):
        os.chown(path, *stage.owner)
    order = {"storage": str(storage), "writes": str(writes)}

    def run(command: str) -> Any:
        mount = ["--bind", str(storage), "/storage"]
        return stage.play(f"say(said=sandboxed({command!r}, *{mount!r}))", **order)["said"]

    change = "echo mine > /storage/model; rm /storage/old; mkdir /storage/new; "
    assert run(f"cat /storage/model; {change} cat /storage/model; ls /storage") == "main'smine\nmodel\nnew\nruns\n"
    assert sorted(os.listdir(storage)) == ["model", "old", "runs"]  # noqa: PTH208 - names are wanted
    assert (storage / "model").read_text() == "main's"
    assert (
        run("cat /storage/model; ls /storage") == "mine\nmodel\nnew\nruns\n"
    )  # a supervisor that goes on where one died

    assert run("rm -r /storage/runs; mkdir /storage/runs; ls -A /storage/runs") == ""  # not what was in it before
    assert (storage / "runs/1").exists()

    remove = f"""
subprocess.run(["chmod", "-R", "u+rwX", {str(writes)!r}])
subprocess.run(["rm", "-rf", "--one-file-system", {str(writes)!r}], check=True)
"""
    stage.play(remove, **order)
    assert not writes.exists()
    assert (storage / "old").read_text() == "main's"


@pytest.mark.parametrize("delay", [0, 0.002, 0.005, 0.01, 0.1])
def test_nothing_is_left_of_a_supervisor_that_was_killed(connected: Stage, delay: float) -> None:
    """At whatever moment: before it moved, while slirp4netns begins, and long after."""
    with connected.supervisor("time.sleep(60)", network="private") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["nat"] > 0
        time.sleep(delay)
        process.kill()
    eventually(lambda: not processes_with(f"\0{process.pid}\0tap0"))


def test_slirp_itself_has_few_rights(connected: Stage) -> None:
    """Every packet of a run goes through it."""
    with connected.supervisor("time.sleep(60)", network="private") as process:
        assert process.stdout is not None
        status = Path(f"/proc/{json.loads(process.stdout.readline())['nat']}/status")
        try:
            eventually(lambda: "Seccomp:\t2\n" in status.read_text())
            rights = dict(line.split(":\t") for line in status.read_text().splitlines())
        finally:
            process.kill()
    only_low_ports = f"{1 << 10:016x}"
    assert (rights["CapEff"], rights["CapBnd"], rights["NoNewPrivs"]) == (only_low_ports, only_low_ports, "1")


def test_the_end_of_a_network_is_the_end_of_its_slirp(connected: Stage) -> None:
    with connected.supervisor("", network="private") as process:
        _, complaints = process.communicate(timeout=60)
    assert not complaints
    assert not processes_with(f"\0{process.pid}\0tap0")


def test_a_network_that_cannot_be_connected_is_an_error_that_says_why(stage: Stage) -> None:
    fake = stage.place / "slirp"
    fake.write_text("#!/bin/sh\necho the tunnel is closed >&2\nexit 1\n")
    fake.chmod(0o755)
    with stage.supervisor("", network="private", slirp=str(fake)) as process:
        _, complaints = process.communicate(timeout=60)
    assert complaints.splitlines()[-1].endswith("slirp4netns gives no network (the tunnel is closed)")
