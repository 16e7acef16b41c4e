"""A cohort small enough for a whole evaluation in a test: a feature table, no images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

COLUMNS = [f"original_firstorder_F{i}" for i in range(20)]


def write_small_cohort(folder: Path, n: int = 90, seed: int = 0) -> tuple[Path, Path]:
    """cohort.csv and features.csv: EGFR shows in one tumour feature, KRAS nowhere, ALK has one class; ten patients have
    two cases."""
    rng = np.random.default_rng(seed)
    person = np.where(np.arange(n) < 20, np.arange(n) // 2, np.arange(n))
    egfr, kras = (rng.integers(0, 2, n)[person] for _ in range(2))
    cohort = pd.DataFrame(
        {
            "case_id": [f"case-{i:03d}" for i in range(n)],
            "patient_id": [f"p{i:03d}" for i in person],
            "site": np.where(person % 3 == 0, "north", "south"),
            "split": np.where(person % 4 == 0, "test", "train"),
            "age": rng.normal(65, 8, n)[person].round(),
            "sex": rng.choice(["f", "m"], n)[person],
            "EGFR": egfr,
            "KRAS": kras,
            "ALK": 0,
        }
    )
    features = pd.DataFrame(
        rng.normal(size=(n, 2 * len(COLUMNS))),
        columns=[f"{region}_{name}" for region in ("tumour", "peritumoral") for name in COLUMNS],
    )
    features["tumour_original_firstorder_F0"] += 2.2 * egfr
    features["tumour_original_shape_VoxelVolume"] = np.exp(rng.normal(8, 1, n))
    features.insert(0, "case_id", cohort["case_id"])
    cohort.to_csv(folder / "cohort.csv", index=False)
    features.to_csv(folder / "features.csv", index=False)
    return folder / "cohort.csv", folder / "features.csv"
