"""Small words that all records share."""

from datetime import UTC, datetime
from typing import Literal

NO_SHA = "0" * 40

Role = Literal["admin", "maintain", "write", "triage", "read", "none"]
Status = Literal["queued", "in_progress", "completed"]
RANK: dict[Role, int] = {"none": 0, "read": 1, "triage": 2, "write": 3, "maintain": 4, "admin": 5}
"""Roles, from the one that may do nothing to the one that may do everything."""


def iso(at: int) -> str:
    """Return microseconds as GitHub writes times: whole seconds, UTC, `Z`."""
    return datetime.fromtimestamp(at // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
