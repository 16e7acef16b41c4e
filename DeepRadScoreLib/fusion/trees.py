"""Decision trees grown by compiled code, each only to score other cases: those of scikit-learn's forests to the bit.

The definition is `sklearn.tree.DecisionTreeClassifier(max_features="sqrt")`: Gini impurity, grown depth first until
every leaf is pure, candidate features drawn by Fisher and Yates' shuffle with a 32-bit xorshift generator. Weights are
whole numbers, so that every sum is exact and the order in which cases are added cannot change a tree.
"""

from __future__ import annotations

import numpy as np
from numba import njit

SAME_VALUE = np.float32(1e-7)
"""Values no further apart than this are not split: scikit-learn's `FEATURE_THRESHOLD`."""

FEW_CASES = 20
"""Cases up to which sorting by insertion is the fastest."""

CLEARLY_LESS = 1.0 - 1e-12
"""A gain in exact arithmetic below this share of the best one is also below it as rounded; measured from 0."""

RANDOM_RANGE = np.uint32(2**31)


@njit(cache=True)
def tree_votes(
    values: np.ndarray,
    positive: np.ndarray,
    ranks: np.ndarray,
    weights: np.ndarray,
    states: np.ndarray,
    unseen: np.ndarray,
    drawn: int,
) -> np.ndarray:
    """Share of positives (trees, m) in each tree's leaf of m other cases.

    Parameters
    ----------
    values: columns of the n training cases, float32, (d, n).
    positive: 1.0 for a positive case, else 0.0, (n,).
    ranks: place of each value in its sorted column, uint32, (d, n).
    weights: how often each tree's sample holds each case, float64, (trees, n).
    states: first state of each tree's random generator, uint32, (trees,).
    unseen: columns of the other cases, float32, (m, d).
    drawn: number of features among which each split is searched.
    """
    d, n = values.shape
    votes = np.empty((len(weights), len(unseen)))
    cases = np.empty(n + 1, np.uint32)
    slots = np.full(n, n, np.uint32)
    features, constants = np.empty(d, np.int64), np.empty(d, np.int64)
    feature, children, threshold, share = (
        np.empty(2 * n, np.int64),
        np.empty((2 * n, 2), np.int64),
        np.empty(2 * n),
        np.empty(2 * n),
    )
    stack, sums = np.empty((2 * n, 5), np.int64), np.empty((2 * n, 2))
    positives = np.empty(n)
    for tree in range(len(weights)):
        weight = weights[tree]
        size = 0
        for case in range(n):
            positives[case] = weight[case] * positive[case]
            cases[size] = case
            size += weight[case] > 0
        for each in range(d):
            features[each] = each
        stack[0] = (0, size, 0, 0, 0)
        sums[0] = (weight.sum(), positives.sum())
        state, waiting, nodes = states[tree], 1, 0
        while waiting > 0:
            waiting -= 1
            start, end, parent, side, known = stack[waiting]
            total, true = sums[waiting]
            node = nodes
            nodes += 1
            children[parent, side] = node
            share[node] = true / total
            feature[node] = -1
            if end - start < 2 or not 0.0 < true < total:
                continue
            members = cases[start:end]
            split, chosen, cut, left, left_true, known, state = _best_split(
                values, ranks, weight, positives, members, slots, features, constants, total, true, known, drawn, state
            )
            if split == len(members):
                continue
            feature[node], threshold[node] = chosen, cut
            _partition(values[chosen], members, cut)
            stack[waiting] = (start + split, end, node, 1, known)
            sums[waiting] = (total - left, true - left_true)
            stack[waiting + 1] = (start, start + split, node, 0, known)
            sums[waiting + 1] = (left, left_true)
            waiting += 2
        for case in range(len(unseen)):
            node = 0
            while feature[node] >= 0:
                node = children[node, np.int64(unseen[case, feature[node]] > threshold[node])]
            votes[tree, case] = share[node]
    return votes


