"""Escapes: what a hostile run tries against the machine, the bot and other runs. None succeeds, and nobody suffers.

Every play runs beside a bystander: another repository's run, with a secret in its environment and in its storage. After
each escape the backend answers at once, the bystander runs on, and the state is the right one. Bombs are small ones,
and so are the limits; no bomb could hurt this machine even if nothing held it.
"""

import os
import re
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bot.backends.base import BackendUnavailable, Capacity, Machine
from bot.backends.journal import Story
from bot.backends.local import LocalBackend
from bot.clock import SystemClock
from bot.core.states import State
from tests.backends.lab import Lab, commit, processes_with

pytestmark = [pytest.mark.service, pytest.mark.slow]

SECRET = "tHe-bOtS-oWn-kEy-4711"
LOG_LIMIT = 1 << 20
PYTHON = "/usr/bin/python3"
SMALL = Machine("small", cpus=1, memory_mb=256, processes=100, disk_mb=64)
SLEEP = "600.4711"

PROGRAMS = {
    "memory.py": "import time\nx = [bytearray(16 << 20) for _ in range(40)]\nprint('ESCAPED')\ntime.sleep(30)\n",
    "forks.py": """
import os, time
for _ in range(400):
    try:
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
    except OSError:
        time.sleep(0.05)
print("ESCAPED")
""",
    "threads.py": """
import threading, time
for _ in range(400):
    try:
        threading.Thread(target=time.sleep, args=[30], daemon=True).start()
    except RuntimeError:
        time.sleep(0.05)
print("ESCAPED")
""",
    "deep.py": """
import os
for _ in range(1500):
    os.mkdir("d")
    os.chdir("d")
open("bottom", "w").close()
""",
    "ptrace.py": """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
ATTACH = 16
for pid in map(int, sys.argv[1:]):
    if libc.ptrace(ATTACH, pid, None, None) == 0:
        print("ESCAPED", pid)
    print(os.strerror(ctypes.get_errno()))
""",
    "connect.py": """
import socket, sys
for address in sys.argv[1:]:
    host, _, port = address.rpartition(":")
    family = socket.AF_INET if port.isdigit() else socket.AF_UNIX
    with socket.socket(family) as connection:
        connection.settimeout(3)
        try:
            connection.connect((host, int(port)) if port.isdigit() else "\\0" + address)
            print("ESCAPED", address)
        except OSError as error:
            print("refused")
""",
    "kernel.py": """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
CALLS = {
    "reboot": (169, 0xFEE1DEAD, 672274793, 0x1234567, 0), "init_module": (175, 0, 0, 0), "settimeofday": (164, 0, 0),
    "swapoff": (168, b"/dev/vda"), "chroot": (161, b"/tmp"), "pivot_root": (155, b"/", b"/tmp"), "iopl": (172, 3),
    "setuid": (105, 0), "setgroups": (116, 1, b"0000"), "open_by_handle_at": (304, -100, 0, 0),
}
for name, (number, *arguments) in CALLS.items():
    if libc.syscall(number, *arguments) == 0:
        print("ESCAPED", name)
print("tried")
""",
}


@dataclass
class Prison:
    """A laboratory with walls, and the bystander."""

    lab: Lab
    bystander: str

    @property
    def data(self) -> Path:
        return self.lab.data_dir

    @property
    def host_pids(self) -> list[int]:
        """Processes that no run may see: these tests, the bystander's, its supervisor."""
        story = Story()
        story.read(self.data / "runs" / self.bystander.replace("-", "/") / "journal")
        assert story.supervisor is not None
        return [os.getpid(), story.supervisor.pid, *processes_with(SLEEP)]

    def tries(self, command: str, state: State = State.STOPPED, reason: str = "", **changes: Any) -> str:
        """Run what should not succeed; return what it printed."""
        attempt_id = self.lab.submit(command, **{"env": {}, **changes})
        report = self.lab.end_of(attempt_id)
        log = self.lab.log(attempt_id)
        assert (report.seen[-1].state, log.count("ESCAPED")) == (state, 0), (report.seen[-1], log[-2000:])
        assert reason in report.seen[-1].reason
        assert SECRET not in log
        self.check()
        return log

    def check(self) -> None:
        """The bot is well, and so is the bystander."""
        began = time.monotonic()
        reports = self.lab.backend.poll(self.lab.submitted)
        assert self.lab.log(self.bystander) == "on\n"
        assert time.monotonic() - began < 3
        assert all(report.known for report in reports.values())
        assert reports[self.bystander].seen[-1].state is State.RUNNING
        assert (self.data / "key.pem").read_text() == SECRET
        assert (self.data / "storage/8/model").read_text() == SECRET


