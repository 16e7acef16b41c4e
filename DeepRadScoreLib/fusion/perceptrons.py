"""Many small perceptrons trained side by side, one for each fold: those of scikit-learn's `MLPClassifier` to the bit.

Trainings of equally many cases draw the same weights and the same order of cases from the same seed, so that their
arrays are stacked and each step of gradient descent is one numpy operation on all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise

import numpy as np
from scipy.special import expit, xlogy

from DeepRadScoreLib.statistics.folds import ScaledFold

HIDDEN = (5, 2)
L2 = 1e-5
LEARNING_RATE = 1e-3
MAX_EPOCHS = 200

BATCH = 200
MOMENTUM = 0.9
MIN_IMPROVEMENT = 1e-4
PATIENCE = 10
"""Epochs without that improvement of the loss after which a training ends; with the three above scikit-learn's own."""

SMALLEST = np.finfo(np.float64).eps
Layers = list[np.ndarray]


def perceptron_scores(folds: Iterable[ScaledFold], seed: int) -> list[np.ndarray]:
    """Probability of the positive class of each fold's other cases by a perceptron trained on its training cases.

    Equal to the bit to `MLPClassifier(HIDDEN, activation="tanh", solver="sgd", alpha=L2,
    learning_rate_init=LEARNING_RATE, max_iter=MAX_EPOCHS, random_state=seed)`, each fitted by itself.
    """
    folds = list(folds)
    scores: list[np.ndarray] = [np.empty(0)] * len(folds)
    for size in {fold.known.shape for fold in folds}:
        alike = [number for number, fold in enumerate(folds) if fold.known.shape == size]
        known = np.stack([folds[number].known for number in alike])
        labels = np.stack([folds[number].labels for number in alike]).astype(np.float64)
        for number, layers in zip(alike, _trained(known, labels[..., None], seed), strict=True):
            scores[number] = _forward(folds[number].unseen, layers)[-1][:, 0]
    return scores


@lru_cache(maxsize=8)
def _start(seed: int, n: int, d: int) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """First weights and biases, layer by layer, and the order of n cases in each epoch, (epochs, n)."""
    random = np.random.RandomState(seed)
    layers = []
    for before, after in pairwise((d, *HIDDEN, 1)):
        bound = np.sqrt(6.0 / (before + after))
        layers += [random.uniform(-bound, bound, (before, after)), random.uniform(-bound, bound, (1, after))]
    orders = np.empty((MAX_EPOCHS, n), dtype=int)
    order = np.arange(n)
    for of_epoch in orders:
        shuffled = np.arange(n)
        random.shuffle(shuffled)
        order = order[shuffled]
        of_epoch[:] = order
    return tuple(layers), orders


def _trained(known: np.ndarray, labels: np.ndarray, seed: int) -> list[Layers]:
    """Weights and biases, layer by layer, of trainings on known (trainings, n, d) and labels (trainings, n, 1)."""
    trainings, n, d = known.shape
    start, orders = _start(seed, n, d)
    layers = [np.repeat(array[None], trainings, axis=0) for array in start]
    speeds = [np.zeros_like(array) for array in layers]
    ended: list[Layers] = [[]] * trainings
    running = np.arange(trainings)
    least, waited = np.full(trainings, np.inf), np.zeros(trainings, dtype=int)
    for order in orders:
        loss = np.zeros(len(running))
        for first in range(0, n, BATCH):
            batch = order[first : first + BATCH]
            loss += _step(known[:, batch], labels[:, batch], layers, speeds) * len(batch)
        loss /= n
        waited = np.where(loss > least - MIN_IMPROVEMENT, waited + 1, 0)
        least = np.minimum(least, loss)
        going = waited <= PATIENCE
        if not going.all():
            for row in np.flatnonzero(~going).tolist():
                ended[running[row]] = [array[row] for array in layers]
            if not going.any():
                return ended
            known, labels, running, least, waited = (array[going] for array in (known, labels, running, least, waited))
            layers, speeds = [array[going] for array in layers], [array[going] for array in speeds]
    for row, training in enumerate(running.tolist()):
        ended[training] = [array[row] for array in layers]
    return ended


def _step(known: np.ndarray, labels: np.ndarray, layers: Layers, speeds: Layers) -> np.ndarray:
    """One step of gradient descent with Nesterov's momentum, in place; the losses before it, (trainings,)."""
    activations = _forward(known, layers)
    n = known.shape[1]
    losses = _losses(labels, activations[-1], layers)
    slopes = activations[-1] - labels
    for layer in reversed(range(len(layers) // 2)):
        weights = layers[2 * layer]
        of_weights = activations[layer].swapaxes(1, 2) @ slopes
        of_weights += L2 * weights
        of_weights /= n
        of_biases = slopes.sum(axis=1, keepdims=True) / n
        if layer:
            slopes = slopes @ weights.swapaxes(1, 2)
            slopes *= 1.0 - activations[layer] ** 2
        for place, gradient in ((2 * layer, of_weights), (2 * layer + 1, of_biases)):
            push = LEARNING_RATE * gradient
            speeds[place] = MOMENTUM * speeds[place] - push
            layers[place] += MOMENTUM * speeds[place] - push
    return losses


def _forward(columns: np.ndarray, layers: Layers) -> Layers:
    """Activations of every layer, the columns themselves first; any leading axes."""
    activations = [columns]
    for weights, biases in zip(layers[::2], layers[1::2], strict=True):
        values = activations[-1] @ weights
        values += biases
        activations.append((expit if len(activations) > len(HIDDEN) else np.tanh)(values, out=values))
    return activations


def _losses(labels: np.ndarray, probabilities: np.ndarray, layers: Layers) -> np.ndarray:
    """Mean logistic loss with the penalty on the weights, (trainings,)."""
    p = np.clip(probabilities, SMALLEST, 1.0 - SMALLEST)
    losses = -(xlogy(labels, p) + xlogy(1.0 - labels, 1.0 - p)).mean(axis=1)[:, 0]
    flat = [weights.reshape(len(weights), 1, -1) for weights in layers[::2]]
    squares = sum((weights @ weights.swapaxes(1, 2))[:, 0, 0] for weights in flat)
    return losses + 0.5 * L2 * squares / labels.shape[1]
