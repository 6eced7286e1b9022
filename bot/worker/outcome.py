"""What became of a delivery."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """`done` or `ignored`, with a sentence for whoever asks why nothing happened."""

    state: str
    reason: str