@pytest.fixture(scope="module")
def prison(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prison]:
    root = tmp_path_factory.mktemp("prison")
    data = root / "data"

    def make() -> LocalBackend:
        return LocalBackend(data, Capacity(2, 4096, 0), SystemClock(), grace=0.6, log_limit=LOG_LIMIT)

    try:
        lab = Lab(data, make, commit(root / "code", PROGRAMS), machine=SMALL)
    except BackendUnavailable as error:
        pytest.skip(str(error))
    (data / "storage/8").mkdir()
    for path in ("key.pem", "bot.db", "storage/8/model"):
        (data / path).write_text(SECRET)
        (data / path).chmod(0o600)
    bystander = lab.submit(
        f"echo on; sleep {SLEEP}", env={"TOKEN": SECRET}, storage_dir=str(data / "storage/8"), timeout=600.0
    )
    lab.wait_for_line(bystander, "on")
    yield Prison(lab, bystander)
    lab.close()
    subprocess.run(["chmod", "-R", "u+rwX", root], check=False)
    subprocess.run(["rm", "-rf", root], check=True)  # deeper than Python's own means reach


# What there is to see


def test_files_of_the_machine(prison: Prison) -> None:
    paths = "/etc/shadow /root /var /boot /srv /opt /mnt /run/secrets /proc/1/root/etc/shadow /proc/1/cwd/etc/shadow"
    assert prison.tries(f'for p in {paths}; do [ -e "$p" ] && echo "ESCAPED $p"; done; ls /home') == "experiment\n"


def test_the_bots_key_and_database(prison: Prison) -> None:
    paths = [f"{prefix}{prison.data}/{name}" for prefix in ("", "/proc/1/root") for name in ("", "key.pem", "bot.db")]
    found = prison.tries(
        f'for p in {" ".join(paths)}; do [ -e "$p" ] && echo "ESCAPED $p"; done;'
        " find / -xdev -path /usr -prune -o \\( -name key.pem -o -name bot.db \\) -print 2>/dev/null; echo looked"
    )
    assert found == "looked\n"


def test_other_runs_and_what_supervisors_are_told(prison: Prison) -> None:
    names = " -o ".join(f"-name {name}" for name in ("order.json", "journal", "supervisor.log", "cancel.json"))
    found = prison.tries(
        f"ls {prison.data}/runs /workspace/.. /artifacts/.. 2>/dev/null | grep -q order && echo ESCAPED;"
        f" find / \\( -path /usr -o -path /proc -o -path /sys \\) -prune -o \\( {names} \\) -print 2>/dev/null;"
        " echo looked"
    )
    assert found == "looked\n"


def test_the_storage_of_another_project(prison: Prison) -> None:
    paths = f"/storage/../8/model /storage/8 {prison.data}/storage/8/model /proc/1/root/storage/../8/model"
    log = prison.tries(f"ln -s ../8/model /storage/link; cat {paths} /storage/link 2>&1; rm /storage/link; true")
    assert len(re.findall("No such file or directory|Permission denied", log)) == 5


def test_environments_of_other_processes(prison: Prison) -> None:
    log = prison.tries("cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c ^TOKEN=; true")
    assert log == "0\n"


def test_processes_of_the_machine(prison: Prison) -> None:
    pids = " ".join(map(str, prison.host_pids))
    log = prison.tries(f"for p in {pids}; do [ -d /proc/$p ] && echo ESCAPED; done; ls -d /proc/[0-9]* | wc -l")
    assert int(log) < 12


def test_what_is_still_open(prison: Prison) -> None:
    """No lock, journal or pipe of the supervisor is inherited: with bwrap's an exit code could be forged."""
    log = prison.tries("for f in /proc/$$/fd/*; do readlink $f; done; for f in /proc/$PPID/fd/*; do readlink $f; done")
    assert {re.sub(r"\d+", "N", line) for line in log.splitlines()} <= {"/dev/null", "pipe:[N]"}
    assert len(set(log.splitlines())) == 2


def test_devices(prison: Prison) -> None:
    log = prison.tries(
        "for d in mem kmem port kmsg vda sda nvme0n1 fuse kvm loop-control; do [ -e /dev/$d ] && echo ESCAPED $d; done;"
        " mknod /tmp/mem c 1 1 && echo ESCAPED; mknod /tmp/disk b 254 0 && echo ESCAPED; echo tried"
    )
    assert log.splitlines()[-1] == "tried"


