"""A network with one hidden layer. Its parameters are one flat vector, which is easy to send and to add up."""

import numpy as np

from digits import Examples

INPUTS, CLASSES = 64, 10


class Network:
    """The shape of the network, without parameters: they go in and gradients come out."""

    def __init__(self, units: int) -> None:
        self._shapes = [(INPUTS, units), (units,), (units, CLASSES), (CLASSES,)]
        self._ends = np.cumsum([np.prod(shape) for shape in self._shapes])

    def initial(self, seed: int) -> np.ndarray:
        """Return fresh parameters, shape (size,): weights by He et al. (2015), zero biases."""
        random = np.random.default_rng(seed)
        layers = [
            random.normal(0, np.sqrt(2 / shape[0]), shape) if len(shape) == 2 else np.zeros(shape)
            for shape in self._shapes
        ]
        return np.concatenate([layer.ravel() for layer in layers]).astype(np.float32)

    def gradient(self, parameters: np.ndarray, examples: Examples) -> np.ndarray:
        """Return the gradient of the mean cross-entropy, shape (size,)."""
        images, labels = examples
        _, _, weights, _ = self._layers(parameters)
        hidden, probabilities = self._forward(parameters, images)
        error = probabilities.copy()
        error[np.arange(len(labels)), labels] -= 1
        error /= len(labels)
        error_below = (error @ weights.T) * (hidden > 0)
        parts = images.T @ error_below, error_below.sum(0), hidden.T @ error, error.sum(0)
        return np.concatenate([part.ravel() for part in parts])

    def evaluate(self, parameters: np.ndarray, examples: Examples) -> tuple[float, float]:
        """Return the mean cross-entropy and the share of digits that are read correctly."""
        images, labels = examples
        _, probabilities = self._forward(parameters, images)
        of_the_truth = probabilities[np.arange(len(labels)), labels]
        loss = -np.log(np.maximum(of_the_truth, 1e-12)).mean()
        return float(loss), float((probabilities.argmax(1) == labels).mean())

    def _forward(self, parameters: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        below, below_bias, above, above_bias = self._layers(parameters)
        hidden = np.maximum(images @ below + below_bias, 0)
        scores = hidden @ above + above_bias
        powers = np.exp(scores - scores.max(1, keepdims=True))
        return hidden, powers / powers.sum(1, keepdims=True)

    def _layers(self, parameters: np.ndarray) -> list[np.ndarray]:
        parts = np.split(parameters, self._ends[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, self._shapes, strict=True)]
