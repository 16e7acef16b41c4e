"""Writes statistics_python.json; needs pauc, dcurves and confidenceinterval (versions stand in the file)."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import confidenceinterval
import numpy as np
import pandas as pd
import pauc
from dcurves import dca

HERE = Path(__file__).parent
THRESHOLDS = [0.05, 0.1, 0.2, 0.3, 0.5, 0.7]


def one(case: pd.DataFrame) -> dict:
    y = case["y"].to_numpy()
    a, b = (pauc.ROC(y, case[column].to_numpy()) for column in ("a", "b"))
    curve = dca(data=case, outcome="y", modelnames=["p"], thresholds=THRESHOLDS)
    benefit = {name: curve[curve["model"] == name]["net_benefit"].tolist() for name in ("p", "all")}
    f1, f1_ci = confidenceinterval.f1_score(y.tolist(), (case["p"] >= 0.3).astype(int).tolist(), average="binary")
    return {
        "auc": [float(a.auc), float(b.auc)],
        "covariance": [[pauc.var(a), pauc.cov(a, b)], [pauc.cov(b, a), pauc.var(b)]],
        "ci_a": np.ravel(pauc.ci_auc(a)).tolist(),
        "paired_p": float(pauc.compare(a, b, method="delong", paired=True).p_value),
        "decision_curve": benefit,
        "f1": [float(f1), *map(float, f1_ci)],
    }


def main() -> None:
    cases = pd.read_csv(HERE / "statistics_cases.csv")
    values = {name: one(case.reset_index(drop=True)) for name, case in cases.groupby("case", sort=False)}
    values["thresholds"] = THRESHOLDS
    values["made_by"] = {
        "command": "python statistics_python.py",
        **{name: version(name) for name in ("pauc", "dcurves", "confidenceinterval", "numpy", "pandas", "scipy")},
    }
    (HERE / "statistics_python.json").write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
