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
SHORT = 8
"""Runs of fewer voxels are counted from the stretches of each length."""
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
            for inner in range(low.shape[2]):
                value = source[outer, rows[i, 0], inner]
                sum_low = low_pass[taps[i, 0]] * value
                sum_high = high_pass[taps[i, 0]] * value
                for t in range(1, taps.shape[1]):
                    value = source[outer, rows[i, t], inner]
                    sum_low += low_pass[taps[i, t]] * value
                    sum_high += high_pass[taps[i, t]] * value
                low[outer, i, inner] = sum_low
                high[outer, i, inner] = sum_high


_GATHER = "void({0}[:,::1], int64[:,::1], int64[:,::1], {0}[::1], int64[::1], int64[::1], {0}[::1])"


@kernel(_GATHER.format("float64"), _GATHER.format("float32"))
def filter_at(
    source: np.ndarray,
    taps: np.ndarray,
    rows: np.ndarray,
    filter_taps: np.ndarray,
    first_axis: np.ndarray,
    others: np.ndarray,
    values: np.ndarray,
) -> None:
    """One filter along the first axis of `source` (m, others), only at the listed voxels (first_axis, others)."""
    for v in range(len(values)):
        i, other = first_axis[v], others[v]
        total = filter_taps[taps[i, 0]] * source[rows[i, 0], other]
        for t in range(1, taps.shape[1]):
            total += filter_taps[taps[i, t]] * source[rows[i, t], other]
        values[v] = total


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
    "void(uint16[::1], int64[::1], int64[::1], int64[::1], int32[:,:,::1], int32[:,::1], int64[:,::1], int64[:,::1])"
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
) -> None:
    """What GLCM, GLDM and NGTDM need, in one pass over a region.

    box: flat padded box of level indices, 0 outside the region.
    voxels: the region's positions in the box.
    offsets: (13,) steps in the box to the later neighbour of each direction.
    grey: level index -> grey level, grey[0] = 0.
    pairs: (13, K, K) count of (voxel's level, later neighbour's level); row and column 0 are to be ignored.
    dependence: (K, 27) count of voxels by the number of neighbours of the same level.
    neighbours, differences: (K, 27) by the number m of neighbours: voxels, and sum of |m grey - sum of theirs|.
    """
    for v in range(len(voxels)):
        here = voxels[v]
        level = box[here]
        total = 0
        count = 0
        same = 0
        for a in range(ANGLES):
            later = box[here + offsets[a]]
            earlier = box[here - offsets[a]]
            pairs[a, level, later] += 1
            total += grey[later] + grey[earlier]
            count += (later > 0) + (earlier > 0)
            same += (later == level) + (earlier == level)
        dependence[level, same] += 1
        neighbours[level, count] += 1
        differences[level, count] += abs(count * grey[level] - total)


@kernel("void(uint16[::1], int64[::1], int64[::1], int32[::1], int32[:,:,::1], int32[:,:,::1])")
def count_runs(
    box: np.ndarray,
    voxels: np.ndarray,
    offsets: np.ndarray,
    starts: np.ndarray,
    segments: np.ndarray,
    runs: np.ndarray,
) -> None:
    """What GLRLM needs, without a branch that depends on the image where runs are short.

    box, voxels, offsets: as in `count_neighbours`.
    starts: scratch, one for each voxel.
    segments: (13, K, SHORT + 1) by length - 1: stretches of at least two voxels of one level, also within a longer run.
    runs: (13, K, longest) by length - 1: runs of SHORT voxels and more.
    """
    for a in range(ANGLES):
        step = offsets[a]
        n = 0
        for v in range(len(voxels)):
            starts[n] = voxels[v]
            n += box[voxels[v] + step] == box[voxels[v]]
        for length in range(2, SHORT + 2):
            if length == SHORT:
                for s in range(n):
                    end = starts[s] + SHORT * step
                    level = box[starts[s]]
                    if box[starts[s] - step] != level:
                        run = SHORT
                        while box[end] == level:
                            end += step
                            run += 1
                        runs[a, level, run - 1] += 1
            longer = 0
            for s in range(n):
                start = starts[s]
                level = box[start]
                segments[a, level, length - 1] += 1
                starts[longer] = start
                longer += box[start + length * step] == level
            n = longer


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
