"""What the doctor finds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that is well or not. `cure` is what to do, empty when it is well."""

    name: str
    ok: bool
    sentence: str
    cure: str = ""
