"""NGTDM: how grey levels differ from the mean of their neighbours, and its five features."""

from __future__ import annotations

import numpy as np

from DeepRadScoreLib.radscore.engine.counts import TextureCounts

COARSEST = 1e6
"""Coarseness of a region in which no voxel differs from its neighbours."""


def ngtdm_features(counts: TextureCounts) -> dict[str, float]:
    """Features of the neighbourhood grey tone difference matrix (`pyradiomics.ngtdm`; IBSI IPET, with 26 neighbours:
    QCDE, 65HE, NQ30, HDEZ, 1X9X).

    pyradiomics counts a voxel without neighbours, with a difference of 0; its own documentation and IBSI leave it out.
    """
    grey = counts.grey.astype(float)
    p = counts.neighbours.sum(1) / counts.neighbours.sum()
    n = float(counts.neighbours.sum())
    s = counts.differences[:, 1:] @ (1 / np.arange(1.0, counts.differences.shape[1]))
    difference = np.abs(grey[:, None] - grey)
    total = float(s.sum())
    coarse = float((p * s).sum())
    levels = len(grey)
    contrast = float(p @ difference**2 @ p) * total / n
    spread = float(np.abs((grey * p)[:, None] - grey * p).sum())
    weighted = p * s
    sums = p[:, None] + p
    return {
        "Busyness": coarse / spread if spread else 0.0,
        "Coarseness": 1 / coarse if coarse else COARSEST,
        "Complexity": float((difference * (weighted[:, None] + weighted) / sums).sum()) / n,
        "Contrast": contrast / (levels * (levels - 1)) if levels > 1 else 0.0,
        "Strength": float((sums * difference**2).sum()) / total if total else 0.0,
    }
