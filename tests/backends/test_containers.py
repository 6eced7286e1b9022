"""Images, with a real podman: a tiny one made of busybox, kept below the tests' own directory, and a registry of ours.

Where there is no podman, no runc or no static busybox, or the tests are not root, these are skipped and say so.
"""

import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tarfile
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
from tests.backends.lab import Lab, commit, eventually, powers

pytestmark = [pytest.mark.service, pytest.mark.slow]

TINY = Image("localhost/tiny")
APPLETS = "sh cat sleep id ls env mkdir mkfifo touch hostname wget dd setsid chmod stat grep head tail".split()
FILES = {
    "train.py": "print('trained')\n",
    "Dockerfile": "FROM localhost/tiny\nRUN echo built by $(id -u) && echo from the commit > /made\n",
    "docker/broken": "FROM localhost/tiny\nRUN exit 3\n",
}


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A podman whose images and containers all lie below a directory of ours: nothing is left on the machine."""
    missing = [name for name in ("podman", "runc", "busybox") if shutil.which(name) is None]
    if missing or os.getuid() != 0:
        pytest.skip(f"containers need {', '.join(missing) or 'root'}: apt-get install podman runc busybox-static")
    place = tmp_path_factory.mktemp("podman")
    registries = place / "registries.conf"
    registries.write_text('[[registry]]\nlocation = "127.0.0.1"\ninsecure = true\n')
    program = place / "podman"
    where = f"--root {place}/root --runroot {place}/run --tmpdir {place}/tmp --storage-driver vfs"
    how = "--runtime runc --cgroup-manager cgroupfs --events-backend file"
    program.write_text(
        f"#!/bin/sh\nexport CONTAINERS_REGISTRIES_CONF={registries}\nexec {shutil.which('podman')} {where} {how} \"$@\"\n"
    )
    program.chmod(0o755)
    _make_image(program, place)
    yield program
    subprocess.run([program, "rm", "--all", "--force", "--time", "0"], check=False, capture_output=True)


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
    done = subprocess.run(
        [program, "import", *words, place / "files.tar", "localhost/tiny"], check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.skip(f"podman makes no image here: {done.stderr[-300:]}")


@pytest.fixture(scope="session")
def engine(podman: Path) -> Engine:
    found = find(str(podman))
    assert found is not None
    return found


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


def spec_of(lab: Lab, command: str, image: Image = TINY, machine: Machine | None = None, **changes: object) -> AttemptSpec:
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


def containers_of(engine: Engine) -> list[str]:
    return engine.call("ps", "--all", "--format", "{{.Names}}").split()


def test_a_command_runs_in_the_image_with_the_directories_and_the_network_of_every_run(lab: Lab, engine: Engine) -> None:
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
        "grep -c : /proc/net/dev",
        "cat /etc/hosts",
        'echo "gateway $PAPERSPACE_METRIC_PUSHGATEWAY"',
        'wget -q -O - "$PAPERSPACE_METRIC_PUSHGATEWAY/metrics" >/dev/null 2>&1; echo asked $?',
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
    assert report.facts["image"]["name"] == "localhost/tiny"
    assert report.facts["image"]["digest"].startswith("sha256:")
    assert [artifact.path for artifact in lab.backend.artifacts(report.id)] == ["kept"]
    assert containers_of(engine) == []
