"""The loops over voxels, compiled by numba: sub-bands, grey levels, texture counts and zones.

All arrays are made by the caller. Counts are integers, each kernel is serial, and no fused or reordered arithmetic is
allowed: the same input gives the same bits, on any number of threads.
"""

from __future__ import annotations

import numpy as np

from DeepRadScoreLib.radscore.engine.compiled import kernel

EPS = 2.0**-52
"""The spacing of 1.0, which pyradiomics adds inside logarithms and to divisors against zeros."""
ANGLES = 13
"""Directions of a voxel's neighbours, opposite ones counted once."""
_FILTER = "void({0}[:,:,::1], int64[:,::1], int64[:,::1], {0}[::1], {0}[::1], {0}[:,:,::1], {0}[:,:,::1])"


@kernel(_FILTER.format("float64"), _FILTER.format("float32"))
def filter_axis(
    source: np.ndarray,
    taps: np.ndarray,
    rows: np.ndarray,
    low_pass: np.ndarray,
    high_pass: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
) -> None:
    """Both filters along the middle axis: `low`, `high` (outer, n, inner) from `source` (outer, m, inner).

    Output row i adds the products of the filter's tap `taps[i, t]` with row `rows[i, t]`, in the order of t.
    """
    for outer in range(low.shape[0]):
        for i in range(low.shape[1]):
            row_low, row_high = low[outer, i], high[outer, i]
            row = source[outer, rows[i, 0]]
            tap_low, tap_high = low_pass[taps[i, 0]], high_pass[taps[i, 0]]
            for inner in range(len(row)):
                row_low[inner] = tap_low * row[inner]
                row_high[inner] = tap_high * row[inner]
            for t in range(1, taps.shape[1]):
                row = source[outer, rows[i, t]]
                tap_low, tap_high = low_pass[taps[i, t]], high_pass[taps[i, t]]
                for inner in range(len(row)):
                    row_low[inner] += tap_low * row[inner]
                    row_high[inner] += tap_high * row[inner]


_AT = "void({0}[:,::1], int64[:,::1], int64[:,::1], {0}[::1], int64[::1], int64[::1], {0}[::1])"


@kernel(_AT.format("float64"), _AT.format("float32"))
def filter_at(
    source: np.ndarray,
    taps: np.ndarray,
    rows: np.ndarray,
    filter_taps: np.ndarray,
    others: np.ndarray,
    last_axis: np.ndarray,
    values: np.ndarray,
) -> None:
    """One filter along the last axis of `source` (others, m), only at the listed voxels (others, last_axis)."""
    for v in range(len(values)):
        other, i = others[v], last_axis[v]
        total = filter_taps[taps[i, 0]] * source[other, rows[i, 0]]
        for t in range(1, taps.shape[1]):
            total += filter_taps[taps[i, t]] * source[other, rows[i, t]]
        values[v] = total


@kernel("int64(float64[::1], float64, float64, int64[::1], int64[::1], float64[::1], int64[::1])")
def gather_ranks(
    values: np.ndarray,
    lowest: float,
    scale: float,
    ranks: np.ndarray,
    counts: np.ndarray,
    gathered: np.ndarray,
    places: np.ndarray,
) -> int:
    """Some of the values, among them those at given positions of all in order; how many.

    lowest: of the values, which `scale` spreads evenly over the ranges of `counts`.
    ranks: positions asked for, ascending.
    counts: scratch, one for each range.
    gathered: the values of the ranges that are asked for, of the values' length.
    places: position of each rank among the gathered ones in order.
    """
    last = len(counts) - 1
    counts[:] = 0
    for v in range(len(values)):
        counts[min(int((values[v] - lowest) * scale), last)] += 1
    below = 0
    count = 0
    rank = 0
    for c in range(len(counts)):
        end = below + counts[c]
        wanted = rank < len(ranks) and ranks[rank] < end
        while rank < len(ranks) and ranks[rank] < end:
            places[rank] = count + ranks[rank] - below
            rank += 1
        if wanted:
            count += counts[c]
        counts[c] = wanted
        below = end
    n = 0
    for v in range(len(values)):
        gathered[n] = values[v]
        n += counts[min(int((values[v] - lowest) * scale), last)]
    return n


@kernel("float64(float64[::1], float64, float64)")
def mean_deviation_within(values: np.ndarray, low: float, high: float) -> float:
    """Mean absolute deviation, about their mean, of the values from `low` to `high`, of which there is one at least."""
    count = 0
    total = 0.0
    for v in range(len(values)):
        within = (low <= values[v]) & (values[v] <= high)
        count += within
        total += values[v] - low if within else 0.0
    mean = low + total / count
    deviation = 0.0
    for v in range(len(values)):
        within = (low <= values[v]) & (values[v] <= high)
        deviation += abs(values[v] - mean) if within else 0.0
    return deviation / count


