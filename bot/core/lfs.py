"""What Git LFS leaves in a repository in the place of a file (github.com/git-lfs/git-lfs, docs/spec.md)."""

import re
from dataclasses import dataclass

SMALLEST, LARGEST = 120, 1023
"""Bytes that a pointer has; LFS itself takes nothing of 1024 bytes or more for one."""
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize ([1-9][0-9]{0,14})\n?"
)


@dataclass(frozen=True)
class Pointer:
    """The file that is meant: the sha256 of its content, and its size in bytes."""

    oid: str
    size: int


def read_pointer(data: bytes) -> Pointer | None:
    """Return the pointer that a file is; None when it is none, or one that only an extension of LFS understands."""
    match = _POINTER.fullmatch(data)
    return Pointer(match[1].decode(), int(match[2])) if match else None