@njit(cache=True)
def _best_split(
    values: np.ndarray,
    ranks: np.ndarray,
    weight: np.ndarray,
    positives: np.ndarray,
    members: np.ndarray,
    slots: np.ndarray,
    features: np.ndarray,
    constants: np.ndarray,
    total: float,
    true: float,
    known: int,
    drawn: int,
    state: np.uint32,
) -> tuple[int, int, float, float, float, int, np.uint32]:
    """The split of a node's cases with the largest gain.

    `features` holds first the `known` features that do not vary in an ancestor; its order decides what is drawn.

    Returns
    -------
    Number of cases to the left (all: none can be split), feature, threshold, weight and weight of the positives to the
    left, number of features that do not vary here, state of the generator.
    """
    count = len(members)
    best, best_above, best_below = -np.inf, 0.0, 1.0
    split, chosen, cut, best_left, best_left_true = count, 0, 0.0, 0.0, 0.0
    visited = found = drawn_constants = 0
    constant, unseen = known, len(features)
    while unseen > constant and (visited < drawn or visited <= found + drawn_constants):
        visited += 1
        state = _next_state(state)
        choices = np.uint32(unseen - found - drawn_constants)
        place = drawn_constants + np.int64((state % RANDOM_RANGE) % choices)
        if place < known:
            features[drawn_constants], features[place] = features[place], features[drawn_constants]
            drawn_constants += 1
            continue
        place += found
        feature = features[place]
        column = values[feature]
        _sort(members, ranks[feature], slots)
        if column[members[count - 1]] <= column[members[0]] + SAME_VALUE:
            features[place], features[constant] = features[constant], features[place]
            found += 1
            constant += 1
            continue
        unseen -= 1
        features[unseen], features[place] = features[place], features[unseen]
        left = left_true = 0.0
        case = members[0]
        before = column[case]
        for position in range(1, count):
            left += weight[case]
            left_true += positives[case]
            case = members[position]
            here = column[case]
            if here > before + SAME_VALUE:
                right, right_true = total - left, true - left_true
                left_false, right_false = left - left_true, right - right_true
                squares_left = left_false * left_false + left_true * left_true
                squares_right = right_false * right_false + right_true * right_true
                above, below = squares_left * right + squares_right * left, left * right
                if above * best_below >= best_above * below * CLEARLY_LESS:
                    impurity_left = 1.0 - squares_left / (left * left)
                    impurity_right = 1.0 - squares_right / (right * right)
                    gain = -right * impurity_right - left * impurity_left
                    if gain > best:
                        best, best_above, best_below = gain, above, below
                        split, chosen, cut = position, feature, before / 2.0 + here / 2.0
                        best_left, best_left_true = left, left_true
            before = here
    features[:known] = constants[:known]
    constants[known:constant] = features[known:constant]
    return split, chosen, cut, best_left, best_left_true, constant, state


@njit(cache=True)
def _next_state(state: np.uint32) -> np.uint32:
    if state == 0:
        state = np.uint32(1)
    state ^= np.uint32(state << np.uint32(13))
    state ^= np.uint32(state >> np.uint32(17))
    return state ^ np.uint32(state << np.uint32(5))


@njit(cache=True)
def _sort(members: np.ndarray, rank: np.ndarray, slots: np.ndarray) -> None:
    """Sort cases by rank in place; `slots` (n,) is n everywhere, before and after."""
    if len(members) <= FEW_CASES:
        for first in range(1, len(members)):
            case, place = members[first], first
            while place > 0 and rank[members[place - 1]] > rank[case]:
                members[place] = members[place - 1]
                place -= 1
            members[place] = case
        return
    for case in members:
        slots[rank[case]] = case
    filled = 0
    for place in range(len(slots)):
        members[filled] = slots[place]
        filled += slots[place] < len(slots)
        slots[place] = len(slots)
        if filled == len(members):
            return


@njit(cache=True)
def _partition(column: np.ndarray, members: np.ndarray, cut: float) -> None:
    """Put the cases with values up to `cut` first, swapping as scikit-learn does."""
    first, last = 0, len(members)
    while first < last:
        if column[members[first]] <= cut:
            first += 1
        else:
            last -= 1
            members[first], members[last] = members[last], members[first]
