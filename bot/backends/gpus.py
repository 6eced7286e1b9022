"""What the GPUs of a run are called: the driver's own program is asked, which lies beside every driver."""

import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence

_LIMIT = 20.0


def models(numbers: Sequence[int], program: str = "nvidia-smi") -> str:
    """Return the models of these GPUs, such as `2 x NVIDIA A100-SXM4-40GB`; empty where nobody can tell."""
    path = shutil.which(program)
    if path is None or not numbers:
        return ""
    which = ",".join(map(str, numbers))
    try:
        done = subprocess.run(
            [path, f"--id={which}", "--query-gpu=name", "--format=csv,noheader"],
            env={"PATH": "/usr/bin:/bin"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LIMIT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    names = Counter(line.strip() for line in done.stdout.decode(errors="replace").splitlines() if line.strip())
    return ", ".join(name if count == 1 else f"{count} x {name}" for name, count in names.items())
