"""The eigenvalue behind the maximal correlation coefficient of a GLCM, compiled by numba."""

from __future__ import annotations

import math

import numpy as np

from DeepRadScoreLib.radscore.engine.compiled import kernel
from DeepRadScoreLib.radscore.engine.kernels import EPS

MAX_LANCZOS_STEPS = 400
MIN_NORM = 1e-13
"""Length of a residual below which a Krylov space is exhausted."""
MIN_NEWTON_STEP = 1e-15
MAX_CHANGE = 1e-13
"""Change of the extreme eigenvalue over four Lanczos steps below which it has converged."""


@kernel("int64(int64[::1], int64[::1], float64[::1], int64[::1], float64[::1])", inner=True)
def _group_levels(row: np.ndarray, column: np.ndarray, px: np.ndarray, group: np.ndarray, share: np.ndarray) -> int:
    """Groups of levels that are neighbours, directly or not: `group` (K,) the smallest level of each, `share` its
    probability. The number of levels that occur less that of their groups."""
    for i in range(len(px)):
        group[i] = i
        share[i] = 0.0
    for e in range(len(row)):
        i, j = row[e], column[e]
        while group[i] != i:
            i = group[i]
        while group[j] != j:
            j = group[j]
        group[max(i, j)] = min(i, j)
    free = 0
    for i in range(len(px)):
        group[i] = group[group[i]]
        share[group[i]] += px[i]
        if px[i] > 0 and group[i] != i:
            free += 1
    return free


@kernel(
    "float64(int64[::1], int64[::1], float64[::1], float64[::1], int64[::1], float64[::1], float64[::1])", inner=True
)
def _second_lead(
    row: np.ndarray,
    column: np.ndarray,
    p: np.ndarray,
    px: np.ndarray,
    group: np.ndarray,
    share: np.ndarray,
    shift: np.ndarray,
) -> float:
    """The second largest of the groups' first eigenvalues, 0 where there is one group."""
    for i in range(len(px)):
        shift[i] = 0.0
    for e in range(len(row)):
        i, j = row[e], column[e]
        lost = p[e] * EPS / (px[i] * px[j] + EPS)
        shift[group[i]] += lost if i == j else 2 * lost
    largest = 0.0
    second = 0.0
    for i in range(len(px)):
        if px[i] > 0 and group[i] == i:
            value = 1.0 - shift[i] / share[i]
            second = max(second, min(value, largest))
            largest = max(largest, value)
    return second


@kernel("void(float64[::1], float64[::1], int64[::1], float64[::1], float64[::1])", inner=True)
def _remove_leads(w: np.ndarray, root: np.ndarray, group: np.ndarray, share: np.ndarray, overlap: np.ndarray) -> None:
    """Take the groups' first eigenvectors, the roots of px, out of w."""
    for i in range(len(w)):
        overlap[i] = 0.0
    for i in range(len(w)):
        overlap[group[i]] += w[i] * root[i]
    for i in range(len(w)):
        if root[i] > 0:
            w[i] -= overlap[group[i]] / share[group[i]] * root[i]


@kernel("void(float64[::1], float64[:,::1], float64[:,::1], int64, float64[::1])", inner=True)
def _orthogonalise(w: np.ndarray, basis: np.ndarray, transposed: np.ndarray, size: int, products: np.ndarray) -> None:
    """Take the first `size` vectors of the basis out of w."""
    for k in range(size):
        products[k] = 0.0
    for i in range(len(w)):
        for k in range(size):
            products[k] += transposed[i, k] * w[i]
    for k in range(size):
        for i in range(len(w)):
            w[i] -= products[k] * basis[k, i]


@kernel("boolean(float64[::1], float64[::1], int64, float64)", inner=True)
def _bounded(alpha: np.ndarray, beta: np.ndarray, size: int, bound: float) -> bool:
    """Whether all eigenvalues of a symmetric tridiagonal matrix are between -bound and bound (its LDL pivots)."""
    above = bound - alpha[0]
    below = bound + alpha[0]
    for i in range(1, size):
        if above <= 0 or below <= 0:
            return False
        square = beta[i - 1] * beta[i - 1]
        above = bound - alpha[i] - square / above
        below = bound + alpha[i] - square / below
    return above > 0 and below > 0


@kernel("float64(float64[::1], float64[::1], int64, float64, float64)", inner=True)
def _largest(alpha: np.ndarray, beta: np.ndarray, size: int, sign: float, bound: float) -> float:
    """Largest eigenvalue of `sign` times a symmetric tridiagonal matrix, which `bound` exceeds, by Newton's iteration
    on its characteristic polynomial, from above and therefore monotone."""
    while True:
        pivot = bound - sign * alpha[0]
        slope = 1.0
        change = slope / pivot
        for i in range(1, size):
            if pivot <= 0:
                return bound
            ratio = beta[i - 1] * beta[i - 1] / pivot
            slope = 1.0 + ratio / pivot * slope
            pivot = bound - sign * alpha[i] - ratio
            change += slope / pivot
        if pivot <= 0 or bound - 1 / change >= bound or 1 / change < MIN_NEWTON_STEP:
            return bound
        bound -= 1 / change