def test_sockets_of_services(prison: Prison) -> None:
    log = prison.tries(
        "ls /run /var/run /tmp 2>&1; find / -xdev -type s -not -path '/generated/*' 2>/dev/null; echo looked"
    )
    assert "docker" not in log
    assert ".sock" not in log
    assert log.splitlines()[-1] == "looked"


# What there is to reach


def test_the_network_from_code_that_is_not_trusted(prison: Prison) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        addresses = (
            f"127.0.0.1:{server.getsockname()[1]} 10.0.2.2:{server.getsockname()[1]} 169.254.169.254:80 1.1.1.1:53"
        )
        log = prison.tries(f"{PYTHON} connect.py {addresses}", is_trusted=False)
    assert log == "refused\n" * 4


def test_abstract_sockets_of_the_machine(prison: Prison) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0experiment-{os.getpid()}")
        server.listen()
        assert prison.tries(f"{PYTHON} connect.py experiment-{os.getpid()}", is_trusted=False) == "refused\n"


def test_signals_to_everybody(prison: Prison) -> None:
    pids = " ".join(map(str, prison.host_pids))
    log = prison.tries(f"for p in {pids}; do kill -9 $p 2>&1; done; kill -9 -1", State.FAILED, "killed by signal 9")
    assert log.count("No such process") == len(prison.host_pids)


def test_tracing_of_others(prison: Prison) -> None:
    """The first process of a sandbox belongs to bubblewrap; a user's is a user's process, and knows nothing more."""
    pids = [*prison.host_pids, *([1] if os.getuid() == 0 else [])]
    log = prison.tries(f"{PYTHON} ptrace.py {' '.join(map(str, pids))}")
    assert log.count("No such process") == len(prison.host_pids)
    assert len(log.splitlines()) == len(pids)


def test_a_first_process_that_is_stopped(prison: Prison) -> None:
    """A run whose sandbox cannot end by itself ends with its time."""
    stop = f"{PYTHON} ptrace.py 1 | sed s/ESCAPED/traced/; kill -STOP 1; sleep 30"
    prison.tries(stop, State.FAILED, "timed out after 1s", timeout=1.0)


# What there is to become


def test_more_rights(prison: Prison) -> None:
    log = prison.tries(
        "grep -E '^(Cap(Eff|Prm|Inh|Amb)|NoNewPrivs)' /proc/self/status; su -c id 2>&1; sudo id 2>&1; true"
    )
    assert re.findall(r"Cap\w+:\s+(\w+)", log) == ["0" * 16] * 4
    assert "NoNewPrivs:\t1" in log
    assert "uid=0" not in log


def test_calls_that_only_root_may_make(prison: Prison) -> None:
    assert prison.tries(f"{PYTHON} kernel.py") == "tried\n"


def test_a_user_namespace_of_its_own(prison: Prison) -> None:
    """Should the kernel give one, it leads nowhere: what is read-only stays so, what is not there stays away."""
    inside = (
        "cat /etc/shadow; touch /usr/x && echo ESCAPED; mount -o remount,rw,bind /usr && touch /usr/x && echo ESCAPED;"
        " umount -l /usr && ls -d /usr/bin; mknod /tmp/m c 1 1 && echo ESCAPED; chroot /proc/1/root cat /etc/shadow"
    )
    log = prison.tries(f"unshare --user --map-root-user --mount sh -c '{inside}' 2>&1; echo tried")
    assert log.splitlines()[-1] == "tried"


def test_a_control_group_of_its_own_does_not_raise_its_limits(prison: Prison) -> None:
    raise_it = (
        "mkdir /tmp/c; mount -t cgroup2 c /tmp/c || mount -t cgroup -o memory c /tmp/c;"
        " for f in memory.max memory.limit_in_bytes; do echo 99999999999 >/tmp/c/$f; done; echo $$ >/tmp/c/cgroup.procs"
    )
    prison.tries(
        f"unshare --user --map-root-user --mount --cgroup sh -c '{raise_it}; exec {PYTHON} memory.py' 2>/dev/null"
        f" || exec {PYTHON} memory.py",
        State.FAILED,
        "the 256 MB of `small`",
    )


def test_setuid_bits_left_in_the_storage(prison: Prison) -> None:
    prison.tries("cp /usr/bin/id /storage/id && chmod 6755 /storage/id")
    left = prison.data / "storage/7/id"
    assert left.stat().st_uid != 0 or os.getuid() == 0
    assert stat.S_IMODE((prison.data / "storage").stat().st_mode) == 0o700
    log = prison.tries("/storage/id -u; id -u; /storage/id -g; id -g; rm /storage/id")
    real, again, *groups = log.split()
    assert real == again
    assert groups[0] == groups[1]


