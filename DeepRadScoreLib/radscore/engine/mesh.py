"""Marching-cubes mesh of a region as a count of cube patterns, which is all that its area and volume need.

The corners of a 2 x 2 x 2 cube of voxels that lie in the region are the bits of its pattern. The triangles of a pattern
are those of pyradiomics (`cshape.c`): the table of Lorensen and Cline (doi:10.1145/37401.37422) in the form spread by
Bourke, for the 128 patterns without the last corner; the others are their complements, seen from the other side. Each
vertex lies halfway between a voxel of the region and one outside. On an ambiguous face the triangles of two neighbours
need not meet: the mesh may have holes, and its volume then depends on the origin.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

TRIANGLES = (
    "- 083 019 183198 12a 08312a 0292a9 2832a88a9 23b 08b0b2 01923b 19b1b28b9 13a3ba 08a0a18ba 0393b99ba "
    "8a98ba 478 043347 019478 147173194 12a478 04312a347 0292a9478 2732972a9479 23b478 04224b47b 01923b478 "
    "19229b47b4b9 13a3ba478 04114b1ba47b 0393b94789ba 47b4b99ba 495 083495 015054 153358485 12a495 08312a495 "
    "0242542a5 2532a5348354 23b495 08b0b2495 01505423b 15225828b485 13a3ba495 08a0a14958ba 03b0540b55ba "
    "48558a8ba 579789 093357395 017078157 157173 12a579789 09312a357395 0282582a5578 2532a5357 23b579789 "
    "09227b297579 01815717823b 15717b1b2 13a3ba579789 05707b0950a10ba 03b0570780a50ba 57b5ba 5a6 0835a6 "
    "0195a6 1831985a6 126165 083126165 026069596 258265283598 23b5a6 08b0b25a6 01923b5a6 19b1b25a68b9 "
    "1353653b6 05108b0b55b6 0360590653b6 59669b8b9 4785a6 0433475a6 0194785a6 1471731945a6 126165478 "
    "043126165347 026069478596 269293397479596 23b4785a6 04224b47b5a6 01923b4785a6 19229b47b4b95a6 "
    "1353653b6478 04b0b11b547b5b6 0360590653b6478 47959669b7b9 49a4a6 08349a4a6 01a0640a6 1681831a6486 "
    "124149264 083124149264 024264 248264283 23b49a4a6 08b0b249a4a6 01a0640a623b 14816418b1a61b2 1393693b6496 "
    "08114916418b1b6 0360643b6 48668b 67a78a89a 07309a0a767a 0181781a767a 1731a767a 126168189678 "
    "093129269397679 026067078 267273 23b67a78a89a 07209727b67a79a 0181781a723b67a 16717b1a61b2 "
    "1361693b6678689 09167b 03b0670780b6 67b"
)
"""Triangles of the patterns 0 to 127 (separated by blanks), each three digits to base 12: indices into `VERTICES`."""
# fmt: off
VERTICES = np.array([
    (0, 0, 1), (0, 1, 2), (0, 2, 1), (0, 1, 0), (2, 0, 1), (2, 1, 2),
    (2, 2, 1), (2, 1, 0), (1, 0, 0), (1, 0, 2), (1, 2, 2), (1, 2, 0),
])
"""Middles of a cube's twelve edges, (12, 3), z y x, in half voxels from its first corner."""
# fmt: on
PATTERNS = 256
HALF = PATTERNS // 2


def _triangle_vertices() -> np.ndarray:
    """Vertices of the triangles of the patterns 0 to 127, (128, 5, 3, 3): pattern, triangle, vertex, z y x; rest 0."""
    vertices = np.zeros((HALF, 5, 3, 3), np.int64)
    for pattern, digits in enumerate(TRIANGLES.replace("-", "").split(" ")):
        corners = [int(digit, 12) for digit in digits]
        vertices[pattern, : len(corners) // 3] = VERTICES[corners].reshape(-1, 3, 3)
    return vertices


def _mirrored(table: np.ndarray, sign: int) -> np.ndarray:
    """`table` (128, ...) continued to all 256 patterns: a complement has the same triangles, turned if `sign` is -1."""
    return np.concatenate([table, sign * table[::-1]])


_A, _B, _C = np.moveaxis(_triangle_vertices(), 2, 0)
TRIPLE_PRODUCTS = _mirrored(np.einsum("pti,pti->p", np.cross(_A, _B), _C), -1)
"""Sum of a x b . c over a pattern's triangles from the cube's first corner, (256,), in cubed half voxels."""
NORMALS = np.cross(_A - _C, _B - _C)
"""Normals of the triangles of patterns 0 to 127, twice their area long, (128, 5, 3), in squared half voxels."""
NORMAL_SUMS = _mirrored(NORMALS.sum(axis=1), -1)


@dataclass(frozen=True)
class Mesh:
    """The cubes that hold a part of a region's surface, in raster order.

    Attributes
    ----------
    positions: index of each cube's first corner in the padded region, (n, 3), z y x.
    patterns: pattern of each cube, (n,), 1 to 254.
    """

    positions: np.ndarray
    patterns: np.ndarray

    @cached_property
    def pattern_counts(self) -> np.ndarray:
        """How often each pattern occurs, (256,)."""
        return np.bincount(self.patterns, minlength=PATTERNS)

    def area(self, step: np.ndarray) -> float:
        """Area in mm2 for a voxel of `step` mm (z, y, x)."""
        scale = np.array([step[1] * step[2], step[0] * step[2], step[0] * step[1]]) / 4
        per_pattern = np.sqrt(np.square(NORMALS * scale).sum(axis=-1)).sum(axis=-1) / 2
        return float(self.pattern_counts @ _mirrored(per_pattern, 1))

    def volume(self, step: np.ndarray) -> float:
        """Volume in mm3 for a voxel of `step` mm (z, y, x): signed tetrahedra from the padded region's first voxel.

        A triangle a, b, c moved by p has the triple product a x b . c + p . ((a - c) x (b - c)), so that the sum needs
        no more than the counts of the patterns and the sums of their positions: an exact integer.
        """
        sums = np.stack([np.bincount(self.patterns, axis, PATTERNS) for axis in self.positions.T], axis=1)
        sixfold = self.pattern_counts @ TRIPLE_PRODUCTS + 2 * np.sum(sums.astype(np.int64) * NORMAL_SUMS)
        return float(sixfold) / 48 * float(np.prod(step))

    def vertices(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Vertices of the mesh, three arrays (n, 3), z y x, in half voxels: on edges along x, y and z, in raster order.

        Each edge belongs to one cube as an edge at its corner (1, 1, 0), whose bit is the last.
        """
        at_corner = self.patterns >= HALF
        along_x, along_y, along_z = (
            2 * self.positions[(self.patterns >> bit & 1).astype(bool) != at_corner] + VERTICES[edge]
            for bit, edge in ((6, 6), (4, 7), (3, 11))
        )
        return along_x, along_y, along_z


def mesh_of(padded: np.ndarray) -> Mesh:
    """The mesh of a region, (z, y, x), uint8 of 0 and 1, whose outermost voxels are 0."""
    front = padded[..., :-1] | padded[..., 1:] << 1
    back = padded[..., :-1] << 3 | padded[..., 1:] << 2
    square = front[:, :-1] | back[:, 1:]
    patterns = square[:-1] | square[1:] << 4
    flat = np.flatnonzero(patterns + np.uint8(1) > 1)
    rows, x = np.divmod(flat, patterns.shape[2])
    z, y = np.divmod(rows, patterns.shape[1])
    return Mesh(np.stack([z, y, x], axis=1), patterns.reshape(-1)[flat])