@kernel("float64(float64[::1], float64[::1], int64, float64)", inner=True)
def _largest_magnitude(alpha: np.ndarray, beta: np.ndarray, size: int, low: float) -> float:
    """Largest magnitude of an eigenvalue of a symmetric tridiagonal matrix, at least `low`."""
    step = MAX_CHANGE
    while not _bounded(alpha, beta, size, low + step):
        low += step
        step *= 100
    high = low + step
    return max(_largest(alpha, beta, size, 1.0, high), _largest(alpha, beta, size, -1.0, high))


@kernel(
    "float64(int64[::1], int64[::1], float64[::1], float64[::1], int64[::1], float64[::1], float64[::1], int64,"
    " float64[:,::1], float64[:,::1], float64[:,::1])",
    inner=True,
)
def _lanczos(
    row: np.ndarray,
    column: np.ndarray,
    scaled: np.ndarray,
    root: np.ndarray,
    group: np.ndarray,
    share: np.ndarray,
    overlap: np.ndarray,
    free: int,
    basis: np.ndarray,
    transposed: np.ndarray,
    tridiagonal: np.ndarray,
) -> float:
    """Largest magnitude of an eigenvalue of the symmetric matrix with the entries `scaled` (and their mirror images),
    the groups' first ones apart; `free`: dimensions that are left."""
    alpha, beta, products = tridiagonal[0], tridiagonal[1], tridiagonal[2]
    mean = 0.0
    for i in range(len(root)):
        mean += root[i] * root[i] * i
    state = 12345
    for i in range(len(root)):
        state = (1103515245 * state + 12345) % 2147483648
        basis[0, i] = root[i] * (i - mean + state / 2147483648 - 0.5)
    _remove_leads(basis[0], root, group, share, overlap)
    largest = 0.0
    size = 0
    while size < min(free, len(basis) - 1):
        w, following = basis[size], basis[size + 1]
        _remove_leads(w, root, group, share, overlap)
        _orthogonalise(w, basis, transposed, size, products)
        norm = 0.0
        for i in range(len(w)):
            norm += w[i] * w[i]
        norm = math.sqrt(norm)
        if norm < MIN_NORM:
            break
        for i in range(len(w)):
            w[i] /= norm
            transposed[i, size] = w[i]
            following[i] = 0.0
        if size > 0:
            beta[size - 1] = norm
        for e in range(len(row)):
            i, j = row[e], column[e]
            following[i] += scaled[e] * w[j]
            if i != j:
                following[j] += scaled[e] * w[i]
        alpha[size] = 0.0
        for i in range(len(w)):
            alpha[size] += following[i] * w[i]
        for i in range(len(w)):
            following[i] -= alpha[size] * w[i]
            if size > 0:
                following[i] -= norm * basis[size - 1, i]
        size += 1
        if size % 4 == 0:
            if _bounded(alpha, beta, size, largest + MAX_CHANGE):
                return largest
            largest = _largest_magnitude(alpha, beta, size, largest)
    return largest if size % 4 == 0 else _largest_magnitude(alpha, beta, size, largest)


@kernel(
    "float64(int64[::1], int64[::1], float64[::1], float64[::1], float64[::1], int64[::1], float64[:,::1],"
    " float64[:,::1], float64[:,::1], float64[:,::1])",
    inner=True,
)
def second_eigenvalue(
    row: np.ndarray,
    column: np.ndarray,
    p: np.ndarray,
    scaled: np.ndarray,
    px: np.ndarray,
    group: np.ndarray,
    of_levels: np.ndarray,
    basis: np.ndarray,
    transposed: np.ndarray,
    tridiagonal: np.ndarray,
) -> float:
    """Second largest eigenvalue of Q[i, j] = sum over k of p[i, k] p[j, k] / (px[i] px[k] + EPS), a symmetric GLCM's.

    Q is similar to the square of the symmetric matrix p[i, j] / root(px[i] px[j]), but for EPS. Its first eigenvector
    is known, root(px) for each group of levels that are neighbours, and so is its eigenvalue, 1 but for EPS. EPS
    matters where both levels are rare; it is taken into account to first order. 1 for a single level.

    Parameters
    ----------
    row, column, p: (m,) the level pairs i <= j that occur and their probability in one order.
    px: (K,) marginal probability of each level, 0 for those without neighbours.
    scaled, group, of_levels: scratch, (m,), (K,), (3, K).
    basis, transposed, tridiagonal: scratch, (steps + 1, K), (K, steps + 1), (3, steps + 1).
    """
    if len(px) == 1:
        return 1.0
    share, overlap, root = of_levels[0], of_levels[1], of_levels[2]
    for i in range(len(px)):
        root[i] = math.sqrt(px[i])
    for e in range(len(row)):
        i, j = row[e], column[e]
        scaled[e] = p[e] / (root[i] * root[j]) * (1 - 0.5 * EPS / (px[i] * px[j] + EPS))
    free = _group_levels(row, column, px, group, share)
    second = _second_lead(row, column, p, px, group, share, overlap)
    largest = _lanczos(row, column, scaled, root, group, share, overlap, free, basis, transposed, tridiagonal)
    return max(second, largest * largest)
