"""The env file: what it may say, who may read it, and that it says afterwards what was written into it."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import envfile
from bot.settings import SettingsError

NOBODY = 65534


def lay(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def problem(path: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        envfile.read(path)
    [sentence] = caught.value.problems
    return sentence


def test_names_and_values() -> None:
    text = """\
# a remark
GITHUB_APP_ID=7

  PUBLIC_URL = not a name before the sign
"""
    with pytest.raises(ValueError, match=r"line 4: not of the form NAME=value\."):
        envfile.parse(text)
    assert envfile.parse(text.replace(" = ", "=")) == {
        "GITHUB_APP_ID": "7",
        "PUBLIC_URL": "not a name before the sign",
    }


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=", ""),
        ("A=b=c", "b=c"),
        ("A='b c'", "b c"),
        ('A="b c"', "b c"),
        ("A='", "'"),
        ("A=b # c", "b # c"),
        ("A= b\r", "b"),
        ("A=\u2028b\u2028c", "b\u2028c"),
    ],
)
def test_a_value(line: str, value: str) -> None:
    assert envfile.parse(line) == {"A": value}


@pytest.mark.parametrize("line", ["A", "=b", "1A=b", "export A=b", "A B=c", "hunter2", "A=b\0"])
def test_a_line_that_is_none_is_counted_and_not_repeated(line: str) -> None:
    with pytest.raises(ValueError, match=r"^line 2: ") as caught:
        envfile.parse(f"#\n{line}")
    assert "hunter2" not in str(caught.value)


@given(
    st.dictionaries(
        st.from_regex(r"[A-Z][A-Z_]{0,8}", fullmatch=True),
        st.text(st.characters(exclude_characters="'", exclude_categories=["Cc", "Cs"])),
    ),
    st.text(),
)
def test_what_is_written_is_read(values: dict[str, str], kept: str) -> None:
    text = envfile.render(values, "\n".join(f"#{line}" for line in kept.split("\n")))
    assert envfile.parse(text) == values


def test_what_else_a_file_says_stays() -> None:
    before = "# mine\nMACHINES_FILE=/etc/machines.yaml\nGITHUB_APP_ID=1\n\nGITHUB_PRIVATE_KEY='a b'\n"
    after = envfile.render(
        {"GITHUB_APP_ID": "2", "DATA_DIR": "/srv/my data"}, before, frozenset({"GITHUB_PRIVATE_KEY"})
    )
    assert after == "# mine\nMACHINES_FILE=/etc/machines.yaml\n\nGITHUB_APP_ID=2\nDATA_DIR='/srv/my data'\n"


@pytest.mark.parametrize("value", ["it's", "a\nb", "a\0"])
def test_what_no_line_can_hold_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"^A cannot stand in an env file") as caught:
        envfile.render({"A": value})
    assert value not in str(caught.value)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = lay(tmp_path / "x.env", "A=hunter2\n", mode)
    assert problem(path) == f"{path} holds secrets, and others may read or change it (mode {mode:o}): chmod 600 it."
    path.chmod(0o400)
    assert envfile.read(path) == {"A": "hunter2"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = lay(tmp_path / "x.env", "PATH=/tmp/evil\n")
    os.chown(path, NOBODY, NOBODY)
    assert "is another user's" in problem(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "no regular file" in problem(tmp_path)
    assert "no regular file" in problem(Path("/dev/null"))
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "no regular file" in problem(tmp_path / "pipe"), "and nobody waits for its other end"
    assert "No such file" in problem(tmp_path / "nothing")
    assert "larger than 64 KiB" in problem(lay(tmp_path / "large", "#" * 70_000))
    (tmp_path / "binary").write_bytes(b"A=\xff")
    (tmp_path / "binary").chmod(0o600)
    assert "no UTF-8" in problem(tmp_path / "binary")


def test_the_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(tmp_path / "experiment-ci.env", "PORT=1\nHOST=h\n")
    monkeypatch.chdir(tmp_path)
    environ = {"PORT": "2"}
    envfile.add_to(environ)
    assert environ == {"PORT": "2", "HOST": "h", "ENV_FILE": "none"}, "what is started from here reads no file again"
    (tmp_path / "experiment-ci.env").chmod(0o644)
    envfile.add_to(environ)


def test_another_file_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environ: dict[str, str] = {}
    envfile.add_to(environ)
    assert environ == {}, "without a file there is nothing to say"
    lay(tmp_path / "experiment-ci.env", "A=default\n")
    environ = {"ENV_FILE": "none"}
    envfile.add_to(environ)
    assert environ == {"ENV_FILE": "none"}
    lay(tmp_path / "other.env", "A=other\n")
    environ = {"ENV_FILE": "other.env"}
    envfile.add_to(environ)
    assert environ["A"] == "other"
    with pytest.raises(SettingsError, match=r"nothing\.env \(ENV_FILE\) cannot be read: No such file"):
        envfile.add_to({"ENV_FILE": "nothing.env"})