@kernel("void(float64[::1], float64[::1], int64[::1])")
def digitize(values: np.ndarray, edges: np.ndarray, levels: np.ndarray) -> None:
    """`numpy.digitize` for edges of equal distance (at least two): level i holds edges[i - 1] <= value < edges[i]."""
    last = len(edges)
    width = edges[1] - edges[0]
    for v in range(len(values)):
        level = min(max(int((values[v] - edges[0]) / width) + 1, 0), last)
        while level < last and values[v] >= edges[level]:
            level += 1
        while level > 0 and values[v] < edges[level - 1]:
            level -= 1
        levels[v] = level


@kernel(
    "void(uint16[::1], int64[::1], int64[::1], int64[::1], int32[:,:,::1], int32[:,::1], int64[:,::1], int64[:,::1],"
    " uint16[::1], uint16[::1])"
)
def count_neighbours(
    box: np.ndarray,
    voxels: np.ndarray,
    offsets: np.ndarray,
    grey: np.ndarray,
    pairs: np.ndarray,
    dependence: np.ndarray,
    neighbours: np.ndarray,
    differences: np.ndarray,
    equal: np.ndarray,
    starts: np.ndarray,
) -> None:
    """What GLCM, GLDM and NGTDM need, in one pass over a region.

    box: flat padded box of level indices, 0 outside the region.
    voxels: the region's positions in the box.
    offsets: (13,) steps in the box to the later neighbour of each direction.
    grey: level index -> grey level, grey[0] = 0.
    pairs: (13, K, K) count of (voxel's level, later neighbour's level); row and column 0 are to be ignored.
    dependence: (K, 27) count of voxels by the number of neighbours of the same level.
    neighbours, differences: (K, 27) by the number m of neighbours: voxels, and sum of |m grey - sum of theirs|.
    equal: of the box's length, filled at the voxels: bit a is set where the later neighbour of direction a has the
        voxel's level.
    starts: one for each voxel: bit a is set where a run of two voxels or more along direction a begins.
    """
    for v in range(len(voxels)):
        here = voxels[v]
        level = box[here]
        total = 0
        count = 0
        same = 0
        equal_later = 0
        equal_earlier = 0
        for a in range(ANGLES):
            later = box[here + offsets[a]]
            earlier = box[here - offsets[a]]
            pairs[a, level, later] += 1
            total += grey[later] + grey[earlier]
            count += (later > 0) + (earlier > 0)
            same += (later == level) + (earlier == level)
            equal_later |= (later == level) << a
            equal_earlier |= (earlier == level) << a
        equal[here] = equal_later
        starts[v] = equal_later & ~equal_earlier
        dependence[level, same] += 1
        neighbours[level, count] += 1
        differences[level, count] += abs(count * grey[level] - total)


@kernel("void(uint16[::1], int64[::1], int64[::1], uint16[::1], uint16[::1], int32[::1], int32[:,:,::1])")
def count_runs(
    box: np.ndarray,
    voxels: np.ndarray,
    offsets: np.ndarray,
    equal: np.ndarray,
    starts: np.ndarray,
    last: np.ndarray,
    runs: np.ndarray,
) -> None:
    """What GLRLM needs: runs (13, K, longest) by length - 1, of two voxels and more; no branch depends on the image.

    box, voxels, offsets, equal, starts: as in `count_neighbours`.
    last: scratch, one for each voxel: the last voxels seen of the runs that may go on.
    """
    for a in range(ANGLES):
        step = offsets[a]
        n = 0
        for v in range(len(voxels)):
            last[n] = voxels[v] + step
            n += (starts[v] >> a) & 1
        length = 2
        while n > 0:
            longer = 0
            for r in range(n):
                here = last[r]
                goes_on = (equal[here] >> a) & 1
                runs[a, box[here], length - 1] += 1 - goes_on
                last[longer] = here + step
                longer += goes_on
            n = longer
            length += 1


@kernel("int64(uint16[::1], int64[::1], int64[::1], int32[::1], int32[::1], int64[::1], int64[::1])")
def find_zones(
    box: np.ndarray,
    voxels: np.ndarray,
    offsets: np.ndarray,
    parent: np.ndarray,
    size: np.ndarray,
    zone_level: np.ndarray,
    zone_size: np.ndarray,
) -> int:
    """Connected voxels (26 neighbours) of one level: their number; level index and size of each in the last arrays.

    parent, size: scratch of the box's length. A voxel joins its earlier neighbours of the same level. `offsets` begins
    with that of z: the neighbour there touches all other earlier ones, which therefore need not be looked at.
    """
    for v in range(len(voxels)):
        here = voxels[v]
        level = box[here]
        parent[here] = here
        size[here] = 0
        root = here
        for a in range(ANGLES):
            there = here - offsets[a]
            if box[there] != level:
                continue
            while parent[there] != there:
                parent[there] = parent[parent[there]]
                there = parent[there]
            if there < root:
                parent[root] = there
                root = there
            elif there > root:
                parent[there] = root
            if a == 0:
                break
    for v in range(len(voxels)):
        root = voxels[v]
        while parent[root] != root:
            root = parent[root]
        parent[voxels[v]] = root
        size[root] += 1
    zones = 0
    for v in range(len(voxels)):
        here = voxels[v]
        if parent[here] == here:
            zone_level[zones] = box[here]
            zone_size[zones] = size[here]
            zones += 1
    return zones
