"""All that is known of some cases when they are compared with the training cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from DeepRadScoreLib.imaging.acquisition import Acquisition


@dataclass(frozen=True)
class Evidence:
    """What is known of n cases, in one order; None or empty where it is not known.

    Attributes
    ----------
    features: (n x 1702).
    measures: (n x `measures.MEASURES`).
    pooled: one array (n, p) for each network, its pooled features.
    columns: endpoint -> (n x d) columns of its fused model, z-scored; NaN where a training case has none.
    acquisitions: of each case.
    """

    features: pd.DataFrame
    measures: pd.DataFrame | None = None
    pooled: tuple[np.ndarray, ...] = ()
    columns: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    acquisitions: Sequence[Acquisition] = ()
