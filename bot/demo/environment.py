"""The virtual environment that the demo's experiments run in: scikit-learn is no dependency of the bot."""

import hashlib
import subprocess
import sys
import venv
from pathlib import Path


def make(place: Path, requirements: Path) -> Path:
    """Return a virtual environment below `place` with what `requirements` names, made unless it is there already.

    Raises subprocess.CalledProcessError when pip cannot install it.
    """
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    environment, mark = place / "environment", place / "environment.made-of"
    if mark.is_file() and mark.read_text() == wanted:
        return environment
    venv.create(environment, clear=True, with_pip=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)]
    subprocess.run([*pip, "--disable-pip-version-check"], check=True)
    mark.write_text(wanted)
    return environment
