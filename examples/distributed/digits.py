"""1,797 handwritten digits of 8 × 8 pixels (UCI, “Optical Recognition of Handwritten Digits”), packed as digits.npz."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

TEST_SHARE = 0.3
_ORDER = 7


class Examples(NamedTuple):
    """`images` has shape (n, 64), values 0 to 1; `labels` has shape (n,), values 0 to 9."""

    images: np.ndarray
    labels: np.ndarray

    def shard(self, number: int, of: int) -> "Examples":
        """Return every `of`-th example, beginning with `number`: the part of one of several workers."""
        return Examples(self.images[number::of], self.labels[number::of])

    def batches(self, size: int, seed: int) -> "list[Examples]":
        """Return all examples once, in a random order, `size` at a time."""
        order = np.random.default_rng(seed).permutation(len(self.labels))
        parts = np.array_split(order, max(1, len(order) // size))
        return [Examples(self.images[part], self.labels[part]) for part in parts]


def load() -> tuple[Examples, Examples]:
    """Return what to train with and what to test with; they are the same for everybody."""
    with np.load(Path(__file__).with_name("digits.npz")) as file:
        images, labels = file["images"] / np.float32(16), file["labels"]
    order = np.random.default_rng(_ORDER).permutation(len(labels))
    test, train = np.split(order, [int(TEST_SHARE * len(order))])
    return Examples(images[train], labels[train]), Examples(images[test], labels[test])
