"""`experiment-ci secret` at a terminal: values come in unseen, and never go out."""

import io
import os
import pty
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.__main__ import main
from bot.devhub.auth import key_pair
from bot.store.database import Database
from bot.store.secrets import reveal
from bot.vault import Vault

OLD, NEW = (b64encode(bytes([n]) * 32).decode() for n in (1, 2))
Said = tuple[int, str, str]
Secret = Callable[..., Said]


@pytest.fixture(scope="module")
def private_key() -> str:
    return key_pair()[0]


@pytest.fixture
def environ(database: Database, tmp_path: Path, private_key: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "GITHUB_APP_ID": "7",
        "GITHUB_PRIVATE_KEY": private_key,
        "GITHUB_WEBHOOK_SECRET": "one",
        "DATA_DIR": str(tmp_path),
        "DATABASE_URL": database.url,
        "SECRETS_KEY": OLD,
    }


@pytest.fixture
def secret(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Secret:
    """Run `experiment-ci secret …` with standard input; return its status and what it said."""

    def run(*arguments: str, given: bytes = b"", key: str = OLD) -> Said:
        for name, value in {**environ, "SECRETS_KEY": key}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        status = main(["secret", *arguments])
        said = capsys.readouterr()
        assert "hunter2" not in said.out + said.err
        return status, said.out, said.err

    return run


def value_of(database: Database, name: str, *keys: str) -> str:
    return reveal(database, Vault(keys or [OLD]), "acme", "digits", [name])[name]


def test_a_secret_is_set_listed_and_deleted(secret: Secret, database: Database) -> None:
    told = "stored `token` of acme/digits; configs call it secret:token\n"
    assert secret("set", "token", "--repo", "Acme/Digits", given=b"hunter2\n") == (0, told, "")
    assert value_of(database, "token") == "hunter2"

    status, said, _ = secret("set", "token", "--repo", "acme/digits", given=b"hunter2222")
    assert (status, said[:8], value_of(database, "token")) == (0, "replaced", "hunter2222")

    secret("set", "bucket", "--owner", "acme", given=b"hunter2")
    _, said, _ = secret("list")
    assert [line.split("\t")[:2] for line in said.splitlines()] == [["acme", "bucket"], ["acme/digits", "token"]]
    assert secret("list", "--owner", "acme")[1].count("\n") == 1

    assert secret("delete", "token", "--repo", "acme/digits") == (0, "deleted `token` of acme/digits\n", "")
    status, _, said = secret("delete", "token", "--repo", "acme/digits")
    assert (status, said) == (1, "experiment-ci: there is no secret `token` of acme/digits\n")
    assert secret("list", "--repo", "acme/digits")[1] == "no secrets are stored for acme/digits\n"


def test_the_key_is_taken_out_of_the_environment(secret: Secret) -> None:
    secret("list")
    assert "SECRETS_KEY" not in os.environ


def test_a_file_of_several_lines_stays_as_it_is(secret: Secret, database: Database) -> None:
    secret("set", "key", "--owner", "acme", given=b"-----BEGIN\nhunter2\n-----END\n")
    assert value_of(database, "key") == "-----BEGIN\nhunter2\n-----END\n"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (b"", "at least 4 characters"),
        (b"abc\n", "masking it would make logs unreadable"),
        (b"hunter2\0", "NUL"),
        (b"hunter2\xff", "no UTF-8 text"),
        (b"hunter2" * 8000, "49152 bytes at most"),
    ],
)
def test_what_cannot_be_a_secret_is_refused_with_the_reason(secret: Secret, given: bytes, says: str) -> None:
    status, said, complaint = secret("set", "token", "--owner", "acme", given=given)
    assert (status, said) == (1, "")
    assert says in complaint
    assert secret("list")[1] == "no secrets are stored\n"


@pytest.mark.parametrize("place", [("--repo", "digits"), ("--repo", "acme/"), ("--repo", "a/b/c"), ("--owner", "a/b")])
def test_a_wrong_place_is_refused(secret: Secret, place: tuple[str, str]) -> None:
    status, _, complaint = secret("set", "token", *place, given=b"hunter2")
    assert status == 1
    assert "write --repo owner/name or --owner owner" in complaint


def test_a_value_in_the_place_of_the_name_is_not_repeated(secret: Secret) -> None:
    status, _, complaint = secret("set", "hunter2=x", "--owner", "acme")
    assert status == 1
    assert "a secret's name has letters" in complaint


def test_without_a_key_the_command_says_how_to_make_one(secret: Secret) -> None:
    status, _, complaint = secret("set", "token", "--owner", "acme", given=b"hunter2", key="")
    assert status == 1
    assert "openssl rand -base64 32" in complaint


def test_a_value_has_no_place_on_the_command_line(secret: Secret) -> None:
    with pytest.raises(SystemExit) as ended:
        secret("set", "token", "a value", "--owner", "acme")
    assert ended.value.code == 2


def test_keys_are_rotated(secret: Secret, database: Database) -> None:
    secret("set", "token", "--repo", "acme/digits", given=b"hunter2")
    secret("set", "bucket", "--owner", "acme", given=b"hunter2-2")

    assert secret("rotate", key=f"{NEW},{OLD}") == (0, "2 of 2 secrets are locked under the first key\n", "")
    assert value_of(database, "token", NEW) == "hunter2"
    assert value_of(database, "bucket", NEW) == "hunter2-2"


def test_what_no_key_opens_is_named_and_all_else_is_rotated(secret: Secret, database: Database) -> None:
    secret("set", "lost", "--owner", "acme", given=b"hunter2")
    secret("set", "token", "--owner", "acme", given=b"hunter2", key=NEW)

    status, _, complaint = secret("rotate", key=NEW)
    assert status == 1
    assert "1 of 2 secrets are locked under the first key; no key opens `lost` of acme" in complaint
    assert value_of(database, "token", NEW) == "hunter2"


def test_a_database_that_cannot_be_opened_is_told_in_a_sentence(secret: Secret, environ: dict[str, str]) -> None:
    environ["DATABASE_URL"] = "sqlite:////proc/nowhere/x.sqlite3"
    status, _, complaint = secret("list")
    assert status == 1
    assert complaint.startswith("experiment-ci: the database cannot be used: ")


@pytest.mark.service
def test_at_a_terminal_the_value_is_not_shown(environ: dict[str, str], database: Database) -> None:
    """A real terminal, as far as the command can tell: what is typed does not come back on it."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "bot", "secret", "set", "token", "--repo", "acme/digits"]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, start_new_session=True
    ) as run:
        os.close(theirs)
        shown = b""
        while b"unseen" not in shown:
            shown += os.read(ours, 4096)
        os.write(ours, b"hunter2\n")
        while b"stored" not in shown:
            shown += os.read(ours, 4096)
        assert run.wait(30) == 0
    os.close(ours)
    assert b"hunter2" not in shown
    assert value_of(database, "token") == "hunter2"
