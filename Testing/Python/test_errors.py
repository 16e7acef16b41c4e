"""Errors on their way from a worker process, and what must not be shown as a number."""

from __future__ import annotations

import ast
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from joblib import Parallel, delayed

from DeepRadScoreLib.analyses.analysis import steps
from DeepRadScoreLib.bundles.manifest import ValidationCard
from DeepRadScoreLib.computing.case_record import CaseTask
from DeepRadScoreLib.computing.one_case import compute_case
from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.errors import CohortError, InputError, Location, case_sentence
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


def test_an_error_says_which_file_and_field_it_is_about(tmp_path):
    table = tmp_path / "müller, hans" / "labels.csv"
    error = CohortError("it is no number", where=Location(table, 'row 3, column "age"'), mend=("see ", table.parent))
    for one in (error, pickle.loads(pickle.dumps(error))):
        assert (one.path, one.field) == (table, 'row 3, column "age"')
        assert str(one) == f'{table}, row 3, column "age": it is no number; see {table.parent}.'
        assert one.sentence(lambda path: path.name[:3]) == 'lab, row 3, column "age": it is no number; see mül.'
        assert isinstance(one, ValueError)
    assert (InputError("it is bad", where="--out").field, InputError("it is bad", where=table).path) == ("--out", table)
    assert str(InputError("it is bad")) == "it is bad."


def test_the_sentence_on_a_case_names_columns_in_place_of_paths(tmp_path, capsys):
    (tmp_path / "müller").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "müller")
    files = {"ct": str(tmp_path / "müller"), "mask": str(tmp_path / "müller" / "a: mask.nrrd"), "lung_mask": ""}
    for path, named in (
        (tmp_path / "müller" / "mask" / "müller 1.dcm", "ct"),
        (tmp_path / "müller" / "a: mask.nrrd", "mask"),
        (tmp_path / "linked" / "müller.dcm", "ct"),
        (Path("müller.dcm"), "a file"),
        (tmp_path / "cache", str(tmp_path / "cache")),
    ):
        error = InputError(("it is not ", path), where=path)
        assert case_sentence(error, files) == f"{named}: it is not {named}."
    try:
        int(files["ct"])
    except ValueError as error:
        sentence = case_sentence(error, files)
    assert re.fullmatch(
        r"an error that was not foreseen \(ValueError in test_errors\.py, line \d+\); please report it\.", sentence
    )
    assert "müller" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["DeepRadScoreLib", "DeepRadScore"])
def test_errors_are_given_paths_not_their_texts(where):
    """A path that is made a text before it gets into an error could not be named otherwise."""
    for file in (Path(__file__).parents[2] / where).rglob("*.py"):
        for call in (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)):
            texts = [keyword.value for keyword in call.keywords if keyword.arg == "where"]
            assert not any(
                isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id == "str" for one in texts
            ), f"{file.name}:{call.lineno}"


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
    bundle = train_bundle(cohort, computed, small_plan(), Run(tmp_path)).bundle.with_limits(None)
    bundle.endpoints["KRAS"].fusion.no_signal_ = True
    bundle.endpoints["EGFR"].fusion.no_signal_ = False
    bundle.manifest.endpoints["EGFR"].validation["deep-radscore"] = ValidationCard(
        auc=0.7, auc_ci=(0.55, 0.9), n=14, positives=7
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
    assert "not_better_than_chance" not in known.flags
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
