"""Errors on their way from a worker process, and what must not be shown as a number."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import SimpleITK as sitk
from joblib import Parallel, delayed

from DeepRadScoreLib.analysis import steps
from DeepRadScoreLib.bundle import ValidationCard
from DeepRadScoreLib.computing.extraction import CaseTask, compute_case
from DeepRadScoreLib.computing.workers import InProcess
from DeepRadScoreLib.errors import CohortError, InputError
from DeepRadScoreLib.imaging import case_from_images
from DeepRadScoreLib.study.training.train import train_bundle
from support.small_study import small_plan, small_study


def refuse() -> None:
    raise CohortError("nothing", where="a.csv", mend="mend it")


def test_an_error_keeps_its_sentence_across_processes():
    error = InputError("it is broken", where="file.nrrd", mend="mend it")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is InputError
    assert str(again) == "file.nrrd: it is broken; mend it."
    with pytest.raises(CohortError, match=r"a\.csv: nothing; mend it"):
        Parallel(n_jobs=2)(delayed(refuse)() for _ in range(2))


def ball(radius: float) -> np.ndarray:
    z, y, x = np.mgrid[:40, :44, :44] - np.array([20, 22, 22]).reshape(3, 1, 1, 1)
    return x**2 + y**2 + z**2 <= radius**2


def test_a_mask_read_in_another_role_is_computed_anew(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "ct": (np.where(ball(6), 30, -850) + rng.normal(0, 20, (40, 44, 44))).astype(np.int16),
        "mask": ball(6).astype(np.uint8),
        "other": (ball(9) & (np.arange(44) > 18)).astype(np.uint8),
    }
    for name, values in arrays.items():
        sitk.WriteImage(sitk.GetImageFromArray(values), str(tmp_path / f"{name}.nrrd"))
    files = {name: str(tmp_path / f"{name}.nrrd") for name in arrays}
    common = {"case_id": "a", "ct": files["ct"], "mask": files["mask"], "segment": "", "shell_mm": 3.0}
    records = [
        compute_case(
            CaseTask(**common, lung_mask=lung, repeat_mask=repeat, preprocessing="canonical"), tmp_path / "cache"
        )
        for lung, repeat in ((files["other"], ""), ("", files["other"]))
    ]
    assert [record.error for record in records] == ["", ""]
    assert records[0].repeat is None
    assert records[1].repeat is not None
    assert not np.array_equal(records[0].features, records[1].features)


def test_a_finding_without_a_signal_is_null(tmp_path):
    cohort, computed = small_study(70)
    bundle = train_bundle(
        cohort, computed, small_plan(), work=tmp_path, workers=InProcess(), progress=lambda *_: None
    ).bundle
    bundle.endpoints["KRAS"].fusion.no_signal_ = True
    bundle.endpoints["EGFR"].fusion.no_signal_ = False
    bundle.manifest.endpoints["EGFR"].validation["deep-radscore"] = ValidationCard(
        auc=0.7, auc_ci=(0.45, 0.9), n=14, positives=7
    )
    rng = np.random.default_rng(0)
    ct = sitk.GetImageFromArray((np.where(ball(6), 30, -850) + rng.normal(0, 20, (40, 44, 44))).astype(np.int16))
    running = steps(case_from_images(ct, sitk.GetImageFromArray(ball(6).astype(np.uint8)), case_id="a"), bundle)
    fractions = []
    while True:
        try:
            fractions.append(next(running).fraction)
        except StopIteration as end:
            profile = end.value
            break
    assert fractions == sorted(fractions)
    known, unknown, absent = (profile.findings[key] for key in ("EGFR", "KRAS", "ALK"))
    assert unknown.probability is unknown.decision is unknown.spread is None
    assert "no_signal" in unknown.flags
    assert unknown.shap == {}
    assert absent.flags == ("not_modelled",)
    assert absent.probability is None
    assert 0.0 < known.probability < 1.0
    assert "not_better_than_chance" in known.flags
    low, high = known.spread
    assert ("outside_spread" in known.flags) == (not low - 0.01 <= known.probability <= high + 0.01)
    score = bundle.endpoints["EGFR"].fusion
    total = sum(known.shap.values()) + known.shap_base
    probability = 1.0 / (1.0 + np.exp(-(score.slope_ * total + score.intercept_)))
    assert known.probability == pytest.approx(probability, abs=1e-6)
    for region in ("tumour", "peritumoral"):
        assert sum(value for _, value in known.drivers[region]) == pytest.approx(
            getattr(known, f"radscore_{region}"), rel=1e-9
        )
