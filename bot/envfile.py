"""The env file: settings that lie in a file beside where the bot is started (`experiment-ci.env`).

A line is `NAME=value`, as systemd's `EnvironmentFile=` and a shell read it too: the value is what stands to the end of
the line, and may stand in a pair of quotes; a line that begins with `#` is a remark. What the environment has already
goes before what the file says. docs/decisions/0073-env-file.md says why it is so.
"""

import logging
import os
import re
import stat
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from bot.settings import SettingsError

DEFAULT = "experiment-ci.env"
VARIABLE = "ENV_FILE"
"""The setting that names another file, or none at all."""
NONE = "none"
_MOST_BYTES = 64 * 1024
_LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_BARE = re.compile(r"[A-Za-z0-9_./:@%+,-]*")
_QUOTED = re.compile(r"[^'\x00-\x1f\x7f]*")
_log = logging.getLogger(__name__)


def add_to(environ: MutableMapping[str, str]) -> None:
    """Give `environ` what the env file says and it does not have. Without a file, nothing; raises SettingsError.

    What is started from there has it all, and looks at no file any more.
    """
    named = environ.get(VARIABLE, "").strip()
    path = Path(named or DEFAULT).expanduser().absolute()
    if named == NONE or not (named or os.path.lexists(path)):
        return
    for name, value in read(path).items():
        environ.setdefault(name, value)
    _log.info("settings are read from %s", path)
    environ[VARIABLE] = NONE


def read(path: Path) -> dict[str, str]:
    """Return what an env file says. Raises SettingsError for one that cannot be read, or that others can read."""
    try:
        # Whatever lies there, opening it waits for nobody.
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            _check(path, os.fstat(file))
            data = os.read(file, _MOST_BYTES + 1)
        finally:
            os.close(file)
    except OSError as error:
        raise SettingsError([f"{path} ({VARIABLE}) cannot be read: {error.strerror}."]) from None
    if len(data) > _MOST_BYTES:
        raise SettingsError([f"{path} is larger than 64 KiB: this is no file of settings."])
    try:
        return parse(data.decode())
    except UnicodeDecodeError:
        raise SettingsError([f"{path} is no UTF-8 text."]) from None
    except ValueError as error:
        raise SettingsError([f"{path}, {error}"]) from None


def _check(path: Path, found: os.stat_result) -> None:
    """Refuse a file that tells others our secrets, or whose author may be somebody who wants to choose our settings."""
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISREG(found.st_mode):
        raise SettingsError([f"{path} ({VARIABLE}) is no regular file."])
    if found.st_uid not in (os.geteuid(), 0):
        raise SettingsError(
            [f"{path} is another user's, so nothing of it is read: be that user, or set {VARIABLE}={NONE}."]
        )
    if mode & 0o077:
        raise SettingsError([f"{path} holds secrets, and others may read or change it (mode {mode:o}): chmod 600 it."])


def parse(text: str) -> dict[str, str]:
    """Return names and values. Raises ValueError with the number of a line that is neither; never with what it says."""
    found = {}
    for number, line in enumerate(text.split("\n"), 1):
        said = line.strip()
        if not said or said.startswith("#"):
            continue
        match = _LINE.fullmatch(said)
        if match is None or "\0" in said:
            raise ValueError(f"line {number}: not of the form NAME=value.")
        found[match[1]] = _unquoted(match[2].strip())
    return found


def render(values: Mapping[str, str], kept: str = "", without: frozenset[str] = frozenset()) -> str:
    """Return an env file that says `values`, below what `kept`, another one's text, says of anything else.

    Nothing of `kept` is left that sets one of `values` or of `without`. Raises ValueError for a value that no line can
    hold.
    """
    lines = kept.removesuffix("\n").split("\n") if kept.strip() else []
    lines = [line for line in lines if _name_of(line) not in without | set(values)]
    lines += [f"{name}={_quoted(name, value)}" for name, value in values.items()]
    return "\n".join(lines) + "\n"


def _name_of(line: str) -> str | None:
    match = _LINE.fullmatch(line.strip())
    return None if match is None else match[1]


def _quoted(name: str, value: str) -> str:
    if _BARE.fullmatch(value):
        return value
    if _QUOTED.fullmatch(value):
        return f"'{value}'"
    raise ValueError(f"{name} cannot stand in an env file: it has a quote or a control character in it")


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if is_quoted else value
