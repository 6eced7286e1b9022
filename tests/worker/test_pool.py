"""Threads for what takes long: nobody waits for them who does not want to."""

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from bot.worker.pool import Pool


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool(2, "test")
    yield pool
    pool.shutdown()


def test_what_comes_out_is_told_and_so_is_what_goes_wrong(pool: Pool) -> None:
    assert pool.submit(divmod, 7, 2).result() == (3, 1)
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 7, 0).result()
    assert pool.submit(divmod, 8, 2).result() == (4, 0), "the thread lives on"


def test_no_more_threads_than_it_was_made_with(pool: Pool) -> None:
    names = {pool.submit(lambda: threading.current_thread().name).result() for _ in range(20)}
    assert names <= {"test-0", "test-1"}


def test_what_was_not_begun_is_dropped_at_the_end_if_so_wanted(pool: Pool) -> None:
    begun, may_end = threading.Barrier(3), threading.Event()
    held = [pool.submit(lambda: (begun.wait(5), may_end.wait(5))) for _ in range(2)]
    begun.wait(5)
    dropped = pool.submit(lambda: None)
    pool.shutdown(wait=False, cancel_futures=True)
    may_end.set()
    assert [future.result(5)[1] for future in held] == [True, True]
    assert not dropped.done()


@pytest.mark.service
def test_a_program_ends_whatever_its_threads_are_at() -> None:
    script = "import time; from bot.worker.pool import Pool; Pool(1, 'slow').submit(time.sleep, 600); print('ends')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "ends\n"
