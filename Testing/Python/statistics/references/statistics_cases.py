"""Writes statistics_cases.csv: labels, two correlated scores, a probability and a fold for each of three made-up cases.

Scores have six digits in `plain`, one in `ties` (many equal ones); `rare` has 12 positives of 120.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

CASES = {"plain": (508, 150, 6, 0.8), "ties": (200, 70, 0, 1.0), "rare": (120, 12, 6, 1.2)}


def main() -> None:
    tables = []
    for seed, (name, (n, positives, digits, shift)) in enumerate(CASES.items()):
        rng = np.random.default_rng(seed)
        y = np.repeat([1, 0], [positives, n - positives])
        fold = np.concatenate([np.arange(positives) % 5, np.arange(n - positives) % 5])
        common = rng.normal(size=n)
        a = np.round(0.8 * common + 0.6 * rng.normal(size=n) + shift * y, digits)
        b = np.round(0.8 * common + 0.6 * rng.normal(size=n) + 0.7 * shift * y, digits)
        p = np.round(1.0 / (1.0 + np.exp(-(1.5 * a - 2.0 + 0.2 * rng.normal(size=n)))), 6)
        order = rng.permutation(n)
        table = pd.DataFrame({"case": name, "y": y, "a": a, "b": b, "p": p, "fold": fold}).iloc[order]
        tables.append(table)
    pd.concat(tables).to_csv(Path(__file__).with_suffix(".csv"), index=False)


if __name__ == "__main__":
    main()