def test_raising_its_own_limits(prison: Prison) -> None:
    log = prison.tries(
        "for l in c f; do ulimit -$l; ulimit -$l unlimited 2>/dev/null && echo ESCAPED; done; echo tried"
    )
    assert log == f"0\n{(64 << 20) // 512}\ntried\n"


# What there is to break


def test_the_system_itself(prison: Prison) -> None:
    places = "/usr/bin/python3 /usr/lib/x /etc/passwd /etc/ld.so.cache /bin/sh /x /dev/null/x /sys/x /proc/sys/kernel/x"
    log = prison.tries(
        f"for p in {places}; do (: >> $p) 2>/dev/null && echo ESCAPED $p; done;"
        " rm -rf /usr/bin/python3 /etc 2>&1; mv /usr /tmp/usr 2>&1; echo tried"
    )
    assert log.splitlines()[-1] == "tried"
    assert "Read-only file system" in log


def test_what_the_kernel_can_be_told(prison: Prison) -> None:
    files = "/proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/sys/vm/drop_caches /proc/sys/kernel/hostname"
    log = prison.tries(f"for f in {files}; do (echo x > $f) 2>/dev/null && echo ESCAPED $f; done; echo tried")
    assert log == "tried\n"


def test_a_fork_bomb(prison: Prison) -> None:
    prison.tries(f"{PYTHON} forks.py; sleep 30", State.FAILED, "more than the 100 processes and threads of `small`")


def test_a_bomb_of_threads(prison: Prison) -> None:
    prison.tries(f"{PYTHON} threads.py; sleep 30", State.FAILED, "more than the 100 processes and threads of `small`")


def test_a_memory_bomb(prison: Prison) -> None:
    prison.tries(f"{PYTHON} memory.py", State.FAILED, "more than the 256 MB of `small`")


def test_a_memory_bomb_of_files(prison: Prison) -> None:
    fill = "head -c 600000000 /dev/zero >/dev/shm/file && echo ESCAPED; sleep 30"
    machine = replace(SMALL, disk_mb=1_000)
    prison.tries(fill, State.FAILED, "more than the 256 MB of `small`", machine=machine)


@pytest.mark.parametrize("places", ["/tmp ~ /workspace /artifacts", "/storage /cache", "/generated /cache"])
def test_a_disk_bomb(prison: Prison, places: str) -> None:
    bomb = f"for d in {places}; do head -c 40000000 /dev/zero >$d/bomb; done; sleep 30"
    cache = prison.data / "cache/bomb"
    prison.tries(bomb, State.FAILED, "MB written, more than the 64 MB of `small`", cache_dir=str(cache))
    (prison.data / "storage/7/bomb").unlink(missing_ok=True)


def test_a_flood_of_output(prison: Prison) -> None:
    attempt_id = prison.lab.run("yes 'much ado' | head -c 60000000; echo; echo the end").id
    log = prison.lab.log(attempt_id)
    assert len(log) < LOG_LIMIT + 200
    assert "bytes of output were left out here" in log
    assert log.endswith("the end\n")
    prison.check()


def test_survivors_in_sessions_of_their_own(prison: Prison) -> None:
    hidden = 'trap "" TERM INT HUP; sleep 47.1147'
    prison.tries(f"setsid sh -c '{hidden}' >/dev/null 2>&1 & (setsid sh -c '({hidden}) &' &) ; sleep 0.3; echo gone")
    assert processes_with("47.1147") == []


# What there is to leave behind


def test_artifacts_that_are_none(prison: Prison) -> None:
    """Links out, hard links, pipes, sockets, devices, names that are none: nothing but regular files is offered."""
    data = prison.data
    long = "n" * 255
    before = set(prison.lab.submitted)
    prison.tries(
        f"cd /artifacts; ln -s {data}/key.pem key; ln -s {data} data; ln -s /proc/self/environ e; mkfifo pipe;"
        f" ln /etc/passwd hard 2>/dev/null && echo ESCAPED; ln /usr/bin/python3 python 2>/dev/null && echo ESCAPED;"
        f" {PYTHON} -c 'import socket; socket.socket(socket.AF_UNIX).bind(str(\"s\"))'; touch {long};"
        " mkdir -- ... '-rf' && touch -- '.../ok' './-rf/ok'; true"
    )
    (attempt_id,) = set(prison.lab.submitted) - before
    assert {a.path for a in prison.lab.backend.artifacts(attempt_id)} == {long, ".../ok", "-rf/ok"}
    for path in ("key", "data/key.pem", "e", "pipe", "s", "../journal", "../../../../key.pem"):
        with pytest.raises(FileNotFoundError):
            prison.lab.backend.open_artifact(attempt_id, path)


