"""Images, with a real podman and a real docker: a tiny one of busybox, kept below the tests' own directory.

Where there is no podman, no runc or no static busybox, or the tests are not root, these are skipped and say so; so are
those of docker where its daemon is not installed or does not start.
"""

import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bot.backends.base import AttemptReport, AttemptSpec, BackendUnavailable, Capacity, Image, Machine, TaskGroup
from bot.backends.engine import Engine, find
from bot.backends.local import LocalBackend
from bot.backends.processes import Process
from bot.clock import SystemClock
from bot.core.states import State
from tests.backends.lab import Lab, commit, eventually, powers, processes_with

pytestmark = [pytest.mark.service, pytest.mark.slow]

TINY = Image("localhost/tiny")
APPLETS = ("sh", "cat", "sleep", "id", "ls", "touch", "hostname", "nc", "dd", "setsid", "grep", "echo")
FILES = {
    "train.py": "print('trained')\n",
    "sub/where.txt": "in sub\n",
    "Dockerfile": "FROM localhost/tiny\nRUN echo built by $(id -u) && echo from the commit > /made\n",
    "docker/broken": "FROM localhost/tiny\nRUN exit 3\n",
}


@pytest.fixture(scope="session")
def podman() -> Iterator[Path]:
    """A podman whose images and containers all lie below a directory of ours: nothing is left on the machine."""
    missing = [name for name in ("podman", "runc", "busybox") if shutil.which(name) is None]
    if missing or os.getuid() != 0:
        pytest.skip(f"containers need {', '.join(missing) or 'root'}: apt-get install podman runc busybox-static")
    # Not below pytest's own directory: podman takes no runroot of more than 50 characters.
    place = Path(tempfile.mkdtemp(prefix="podman-"))
    registries = place / "registries.conf"
    registries.write_text('[[registry]]\nlocation = "127.0.0.1"\ninsecure = true\n')
    program = place / "podman"
    where = f"--root {place}/root --runroot {place}/run --tmpdir {place}/tmp --storage-driver vfs"
    how = "--runtime runc --cgroup-manager cgroupfs --events-backend file"
    program.write_text(
        f'#!/bin/sh\nexport CONTAINERS_REGISTRIES_CONF={registries}\nexec {shutil.which("podman")} {where} {how} "$@"\n'
    )
    program.chmod(0o755)
    _make_image(program, place)
    yield program
    subprocess.run([program, "rm", "--all", "--force", "--time", "0"], check=False, capture_output=True)
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="session")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A docker with a daemon of its own, which is not the machine's."""
    missing = [name for name in ("docker", "dockerd", "busybox") if shutil.which(name) is None]
    if missing or os.getuid() != 0:
        pytest.skip(f"docker needs {', '.join(missing) or 'root'}: apt-get install docker.io busybox-static")
    place = tmp_path_factory.mktemp("docker")
    where = [f"--data-root={place}/root", f"--exec-root={place}/run", f"--pidfile={place}/pid", f"-H=unix://{place}/s"]
    how = ["--bridge=none", "--iptables=false", "--storage-driver=vfs", "--exec-opt=native.cgroupdriver=cgroupfs"]
    alone = ["unshare", "--mount"]  # what it leaves mounted goes with it
    program = place / "docker"
    program.write_text(f'#!/bin/sh\nexec {shutil.which("docker")} -H unix://{place}/s "$@"\n')
    program.chmod(0o755)
    with (
        (place / "log").open("wb") as log,
        subprocess.Popen([*alone, "dockerd", *where, *how], stdout=log, stderr=log) as daemon,
    ):
        try:
            eventually(lambda: daemon.poll() is not None or (place / "s").exists())
            _make_image(program, place)
            yield program
        finally:
            daemon.terminate()


