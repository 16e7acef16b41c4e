"""An older bundle learns limits from the feature table of its training cases, and from no other table."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from DeepRadScoreLib.bundles.bundle import Bundle
from DeepRadScoreLib.bundles.manifest import EndpointCard, Manifest
from DeepRadScoreLib.errors import DeepRadScoreError
from DeepRadScoreLib.fusion.columns import DeepColumns
from DeepRadScoreLib.fusion.endpoint_model import EndpointModel
from DeepRadScoreLib.radscore.radscore import RegionScores
from DeepRadScoreLib.study.training.older_limits import bundle_with_limits
from support.small_study import small_study

N, UNLABELLED = 60, 3


def manifest(labelled: int) -> Manifest:
    return Manifest(
        **dict.fromkeys(("name", "backbone", "weights"), "none"),
        label=None,
        protocol="strict",
        network="frozen",
        pixels=32,
        preprocessing="canonical",
        shell_mm=3.0,
        seed=0,
        synthetic=False,
        settings={},
        trained_on={"training_patients": N, "held_out_patients": 20, "cases": N + 20},
        endpoints={"EGFR": EndpointCard(modelled=True, n=labelled, positives=labelled // 2)},
        versions={},
    )


def older_bundle(features: pd.DataFrame, labels: np.ndarray) -> Bundle:
    """Fitted on the cases with a label; not averaged over folds, as bundles of schema 1."""
    known = ~np.isnan(labels)
    patients = np.arange(N)[known]
    regions = RegionScores.fit(features[known], labels[known].astype(int), patients, rule="single")
    model = EndpointModel(
        "EGFR",
        regions,
        (),
        DeepColumns("logit"),
        SimpleNamespace(no_signal_=False),  # type: ignore[arg-type]
        np.empty((0, 3)),
        averaged=False,
    )
    return Bundle(manifest(int(known.sum())), (), {"EGFR": model})


@pytest.fixture(scope="module")
def features() -> pd.DataFrame:
    return small_study(N)[1].features


@pytest.fixture(scope="module", params=[0, UNLABELLED])
def bundle(request: pytest.FixtureRequest, features: pd.DataFrame) -> Bundle:
    labels = np.random.default_rng(1).integers(0, 2, N).astype(float)
    labels[: request.param] = np.nan
    return older_bundle(features, labels)


def written(folder: Path, features: pd.DataFrame) -> Path:
    features.to_parquet(folder / "features.parquet")
    return folder / "features.parquet"


def test_the_table_of_the_training_cases(bundle: Bundle, features: pd.DataFrame, tmp_path: Path) -> None:
    shuffled = features.sample(frac=1, random_state=0)
    table = written(tmp_path, shuffled)
    found = bundle_with_limits(bundle, table, Path("old.zip"))
    digest = hashlib.sha256(table.read_bytes()).hexdigest()
    assert found.manifest.trained_on["limits_features_sha256"] == digest
    assert found.limits is not None and found.manifest.limits is not None
    assert found.manifest.limits.cases == N
    assert found.manifest.limits.missing == ["image", "network", "deep_columns", "acquisition"]
    assert found.limits.columns["EGFR"].names == ("radscore_tumour", "radscore_peritumoral")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda table: small_study(N, seed=5)[1].features, "means or standard deviations"),
        (lambda table: table * 1.01 + 0.3, "means or standard deviations"),
        (lambda table: table.iloc[:-1], "has 59 cases, the bundle was trained on 60; give the table"),
        (lambda table: pd.concat([table, table.iloc[:1]]), 'the case "case-000" has several rows'),
        (lambda table: table.drop(columns="tumour_original_shape_Sphericity"), "is missing"),
        (lambda table: table.assign(tumour_original_shape_Sphericity=np.inf), "has no finite number"),
        (lambda table: table.rename_axis("patient"), 'the column "case_id" is missing'),
    ],
)
def test_another_table_is_refused(
    bundle: Bundle,
    features: pd.DataFrame,
    tmp_path: Path,
    change: Callable[[pd.DataFrame], pd.DataFrame],
    expected: str,
) -> None:
    with pytest.raises(DeepRadScoreError, match=expected) as error:
        bundle_with_limits(bundle, written(tmp_path, change(features)), Path("old.zip"))
    assert "features.parquet" in str(error.value)


def test_bundles_that_need_no_limits_or_cannot_get_them(bundle: Bundle, features: pd.DataFrame, tmp_path: Path) -> None:
    table = written(tmp_path, features)
    made = bundle_with_limits(bundle, table, Path("old.zip"))
    with pytest.raises(DeepRadScoreError, match=r"old\.zip: the bundle knows the limits"):
        bundle_with_limits(made, table, Path("old.zip"))
    model = bundle.endpoints["EGFR"]
    averaged = replace(bundle, endpoints={"EGFR": replace(model, averaged=True, fold_regions=(model.regions,))})
    with pytest.raises(DeepRadScoreError, match=r"old\.zip: the bundle's scores are means over folds"):
        bundle_with_limits(averaged, table, Path("old.zip"))
