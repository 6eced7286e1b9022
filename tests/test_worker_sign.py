"""The sign of life between worker and web."""

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bot.clock import ManualClock, SystemClock
from bot.worker_sign import WorkerSign

ROOT = Path(__file__).parents[1]


@pytest.fixture
def sign(tmp_path: Path, clock: ManualClock) -> WorkerSign:
    return WorkerSign(tmp_path, clock)


def test_before_any_worker_ran_the_sign_says_so(sign: WorkerSign) -> None:
    sighting = sign.read()

    assert not sighting.is_alive
    assert "ever" in sighting.sentence


def test_a_worker_that_holds_it_is_alive(tmp_path: Path, clock: ManualClock, sign: WorkerSign) -> None:
    assert sign.hold()

    assert WorkerSign(tmp_path, clock).read().is_alive
    sign.release()


def test_a_second_worker_is_kept_out_until_the_first_ends(tmp_path: Path, clock: ManualClock, sign: WorkerSign) -> None:
    second = WorkerSign(tmp_path, clock)

    assert sign.hold()
    assert not second.hold()
    sign.release()
    assert second.hold()
    second.release()


def test_the_directory_is_made_where_there_is_none(tmp_path: Path, clock: ManualClock) -> None:
    sign = WorkerSign(tmp_path / "data", clock)

    assert sign.hold()
    sign.release()


def test_a_worker_that_ended_is_not_alive(sign: WorkerSign) -> None:
    sign.hold()
    sign.release()

    assert sign.read().sentence == "no worker runs"


def test_looking_does_not_keep_a_worker_out(sign: WorkerSign) -> None:
    sign.hold()
    sign.release()
    sign.read()

    assert sign.hold()
    sign.release()


def test_a_look_at_the_very_moment_of_a_start_does_not_keep_a_worker_out(tmp_path: Path) -> None:
    with (tmp_path / "worker.alive").open("w") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.15, fcntl.flock, (looking, fcntl.LOCK_UN)).start()
        sign = WorkerSign(tmp_path, SystemClock())

        assert sign.hold()
        sign.release()


def test_a_worker_whose_loop_stands_still_is_not_alive(sign: WorkerSign, clock: ManualClock) -> None:
    sign.hold()
    clock.advance(60)
    assert sign.read().is_alive
    clock.advance(1)

    sighting = sign.read()

    assert not sighting.is_alive
    assert "61 s" in sighting.sentence
    sign.release()


def test_each_beat_starts_the_minute_anew(sign: WorkerSign, clock: ManualClock) -> None:
    sign.hold()
    for _ in range(5):
        clock.advance(59)
        sign.beat()

    assert sign.read().is_alive
    sign.release()


def test_releasing_what_is_not_held_is_nothing(sign: WorkerSign) -> None:
    sign.release()

    assert not sign.read().is_alive


HOLDER = """
import sys
from pathlib import Path
from bot.clock import SystemClock
from bot.worker_sign import WorkerSign
sign = WorkerSign(Path(sys.argv[1]), SystemClock())
assert sign.hold()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.service
def test_a_worker_killed_without_a_word_does_not_look_alive(tmp_path: Path) -> None:
    clock = ManualClock()
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"held\n"
        sign = WorkerSign(tmp_path, clock)
        os.utime(tmp_path / "worker.alive", (clock.now() / 1e6, clock.now() / 1e6))
        while_it_ran = sign.read()
        worker.kill()

    assert while_it_ran.is_alive
    assert not sign.read().is_alive
    assert sign.hold()
    sign.release()
