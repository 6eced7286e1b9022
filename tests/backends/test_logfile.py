"""A run's log: its beginning, its end, and no secret in it."""

from pathlib import Path

from bot.backends.logfile import LogFile
from bot.core.masking import Masker

SECRET = "hunter2-hunter2"


def test_a_log_within_its_limit_is_whole(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log", limit=100)
    log.write(b"one\n")
    log.write(b"two\n")
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n", "live"
    log.close()
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"


def test_beyond_the_limit_beginning_and_end_are_kept(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log", limit=40)
    for number in range(1000):
        log.write(b"%04d " % number)
    log.close()
    kept = (tmp_path / "log").read_bytes()
    assert kept.startswith(b"0000 0001 0002 0003 0004 0005 \n[4960 bytes of output were left out here")
    assert kept.endswith(b"\n0998 0999 ")


def test_a_secret_is_masked_however_it_is_written(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log", masker=Masker([SECRET]))
    for byte in f"token={SECRET}\n".encode():
        log.write(bytes([byte]))
    log.write(b"hunter")
    assert (tmp_path / "log").read_bytes() == b"token=***\n", "what may become one waits"
    log.close()
    assert (tmp_path / "log").read_bytes() == b"token=***\nhunter"


def test_no_part_of_a_secret_is_left_where_the_log_was_cut(tmp_path: Path) -> None:
    for limit in range(40, 80):
        path = tmp_path / str(limit)
        log = LogFile(path, limit, Masker([SECRET]))
        for _ in range(50):
            log.write(f"{SECRET} . ".encode())
        log.close()
        assert b"unt" not in path.read_bytes()
