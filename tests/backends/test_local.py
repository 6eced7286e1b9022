"""The local backend: the contract with walls and without, and what only it has: supervisors, journals, a sandbox."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from bot.backends import orders
from bot.backends.base import Backend, BackendError, BackendUnavailable, Capacity, Machine, to_json
from bot.backends.local import LocalBackend
from bot.backends.orders import Order
from bot.backends.powers import Powers
from bot.backends.processes import Process
from bot.clock import SystemClock
from bot.core.states import State
from tests.backends.contract import CHILDREN_THAT_WILL_NOT_GO, BackendContract
from tests.backends.lab import Lab, commit, eventually, powers, processes_with

pytestmark = [pytest.mark.service, pytest.mark.slow]

CAPACITY = Capacity(cpus=2, memory_mb=4096, gpus=0)
GRACE = 0.6


def local(data_dir: Path, *, is_isolated: bool, log_limit: int = 1 << 30, owner: Process | None = None) -> Backend:
    return LocalBackend(
        data_dir,
        CAPACITY,
        SystemClock(),
        not is_isolated,
        grace=GRACE,
        log_limit=log_limit,
        bwrap="bwrap" if is_isolated else "/nonexistent/bwrap",
        powers=powers() if is_isolated else Powers(),
        owner=owner,
    )


def isolated(data_dir: Path) -> Backend:
    try:
        return local(data_dir, is_isolated=True)
    except BackendUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("local")


@pytest.fixture
def walled(tmp_path: Path) -> Iterator[Lab]:
    """A laboratory with walls, where this machine can build them."""
    data_dir = tmp_path / "data"
    isolated(data_dir)
    lab = Lab(data_dir, lambda: local(data_dir, is_isolated=True), commit(tmp_path / "code"))
    yield lab
    lab.close()


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Lab]:
    """A laboratory without walls."""
    data_dir = tmp_path / "data"
    lab = Lab(data_dir, lambda: local(data_dir, is_isolated=False), commit(tmp_path / "code"))
    yield lab
    lab.close()


class TestContractWithWalls(BackendContract):
    @pytest.fixture
    def lab(self, walled: Lab) -> Lab:
        return walled


class TestContractWithoutWalls(BackendContract):
    @pytest.fixture
    def lab(self, bare: Lab) -> Lab:
        return bare


@pytest.fixture(params=["walled", "bare"])
def lab(request: pytest.FixtureRequest) -> Lab:
    """Both laboratories, for what has to do with supervisors."""
    found: Lab = request.getfixturevalue(request.param)
    return found


# Supervisors


def supervisor_of(lab: Lab, attempt_id: str) -> Process:
    with journal(lab, attempt_id).open() as file:
        return Process.from_json(json.loads(file.readline())["supervisor"])


def journal(lab: Lab, attempt_id: str) -> Path:
    public_id, attempt = attempt_id.rsplit("-", 1)
    return lab.data_dir / "runs" / public_id / attempt / "journal"


def test_a_killed_supervisor_is_an_error_and_leaves_nobody(lab: Lab) -> None:
    attempt_id = lab.submit(CHILDREN_THAT_WILL_NOT_GO.format(word="7101"))
    lab.wait_for_line(attempt_id, "ready")
    assert supervisor_of(lab, attempt_id).send(signal.SIGKILL)
    report = lab.end_of(attempt_id)
    assert report.seen[-1].state is State.ERROR
    assert report.seen[-1].reason == "its supervisor died; all its processes were ended"
    assert report.seen[-1].may_retry
    assert processes_with("7101") == []
    assert lab.make().poll([attempt_id]) == {attempt_id: report}
    assert not (Path(journal(lab, attempt_id)).parents[1] / "workspace").exists()


def test_with_walls_nobody_outlives_the_supervisor_even_unseen(walled: Lab) -> None:
    attempt_id = walled.submit(CHILDREN_THAT_WILL_NOT_GO.format(word="7102"))
    walled.wait_for_line(attempt_id, "ready")
    assert supervisor_of(walled, attempt_id).send(signal.SIGKILL)
    eventually(lambda: processes_with("7102") == [])  # and no poll has looked


def test_a_supervisor_that_is_told_to_end_takes_its_run_along(lab: Lab) -> None:
    attempt_id = lab.submit("echo on; sleep 7103")
    lab.wait_for_line(attempt_id, "on")
    assert supervisor_of(lab, attempt_id).send(signal.SIGTERM)
    report = lab.end_of(attempt_id)
    assert report.seen[-1].state is State.ERROR
    assert "SIGTERM" in report.seen[-1].reason
    assert report.seen[-1].may_retry
    assert processes_with("7103") == []


@pytest.mark.parametrize("is_isolated", [True, False])
def test_what_has_an_owner_ends_with_it_however_that_ends(tmp_path: Path, is_isolated: bool) -> None:
    if is_isolated:
        isolated(tmp_path / "data")
    with subprocess.Popen(["sleep", "7104"]) as somebody:
        owner = Process.of(somebody.pid)
        make = partial(local, tmp_path / "data", is_isolated=is_isolated, owner=owner)
        lab = Lab(tmp_path / "data", make, commit(tmp_path / "code"))
        attempt_id = lab.submit(CHILDREN_THAT_WILL_NOT_GO.format(word="7105"))
        lab.wait_for_line(attempt_id, "ready")
        somebody.kill()
    report = lab.end_of(attempt_id)
    assert (report.seen[-1].state, report.seen[-1].reason) == (State.CANCELLED, "whoever started it is gone")
    assert processes_with("7105") == []
    lab.close()


def test_a_supervisor_is_nobodys_child_and_knows_nothing_of_the_bot(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_WEBHOOK_SECRET", "the bot's secret")
    attempt_id = lab.submit("echo on; sleep 30")
    lab.wait_for_line(attempt_id, "on")
    pid = supervisor_of(lab, attempt_id).pid
    assert b"secret" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert os.getsid(pid) not in (os.getsid(0), os.getpid())
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        assert "sqlite" not in str(descriptor.readlink())


def test_an_order_without_a_supervisor_is_unknown_until_it_is_submitted_again(lab: Lab) -> None:
    """The bot died between the two."""
    spec = lab.spec("echo ran")
    lab.submitted.append(spec.id)
    order = give_order(lab, spec.run_dir, to_json(spec))
    assert not lab.report(spec.id).known
    lab.backend.submit(replace(spec, timeout=1.0))
    assert lab.end_of(spec.id).seen[-1].state is State.STOPPED
    assert Order.read(Path(spec.run_dir)) == order, "the first order stands"


def test_a_cancel_before_the_supervisor_holds_when_it_comes(lab: Lab) -> None:
    spec = lab.spec("echo ran > $STORAGE_DIR/ran")
    give_order(lab, spec.run_dir, to_json(spec))
    lab.backend.cancel(spec.id, "not at all")
    lab.backend.submit(spec)
    report = lab.end_of(spec.id)
    assert [(o.state, o.reason) for o in report.seen] == [
        (State.PROVISIONING, ""),
        (State.CANCELLED, "not at all"),
    ]
    assert not (Path(spec.storage_dir) / "ran").exists()


def give_order(lab: Lab, run_dir: str, attempt: dict[str, object]) -> Order:
    Path(run_dir).mkdir(parents=True)
    example = lab.spec("true")
    lab.backend.submit(example)
    lab.end_of(example.id)
    order = replace(Order.read(Path(example.run_dir)), attempt=attempt)
    order.write(Path(run_dir))
    return order


def test_a_second_supervisor_ends_at_once(lab: Lab) -> None:
    attempt_id = lab.submit("echo on; sleep 30")
    lab.wait_for_line(attempt_id, "on")
    run_dir = journal(lab, attempt_id).parent
    command = [sys.executable, "-m", "bot.backends.supervisor", str(run_dir)]
    before = journal(lab, attempt_id).read_bytes()
    assert subprocess.run(command, check=False, timeout=20).returncode == 0
    assert journal(lab, attempt_id).read_bytes() == before


def test_a_supervisor_that_cannot_start_is_the_callers_error(lab: Lab) -> None:
    spec = lab.spec("true")
    Path(spec.run_dir).mkdir(parents=True)
    (Path(spec.run_dir) / orders.ORDER).write_text('{"order": 99}')
    with pytest.raises(BackendError, match="format that this version does not know"):
        lab.backend.submit(spec)
    assert not lab.report(spec.id).known


# Journals


def test_a_reused_pid_is_never_signalled(lab: Lab) -> None:
    """The journal names a pid which belongs to somebody else by now."""
    attempt_id = lab.submit("echo on; sleep 7105")
    lab.wait_for_line(attempt_id, "on")
    assert supervisor_of(lab, attempt_id).send(signal.SIGKILL)
    with subprocess.Popen(["sleep", "60"]) as innocent:
        rename_processes(journal(lab, attempt_id), innocent.pid)
        lab.backend = lab.make()
        lab.backend.cancel(attempt_id, "enough")
        assert lab.end_of(attempt_id).seen[-1].state is State.ERROR
        time.sleep(0.05)
        assert innocent.poll() is None
        innocent.kill()
    eventually(lambda: processes_with("7105") == [])


def rename_processes(path: Path, pid: int) -> None:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for process in [lines[0]["supervisor"], *(p for line in lines for p in line.get("processes", ()))]:
        process["pid"] = pid
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_torn_last_line_was_never_said(lab: Lab) -> None:
    attempt_id = lab.submit("echo on; sleep 7106")
    lab.wait_for_line(attempt_id, "on")
    assert supervisor_of(lab, attempt_id).send(signal.SIGKILL)
    with journal(lab, attempt_id).open("a") as file:
        file.write('{"state": "stopped", "at": 17')
    lab.backend = lab.make()
    report = lab.end_of(attempt_id)
    assert [o.state for o in report.seen][-2:] == [State.RUNNING, State.ERROR]
    assert b"17{" not in journal(lab, attempt_id).read_bytes()


def test_a_journal_of_a_newer_format_is_refused_with_a_sentence(bare: Lab) -> None:
    report = bare.run("true")
    path = journal(bare, report.id)
    path.write_text(path.read_text().replace('"journal":2', '"journal":3'))
    (seen,) = bare.make().poll([report.id])[report.id].seen
    assert seen.state is State.ERROR
    assert "format 3, this version knows 2" in seen.reason
    assert not seen.may_retry, "it may still be running"


def test_unknown_words_of_the_same_format_are_passed_over(bare: Lab) -> None:
    report = bare.run("exit 3")
    path = journal(bare, report.id)
    path.write_text(path.read_text().replace('"state":"running"', '"mood":"good","state":"running"') + '{"later": 1}\n')
    assert bare.make().poll([report.id]) == {report.id: report}


def test_a_restart_of_the_machine_is_noticed(bare: Lab) -> None:
    attempt_id = bare.submit("echo on; sleep 7107")
    bare.wait_for_line(attempt_id, "on")
    supervisor = supervisor_of(bare, attempt_id)
    supervisor.send(signal.SIGKILL)
    eventually(lambda: not supervisor.is_alive())
    path = journal(bare, attempt_id)
    path.write_text(path.read_text().replace(supervisor.boot, "another-boot"))
    bare.backend = bare.make()
    report = bare.end_of(attempt_id)
    assert report.seen[-1].reason.startswith("its supervisor died when the machine was restarted")


# Logs and artifacts


def test_a_log_keeps_its_beginning_and_its_end(bare: Lab) -> None:
    bare.backend = local(bare.data_dir, is_isolated=False, log_limit=40_000)
    attempt_id = bare.submit("echo first; head -c 1000000 /dev/zero | tr '\\0' x; echo; echo Traceback")
    bare.end_of(attempt_id)
    log = bare.log(attempt_id)
    assert log.startswith("first\nxxx")
    assert log.endswith("x\nTraceback\n")
    assert "bytes of output were left out here" in log
    assert len(log) < 41_000


def test_a_link_that_takes_a_files_place_is_not_followed(bare: Lab) -> None:
    attempt_id = bare.submit("echo mine > $ARTIFACTS_DIR/report.md; echo on; sleep 30")
    bare.wait_for_line(attempt_id, "on")
    (found,) = bare.backend.artifacts(attempt_id)
    path = journal(bare, attempt_id).with_name("artifacts") / found.path
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(FileNotFoundError):
        bare.backend.open_artifact(attempt_id, found.path)


# Walls


def test_without_bubblewrap_the_backend_refuses_and_says_the_cure(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable, match=r"apt-get install bubblewrap.*ALLOW_UNISOLATED_TRUSTED_CODE"):
        LocalBackend(tmp_path, CAPACITY, SystemClock(), bwrap="/nonexistent/bwrap")


def test_a_bubblewrap_that_does_not_work_counts_as_none(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable, match="does not work here"):
        LocalBackend(tmp_path, CAPACITY, SystemClock(), bwrap="false")


def test_what_is_missing_is_told_with_the_capabilities(tmp_path: Path) -> None:
    bare = local(tmp_path / "bare", is_isolated=False).capabilities
    assert (bare.is_isolated, bare.capacity) == (False, CAPACITY)
    assert bare.isolation.startswith("none: bubblewrap is missing")
    walled = isolated(tmp_path / "walled").capabilities
    assert walled.is_isolated
    assert walled.isolation.startswith("bubblewrap, as uid ")


def test_without_walls_the_documented_paths_are_translated(bare: Lab) -> None:
    env = {"PS_MODEL_PATH": "/artifacts/model", "PS_JOBSPACE": "/storage", "OTHER": "/artifactsfoo"}
    shown = bare.prints("mkdir $PS_MODEL_PATH && touch $PS_MODEL_PATH/m && cd $PS_JOBSPACE && echo $OTHER", env=env)
    assert shown == "/artifactsfoo\n"
    assert [a.path for a in bare.backend.artifacts(bare.submitted[-1])] == ["model/m"]


def test_the_documented_directories_are_there(walled: Lab) -> None:
    assert walled.prints(
        "pwd; touch /artifacts/a /storage/s /workspace/w /tmp/t $HOME/h /dev/shm/d; ls /workspace"
    ) == ("/workspace\nsub\ntrain.py\nw\n")
    assert walled.prints("ls /storage /tmp $HOME") == "/home/experiment:\n\n/storage:\ns\n\n/tmp:\n"


@pytest.mark.parametrize(
    "path", ["/results", "/artifacts/deep", "results", "./out/put", "/workspace/sub/out", "/root/x"]
)
def test_artifacts_may_lie_elsewhere(walled: Lab, path: str) -> None:
    walled.prints("echo 1 > $ARTIFACTS_DIR/one; echo 22 > /artifacts/two", artifacts=path)
    found = {a.path: a.size for a in walled.backend.artifacts(walled.submitted[-1])}
    assert (found["one"], found["two"]) == (2, 3)


@pytest.mark.parametrize("path", ["/", "/usr/lib/x", "/etc", "/storage/x", "..", "/workspace", "../x", "/proc/1"])
def test_artifacts_may_not_lie_in_the_system(walled: Lab, path: str) -> None:
    report = walled.run("true", artifacts=path)
    assert (report.seen[-1].state, "artifacts cannot lie" in report.seen[-1].reason) == (State.FAILED, True)


def test_artifacts_are_not_mounted_through_a_link_of_the_repository(walled: Lab, tmp_path: Path) -> None:
    code = commit(tmp_path / "linked", {"a": "1"}, {"out": "/etc"})
    report = walled.run("true", artifacts="out/put", code=code)
    assert (report.seen[-1].state, "something else there" in report.seen[-1].reason) == (State.FAILED, True)


def test_a_run_sees_nothing_of_this_machine(walled: Lab) -> None:
    secret = walled.data_dir / "secret"
    secret.write_text("the bot's")
    shown = walled.prints(
        f"cat {secret} /etc/shadow /root/.bashrc 2>/dev/null; ls {walled.data_dir} 2>/dev/null;"
        "cat /etc/passwd; ls /proc | grep -c '^[0-9]'; touch /usr/x /etc/x /x 2>/dev/null && echo written;"
        " grep -E 'Cap(Eff|Bnd|Amb)|NoNewPrivs' /proc/self/status"
    )
    lines = shown.splitlines()
    assert lines[0].startswith("experiment:x:")
    assert int(lines[1]) < 9
    assert "written" not in lines
    assert {line.split()[1] for line in lines if line.startswith(("CapEff", "CapAmb"))} == {"0" * 16}
    assert "NoNewPrivs:\t1" in lines


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives runs another uid")
def test_under_root_a_run_is_nobody_and_owns_its_directories_only(walled: Lab) -> None:
    shown = walled.prints("id -u; id -g; id -G; stat -c %u /workspace/train.py /artifacts /storage; touch /artifacts/a")
    assert shown.splitlines() == ["65534"] * 6
    run_dir = journal(walled, walled.submitted[-1]).parent
    assert {(run_dir / name).stat().st_uid for name in ("order.json", "journal", "worker-0/log")} == {0}
    assert (run_dir / "artifacts/a").stat().st_uid == 65534
    assert walled.prints("grep CapBnd /proc/self/status | cut -f2") == "0" * 16 + "\n"


def test_what_a_run_chooses_does_not_touch_what_builds_the_walls(walled: Lab) -> None:
    """Under root, setpriv runs inside the walls as root before it gives that up: no variable may be there yet."""
    env = {"LD_PRELOAD": "/workspace/evil.so", "PATH": "/workspace", "IFS": "/"}
    report = walled.run("/usr/bin/id -u", env=env)
    said = walled.log(report.id)
    assert "setpriv" not in said
    assert report.tasks[0].exit_code == 0


def test_an_environment_is_read_only_and_first_on_path(walled: Lab, tmp_path: Path) -> None:
    environment = tmp_path / "envs" / "torch"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    (environment / "bin" / "tool").write_text("#!/bin/sh\necho the tool\n")
    (environment / "bin" / "tool").chmod(0o755)
    machine = Machine("torch", 1, 1024, environment=str(environment))
    shown = walled.prints(
        "tool; python -c 'import sys; print(sys.prefix, sys.version_info[:2])'; touch $VIRTUAL_ENV/x || true",
        machine=machine,
    )
    lines = shown.splitlines()
    assert lines[:2] == ["the tool", f"{environment} {tuple(sys.version_info[:2])}"]
    assert not (environment / "x").exists()
    assert walled.prints("command -v python3") == "/usr/bin/python3\n"