def _make_image(program: Path, place: Path) -> None:
    files = place / "files"
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp", "usr", "home", "opt/tool"):
        (files / name).mkdir(parents=True)
    shutil.copy(str(shutil.which("busybox")), files / "bin/busybox")
    for applet in APPLETS:
        (files / "bin" / applet).symlink_to("busybox")
    (files / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nada:x:4242:4242::/:/bin/sh\n")
    (files / "opt/tool/train").write_text("#!/bin/sh\necho trained by the image\n")
    (files / "opt/tool/train").chmod(0o755)
    with tarfile.open(place / "files.tar", "w") as tar:
        tar.add(files, ".")
    changes = ("ENV PATH=/opt/tool:/bin", "ENV COLOUR=red", 'ENTRYPOINT ["/bin/false"]', "USER root")
    words = [word for change in changes for word in ("--change", change)]
    command = [program, "import", *words, place / "files.tar", "localhost/tiny"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"{program.name} makes no image here: {done.stderr[-300:]}")


@pytest.fixture(scope="session")
def engine(podman: Path) -> Engine:
    return engine_of(podman)


@pytest.fixture
def lab(tmp_path: Path, podman: Path) -> Iterator[Lab]:
    data_dir = tmp_path / "data"
    try:
        made = Lab(data_dir, lambda: local(data_dir, str(podman)), commit(tmp_path / "code", FILES))
    except BackendUnavailable as error:
        pytest.skip(str(error))
    yield made
    made.close()


def local(data_dir: Path, containers: str, network: str = "auto") -> LocalBackend:
    capacity = Capacity(cpus=2, memory_mb=4096, gpus=0)
    clock = SystemClock()
    return LocalBackend(data_dir, capacity, clock, grace=0.6, powers=powers(), containers=containers, network=network)


def spec_of(
    lab: Lab, command: str, image: Image = TINY, machine: Machine | None = None, **changes: object
) -> AttemptSpec:
    group = TaskGroup("worker", 1, command, machine or lab.machine, image=image)
    return lab.spec(command, groups=(group,), **changes)


def start(lab: Lab, spec: AttemptSpec, secrets: dict[str, str] | None = None) -> str:
    lab.submitted.append(spec.id)
    lab.backend.submit(spec, secrets)
    return spec.id


def run(lab: Lab, spec: AttemptSpec, secrets: dict[str, str] | None = None) -> AttemptReport:
    return lab.end_of(start(lab, spec, secrets))


def prints(lab: Lab, spec: AttemptSpec) -> str:
    report = run(lab, spec)
    log = lab.log(report.id)
    assert report.seen[-1].state is State.STOPPED, (report.seen[-1], log)
    return log


def reason_of(report: AttemptReport) -> str:
    return report.seen[-1].reason


def engine_of(program: Path) -> Engine:
    found = find(str(program))
    assert found is not None
    return found


def supervisor_of(lab: Lab, attempt_id: str) -> Process:
    journal = lab.data_dir / "runs" / attempt_id.removesuffix("-1") / "1" / "journal"
    return Process.from_json(json.loads(journal.read_text().splitlines()[0])["supervisor"])


def containers_of(engine: Engine) -> list[str]:
    return engine.call("ps", "--all", "--format", "{{.Names}}").split()


def test_a_command_runs_in_the_image_with_the_directories_and_the_network_of_every_run(
    lab: Lab, engine: Engine
) -> None:
    asks = [
        "train",
        "echo colour $COLOUR",
        "id -u",
        "hostname",
        "pwd",
        "cat train.py",
        "touch made /artifacts/kept /storage/shared /generated/seen /tmp/x $HOME/y && echo written",
        "touch /opt/z || echo read-only",
        "grep CapEff /proc/self/status",
        "grep NoNewPrivs /proc/self/status",
        "ls /sys/class/net",
        'nc -w 2 127.0.0.1 "${PAPERSPACE_METRIC_PUSHGATEWAY##*:}" </dev/null && echo reached',
    ]
    report = run(lab, spec_of(lab, "; ".join(asks)))
    lines = lab.log(report.id).splitlines()
    assert report.seen[-1].state is State.STOPPED, lines
    assert lines[:7] == [
        "trained by the image",  # by the image's own PATH
        "colour green",  # the config goes before the image
        "65534",
        "worker-0",
        "/workspace",
        "print('trained')",
        "written",
    ]
    assert "read-only" in lines
    assert "CapEff:\t0000000000000000" in lines
    assert "NoNewPrivs:\t1" in lines
    assert ("tap0" in lines) == powers().nat  # a network of the attempt's own …
    assert "reached" in lines  # … which is its sidecar's, too
    assert report.facts["image"]["name"] == "localhost/tiny"
    assert report.facts["image"]["digest"].startswith("sha256:")
    assert [artifact.path for artifact in lab.backend.artifacts(report.id)] == ["kept"]
    assert containers_of(engine) == []


def test_ends_are_told_as_behind_walls(lab: Lab, engine: Engine) -> None:
    report = run(lab, spec_of(lab, "echo so far; exit 7"))
    assert (report.seen[-1].state, reason_of(report)) == (State.FAILED, "exit code 7")
    assert report.tasks[0].exit_code == 7
    report = run(lab, spec_of(lab, "sleep 60", timeout=0.5))
    assert (report.seen[-1].state, reason_of(report)) == (State.FAILED, "timed out after 0.5s")
    assert containers_of(engine) == []


def test_what_needs_too_much_memory_is_ended_and_told(lab: Lab) -> None:
    machine = Machine("tiny", cpus=1, memory_mb=64)
    report = run(lab, spec_of(lab, "dd if=/dev/zero of=/dev/shm/much bs=1M count=200; sleep 5", machine=machine))
    assert report.seen[-1].state is State.FAILED
    assert "64 MB of `tiny`" in reason_of(report)


def test_a_cancelled_run_may_save_its_work_and_then_nobody_is_left(lab: Lab, engine: Engine) -> None:
    stubborn = """
        setsid sh -c 'trap "" TERM; sleep 7301' &
        sh -c 'trap "echo saved; exit" TERM; echo on; while :; do sleep 0.1; done'
        sleep 7302
    """
    attempt_id = start(lab, spec_of(lab, stubborn))
    lab.wait_for_line(attempt_id, "on")
    lab.backend.cancel(attempt_id, "enough")
    report = lab.end_of(attempt_id)
    assert (report.seen[-1].state, reason_of(report)) == (State.CANCELLED, "enough")
    assert "saved" in lab.log(attempt_id)
    assert processes_with("7301") == processes_with("7302") == []
    assert containers_of(engine) == []


def test_nobody_outlives_the_supervisor_even_unseen(lab: Lab, engine: Engine) -> None:
    attempt_id = start(lab, spec_of(lab, "echo on; sleep 7401"))
    lab.wait_for_line(attempt_id, "on")
    assert supervisor_of(lab, attempt_id).send(signal.SIGKILL)
    eventually(lambda: processes_with("7401") == [] and containers_of(engine) == [])
    assert reason_of(lab.end_of(attempt_id)) == "its supervisor died; all its processes were ended"


def test_the_variables_of_a_run_are_in_no_command_line_and_not_with_the_engine(lab: Lab, engine: Engine) -> None:
    spec = spec_of(lab, "echo on; sleep 60", secrets=("TOKEN",))
    attempt_id = start(lab, replace(spec, env={"TOKEN": "secret:TOKEN"}), {"TOKEN": "tell-nobody"})
    lab.wait_for_line(attempt_id, "on")
    (name,) = containers_of(engine)
    assert name.startswith(f"experiment-ci-{attempt_id}-worker-0-")
    assert "tell-nobody" not in engine.call("inspect", name)
    assert processes_with("tell-nobody") == []


def test_another_user_of_the_image_can_write_what_is_the_runs_but_nobody_is_root(lab: Lab) -> None:
    ada = replace(TINY, user="ada")
    log = prints(lab, spec_of(lab, "id -u; touch new sub/new /artifacts/new /storage/new && echo written", ada))
    assert log.splitlines() == ["4242", "written"]
    report = run(lab, spec_of(lab, "id", replace(TINY, user="root")))
    assert report.seen[-1].state is State.FAILED
    assert reason_of(report) == "no run is root here, so `root` cannot be the user of its container"
    report = run(lab, spec_of(lab, "id", replace(TINY, user="nobody-of-it")))
    assert (report.seen[-1].state, reason_of(report)) == (
        State.FAILED,
        "the image localhost/tiny cannot be started; the log says why",
    )
    assert "unable to find user" in lab.log(report.id)


def test_what_a_pull_request_writes_to_the_storage_is_gone_in_a_container_too(lab: Lab) -> None:
    spec = spec_of(lab, "(echo theirs > /storage/model) 2>/dev/null; cat /storage/model", keeps_storage=False)
    model = Path(spec.storage_dir, "model")
    model.parent.mkdir(parents=True)
    model.write_text("main\n")
    model.chmod(0o666)
    assert prints(lab, spec) == ("theirs\n" if powers().overlay else "main\n")
    assert model.read_text() == "main\n"


def test_an_image_is_built_from_the_commit_and_known_by_its_content(lab: Lab) -> None:
    built = Image("", dockerfile="Dockerfile")
    first, second = (run(lab, spec_of(lab, "cat /made", built)) for _ in range(2))
    assert "built by 0" in lab.log(first.id)
    assert lab.log(first.id).splitlines()[-1] == "from the commit"
    assert first.facts["image"]["name"] == "built from Dockerfile"
    assert first.facts["image"] == second.facts["image"]


@pytest.mark.parametrize(
    ("dockerfile", "reason"),
    [
        ("docker/broken", "the image could not be built from docker/broken: "),
        ("../../order.json", "there is no file '../../order.json' in the workspace to build an image from"),
        ("nowhere", "there is no file 'nowhere' in the workspace to build an image from"),
    ],
)
def test_what_cannot_be_built_is_the_configs_fault(lab: Lab, dockerfile: str, reason: str) -> None:
    report = run(lab, spec_of(lab, "cat /made", Image("", dockerfile=dockerfile)))
    assert report.seen[-1].state is State.FAILED
    assert reason_of(report).startswith(reason)


def test_code_that_is_not_trusted_builds_nothing_and_has_no_image_of_this_machine(lab: Lab) -> None:
    for image in (TINY, Image("", dockerfile="Dockerfile")):
        report = run(lab, spec_of(lab, "cat /made", image, is_trusted=False))
        assert report.seen[-1].state is State.FAILED
        assert "for trusted code only" in reason_of(report)


# Registries


class Registry(ThreadingHTTPServer):
    """A registry at the wire: `open/tiny` for everybody, `private/tiny` for ada with the password `lovelace`."""

    def __init__(self, images: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.blobs = images / "blobs/sha256"
        self.digest = json.loads((images / "index.json").read_text())["manifests"][0]["digest"]
        self.is_away = False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    server: Registry
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        ada = "Basic " + base64.b64encode(b"ada:lovelace").decode()
        is_private = self.path == "/v2/" or self.path.startswith("/v2/private/")
        if self.server.is_away:
            self._say(503, b"{}")
        elif is_private and self.headers.get("Authorization") != ada:
            self._say(401, _error("UNAUTHORIZED", "authentication required"))
        elif self.path == "/v2/":
            self._say(200, b"{}")
        elif self.path.split("/")[3:4] != ["tiny"]:
            self._say(404, _error("MANIFEST_UNKNOWN", "manifest unknown"))
        else:
            what = self.path.rpartition("/")[2]
            digest = self.server.digest if what == "latest" else what
            kind = "application/vnd.oci.image.manifest.v1+json" if "/manifests/" in self.path else "application/data"
            self._say(200, (self.server.blobs / digest.removeprefix("sha256:")).read_bytes(), kind)

    do_HEAD = do_GET  # noqa: N815 - as http.server wants it

    def _say(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Content-Digest", "sha256:" + hashlib.sha256(body).hexdigest())
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="ours"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _error(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


@pytest.fixture(scope="session")
def stored(engine: Engine, podman: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of an image that is on no machine."""
    directory = tmp_path_factory.mktemp("registry") / "images"
    engine.call("import", "--change", "ENV PATH=/opt/tool:/bin", str(podman.parent / "files.tar"), "localhost/away")
    engine.call("save", "--format", "oci-dir", "--output", str(directory), "localhost/away")
    engine.call("rmi", "localhost/away")
    return directory


@pytest.fixture
def registry(stored: Path) -> Iterator[Registry]:
    server = Registry(stored)
    yield server
    server.shutdown()
    server.server_close()


def test_an_image_is_pulled_with_the_configs_own_credentials(lab: Lab, registry: Registry) -> None:
    private = Image("private/tiny", registry_url=f"http://{registry.host}", username="ada", password="secret:REGISTRY")
    spec = spec_of(lab, "train", private, secrets=("REGISTRY",))
    report = run(lab, spec, {"REGISTRY": "lovelace"})
    assert lab.log(report.id) == "trained by the image\n", reason_of(report)
    assert report.facts["image"] == {"name": "private/tiny", "digest": registry.digest}
    assert not (Path(spec.run_dir) / "scratch").exists()

    report = run(lab, spec_of(lab, "train", replace(private, username=None, password=None)))
    assert report.seen[-1].state is State.FAILED  # although it lies on this machine by now
    assert reason_of(report).startswith("the image private/tiny cannot be pulled: ")
    assert reason_of(report).endswith("unauthorized")


def test_code_that_is_not_trusted_may_run_in_an_image_of_a_registry_without_a_network(
    lab: Lab, registry: Registry
) -> None:
    image = Image(f"{registry.host}/open/tiny@{registry.digest}")
    spec = spec_of(lab, "PATH=/bin; ls /sys/class/net", image, is_trusted=False)
    assert prints(lab, spec) == "lo\n"


def test_a_wrong_name_is_the_configs_fault_and_a_dead_registry_is_not(lab: Lab, registry: Registry) -> None:
    report = run(lab, spec_of(lab, "train", Image(f"{registry.host}/open/nothing:2")))
    assert report.seen[-1].state is State.FAILED
    assert "manifest unknown" in reason_of(report)
    registry.is_away = True
    report = run(lab, spec_of(lab, "train", Image(f"{registry.host}/open/tiny")))
    assert report.seen[-1].state is State.ERROR
    assert reason_of(report).startswith(f"the image {registry.host}/open/tiny cannot be pulled: ")
    report = run(lab, spec_of(lab, "train", Image("dir:/var/lib")))
    assert (report.seen[-1].state, reason_of(report)) == (
        State.FAILED,
        "`dir:/var/lib` is not the name of an image",
    )
    report = run(lab, spec_of(lab, "train", Image("localhost/nowhere")))
    assert report.seen[-1].state is State.FAILED
    assert reason_of(report).startswith("the image localhost/nowhere is not there: ")


# Docker


@pytest.fixture
def docked(tmp_path: Path, docker: Path) -> Iterator[Lab]:
    data_dir = tmp_path / "data"
    made = Lab(data_dir, lambda: local(data_dir, str(docker)), commit(tmp_path / "code", FILES))
    yield made
    made.close()


def test_docker_runs_an_image_in_the_machines_network(docked: Lab, docker: Path) -> None:
    asks = [
        *("train", "echo colour $COLOUR", "id -u", "hostname", "cat train.py"),
        "touch made /artifacts/kept /storage/shared /run/x /tmp/x $HOME/y && echo written",
        *("touch /opt/z || echo read-only", "grep CapEff /proc/self/status"),
        'nc -w 2 127.0.0.1 "${PAPERSPACE_METRIC_PUSHGATEWAY##*:}" </dev/null && echo reached',
    ]
    report = run(docked, spec_of(docked, "; ".join(asks)))
    # What goes to stderr takes another way through docker, and may come sooner.
    lines = [line for line in docked.log(report.id).splitlines() if not line.startswith("touch:")]
    assert lines[:6] == ["trained by the image", "colour green", "65534", "worker-0", "print('trained')", "written"]
    assert {"read-only", "CapEff:\t0000000000000000", "reached"} <= set(lines)
    assert report.facts["image"]["digest"].startswith("sha256:")
    assert "network: shared" in report.facts["walls"]
    assert containers_of(engine_of(docker)) == []


def test_docker_builds_from_the_commit_and_its_ends_are_told(docked: Lab) -> None:
    report = run(docked, spec_of(docked, "cat /made; exit 7", Image("", dockerfile="Dockerfile")))
    assert (report.seen[-1].state, reason_of(report)) == (State.FAILED, "exit code 7")
    assert docked.log(report.id).splitlines()[-1] == "from the commit"


def test_nobody_in_docker_outlives_the_supervisor(docked: Lab, docker: Path) -> None:
    attempt_id = start(docked, spec_of(docked, "echo on; sleep 7501"))
    docked.wait_for_line(attempt_id, "on")
    assert supervisor_of(docked, attempt_id).send(signal.SIGKILL)
    eventually(lambda: processes_with("7501") == [] and containers_of(engine_of(docker)) == [])
    assert docked.end_of(attempt_id).seen[-1].state is State.ERROR


def test_docker_cannot_keep_code_off_the_network_so_it_does_not_run_it(docked: Lab, docker: Path) -> None:
    with pytest.raises(BackendUnavailable, match="code that is not trusted and images go together only with podman"):
        docked.backend.submit(spec_of(docked, "id", is_trusted=False))
    backend = local(docked.data_dir, str(docker), network="private")
    with pytest.raises(BackendUnavailable, match="NETWORK=private and images go together only with podman"):
        backend.submit(spec_of(docked, "id"))


# Without an engine


def test_without_an_engine_the_image_is_not_used_and_that_is_said(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "data", lambda: local(tmp_path / "data", "none"), commit(tmp_path / "code"))
    report = run(lab, spec_of(lab, "cat train.py"))
    assert report.seen[-1].state is State.STOPPED
    assert report.facts["image"] == {"name": "localhost/tiny", "reason": "this bot has no container engine"}


def test_an_engine_that_the_settings_name_and_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable, match="CONTAINERS=/nowhere/podman does not work here: it is not installed"):
        local(tmp_path, "/nowhere/podman")
