"""The cache: filled once, shared, swept after the dead, evicted by size but never under somebody's hands."""

import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.clock import SystemClock
from bot.storage.cache import GRACE, Cache, Entry
from bot.storage.errors import Refused, Unavailable

CONTENT = b"0123456789" * 1000


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(directory: Path) -> Iterator[Cache]:
    """A cache with room for two entries of these plays."""
    cache = Cache(directory, 30_000, SystemClock())
    yield cache
    cache.close()


def fill(into: Path, publish: Callable[[int], None]) -> None:
    """Fetch one file."""
    (into / "file").write_bytes(CONTENT)
    publish(len(CONTENT))


def never(into: Path, publish: Callable[[int], None]) -> None:
    """Be called by nobody."""
    raise AssertionError("this is in the cache already")


def get(cache: Cache, name: str, how: Callable[[Path, Callable[[int], None]], None] = fill) -> Entry:
    """Return an entry of about the right size."""
    return cache.entry(name, len(CONTENT), how, lambda _: None)


def used_long_ago(directory: Path, name: str, seconds: float) -> None:
    """Make the last use of an entry older."""
    past = (directory / f"{name}.lock").stat().st_mtime - seconds
    os.utime(directory / f"{name}.lock", (past, past))


def names(directory: Path) -> set[str]:
    """Return the entries, and what is in the way."""
    return {path.name for path in directory.iterdir() if path.suffix != ".lock"}


@contextmanager
def run(entry: Entry) -> Iterator[None]:
    """Use an entry as a supervisor does for the time of a run."""
    with entry.lock.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield


def test_an_entry_is_filled_once(cache: Cache) -> None:
    first = get(cache, "mnist")
    assert (first.path / "file").read_bytes() == CONTENT
    assert first.size == len(CONTENT)
    assert get(cache, "mnist", never) == first


def test_a_failed_filling_leaves_nothing_and_the_next_tries_again(cache: Cache, directory: Path) -> None:
    def refused(into: Path, publish: Callable[[int], None]) -> None:
        (into / "half").write_bytes(b"1")
        raise Refused("no")

    with pytest.raises(Refused):
        get(cache, "mnist", refused)
    assert names(directory) == set()
    assert (get(cache, "mnist").path / "file").exists()


def test_what_a_dead_process_left_is_swept_but_not_what_a_living_one_fills(cache: Cache, directory: Path) -> None:
    (directory / "dead.new/data").mkdir(parents=True)
    (directory / "scratch-1.new").mkdir()
    (directory / "living.new").mkdir()
    with (directory / "living.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cache.sweep()
    assert names(directory) == {"living.new"}
    assert not (directory / "scratch-1.lock").exists()


def test_a_lent_directory_is_gone_afterwards(cache: Cache, directory: Path) -> None:
    with cache.scratch() as scratch:
        (scratch / "x").write_bytes(b"1")
        cache.sweep()
        assert (scratch / "x").exists()
    assert list(directory.iterdir()) == []


def test_who_comes_second_waits_and_sees_how_far_the_first_is(cache: Cache, directory: Path) -> None:
    has_begun, has_waited = threading.Event(), threading.Event()
    heard: list[int] = []

    def slowly(into: Path, publish: Callable[[int], None]) -> None:
        publish(42)
        has_begun.set()
        assert has_waited.wait(20)
        fill(into, publish)

    def waiting(count: int) -> None:
        heard.append(count)
        has_waited.set()

    first = threading.Thread(target=get, args=(cache, "mnist", slowly))
    first.start()
    assert has_begun.wait(20)
    other = Cache(directory, 30_000, SystemClock())
    entry = other.entry("mnist", len(CONTENT), never, waiting)
    first.join()
    other.close()
    assert heard[0] == 42
    assert (entry.path / "file").read_bytes() == CONTENT


def test_what_was_not_used_for_longest_goes_first(cache: Cache, directory: Path) -> None:
    for name, age in (("middle", 2), ("oldest", 3)):
        get(cache, name)
        cache.close()
        used_long_ago(directory, name, age * GRACE)
    get(cache, "new")
    assert names(directory) == {"new", "middle"}


def test_using_an_entry_makes_it_young(cache: Cache, directory: Path) -> None:
    for name in ("first", "second"):
        get(cache, name)
        used_long_ago(directory, name, GRACE * 3)
    used_long_ago(directory, "first", GRACE * 3)
    get(cache, "first", never)
    cache.close()
    used_long_ago(directory, "first", GRACE * 2)
    get(cache, "third")
    assert names(directory) == {"first", "third"}


def test_an_entry_in_use_is_never_evicted(cache: Cache, directory: Path) -> None:
    entry = get(cache, "used")
    cache.close()
    used_long_ago(directory, "used", GRACE * 2)
    with run(entry):
        cache.make_room(30_000)
        assert (entry.path / "file").read_bytes() == CONTENT
    cache.make_room(30_000)
    assert names(directory) == set()


def test_an_entry_is_not_evicted_before_a_supervisor_could_lock_it(cache: Cache, directory: Path) -> None:
    get(cache, "fresh")
    cache.close()
    cache.make_room(30_000)
    assert names(directory) == {"fresh"}


def test_that_time_begins_anew_when_the_last_of_several_has_come(cache: Cache, directory: Path) -> None:
    get(cache, "first")
    used_long_ago(directory, "first", GRACE * 2)
    cache.refresh()
    cache.close()
    cache.make_room(30_000)
    assert names(directory) == {"first"}


def test_a_cache_does_not_evict_what_it_has_given_itself(cache: Cache, directory: Path) -> None:
    get(cache, "mine")
    used_long_ago(directory, "mine", GRACE * 2)
    cache.make_room(30_000)
    assert names(directory) == {"mine"}


def test_a_disk_without_room_is_said_before_anything_is_fetched(cache: Cache) -> None:
    with pytest.raises(Unavailable, match="the disk of the cache has"):
        cache.entry("huge", 1 << 60, never, lambda _: None)


@pytest.mark.service
def test_a_process_killed_in_the_middle_holds_up_nobody(cache: Cache, directory: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from bot.clock import SystemClock\n"
        "from bot.storage.cache import Cache\n"
        "def fill(into, publish): (into / 'half').touch(); print('half', flush=True); time.sleep(100)\n"
        "Cache(Path(sys.argv[1]), 30_000, SystemClock()).entry('mnist', 1, fill, print)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(directory)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        assert names(directory) == {"mnist.new"}
        process.kill()
    entry = get(cache, "mnist")
    assert [path.name for path in entry.path.iterdir()] == ["file"]
    assert names(directory) == {"mnist"}
