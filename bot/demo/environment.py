"""The virtual environment that the demo's experiments run in: what they import is no dependency of the bot."""

import hashlib
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path


def make(place: Path, requirements: Sequence[Path]) -> Path:
    """Return a virtual environment below `place` with what these files name, made unless it is there already.

    Raises subprocess.CalledProcessError when pip cannot install it.
    """
    texts = [file.read_bytes() for file in requirements]
    wanted = hashlib.sha256(b"\0".join([*texts, sys.version.encode()])).hexdigest()
    environment, mark = place / "environment", place / "environment.made-of"
    if mark.is_file() and mark.read_text() == wanted:
        return environment
    venv.create(environment, clear=True, with_pip=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *(f"--requirement={file}" for file in requirements)], check=True)
    mark.write_text(wanted)
    return environment