def test_a_link_that_is_put_in_place_of_a_directory(prison: Prison) -> None:
    swap = f"while :; do mv d e; ln -s {prison.data} d; rm d; mv e d; done"
    attempt_id = prison.lab.submit(f"cd /artifacts; mkdir d; touch d/key.pem; echo on; {swap}")
    prison.lab.wait_for_line(attempt_id, "on")
    give_up = time.monotonic() + 1
    while time.monotonic() < give_up:
        assert all(a.size == 0 for a in prison.lab.backend.artifacts(attempt_id))
        try:
            with prison.lab.backend.open_artifact(attempt_id, "d/key.pem") as file:
                assert file.read() == b""
        except FileNotFoundError:
            pass
    prison.lab.backend.cancel(attempt_id, "enough")
    prison.lab.end_of(attempt_id)
    prison.check()


def test_directories_without_end(prison: Prison) -> None:
    """Deeper than a path can be long, and than Python's own removal goes."""
    before = set(prison.lab.submitted)
    prison.tries(f"for d in /workspace /tmp /artifacts; do (cd $d && {PYTHON} /workspace/deep.py); done")
    (attempt_id,) = set(prison.lab.submitted) - before
    assert list(prison.lab.backend.artifacts(attempt_id)) == []
    assert not list(prison.data.glob(f"runs/{attempt_id.removesuffix('-1')}/1/workspace"))


def test_a_dead_supervisor_and_directories_without_end(prison: Prison) -> None:
    attempt_id = prison.lab.submit(f"{PYTHON} deep.py; echo on; sleep 30")
    prison.lab.wait_for_line(attempt_id, "on")
    story = Story()
    story.read(prison.data / "runs" / attempt_id.replace("-", "/") / "journal")
    assert story.supervisor is not None
    story.supervisor.send(signal.SIGKILL)
    report = prison.lab.end_of(attempt_id)
    assert report.seen[-1].state is State.ERROR
    assert "its supervisor died" in report.seen[-1].reason
    assert not list(prison.data.glob(f"runs/{attempt_id.removesuffix('-1')}/1/workspace"))
    prison.check()


def test_a_workspace_that_locks_its_cleaner_out_or_leads_it_elsewhere(prison: Prison) -> None:
    before = set(prison.lab.submitted)
    prison.tries(
        f"mkdir -p a/b; touch a/b/c; ln -s {prison.data}/storage/8 out; ln -s {prison.data}/key.pem a/key;"
        " chmod 0 a/b a; chmod 0 /workspace /tmp ~; true"
    )
    (attempt_id,) = set(prison.lab.submitted) - before
    run_dir = prison.data / "runs" / attempt_id.replace("-", "/")
    assert not (run_dir / "workspace").exists()
    assert not (run_dir / "scratch").exists()


def test_a_cache_that_is_shared(prison: Prison) -> None:
    """Runs that are not trusted have a cache of their own; from it no way leads to the other's, or the datasets'."""
    for name in ("trusted", "datasets"):
        (prison.data / "cache" / name).mkdir(exist_ok=True)
        (prison.data / "cache" / name / "wheel").write_text("good")
    paths = "/cache/../trusted/wheel /cache/../datasets/wheel /data/wheel /proc/1/root/cache/../trusted/wheel"
    prison.tries(
        f"ln -s ../trusted /cache/up; for p in {paths} /cache/up/wheel {prison.data}/cache/trusted/wheel; do"
        " (echo bad > $p) 2>/dev/null && echo ESCAPED $p; done; true",
        cache_dir=str(prison.data / "cache/untrusted"),
        is_trusted=False,
    )
    assert (prison.data / "cache/trusted/wheel").read_text() == "good"
    assert (prison.data / "cache/datasets/wheel").read_text() == "good"


def test_the_storage_of_the_default_branch(prison: Prison) -> None:
    (prison.data / "storage/7").mkdir(exist_ok=True)
    (prison.data / "storage/7/checkpoint").write_text("good")
    prison.tries(
        "cat /storage/checkpoint; (echo bad >/storage/checkpoint; rm -f /storage/*; touch /storage/new) 2>/dev/null; :",
        keeps_storage=False,
    )
    assert (prison.data / "storage/7/checkpoint").read_text() == "good"
    assert not (prison.data / "storage/7/new").exists()
