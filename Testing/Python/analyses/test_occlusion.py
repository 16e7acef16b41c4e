"""Occlusion maps against the bundle's own probabilities of patches in which a place was hidden by hand."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from scipy.special import logit

from DeepRadScoreLib.analyses.findings import MolecularProfile
from DeepRadScoreLib.analyses.occlusion import occlusion_steps
from DeepRadScoreLib.api import analyze
from DeepRadScoreLib.bundles.bundle import Bundle
from DeepRadScoreLib.cli.main import commands
from DeepRadScoreLib.deepct.network import DeepCT
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging import Case, case_from_images
from DeepRadScoreLib.progress import Stage, run_to_end
from support.imaging_phantoms import tumour_case
from support.small_bundle import small_bundle, small_densenet

KEY = "KRAS"
"""Its model in the small bundle is a logistic regression: every change of the network's logit shows."""


@pytest.fixture(scope="module")
def bundle() -> Iterator[Bundle]:
    with small_densenet():
        yield small_bundle().with_limits(None)


@pytest.fixture(scope="module")
def case() -> Case:
    return case_from_images(*tumour_case(size=(26, 26, 22), radius=5.0), case_id="ball")


@pytest.fixture(scope="module")
def profile(bundle, case) -> MolecularProfile:
    return analyze(case, bundle, occlusion=True)


def hidden_by_hand(hu: np.ndarray, row: int, column: int) -> np.ndarray:
    """The patch with a square of 16 pixels taken from its copy that ITK smoothed by 8 pixels."""
    smooth = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(hu), 8.0))
    patch = hu.copy()
    patch[row : row + 16, column : column + 16] = smooth[row : row + 16, column : column + 16]
    return patch


def test_a_pixel_has_the_mean_change_over_the_four_squares_that_hide_it(bundle, profile):
    values = np.random.default_rng(0).normal(size=len(profile.features))
    typical = replace(profile, features=dict(zip(profile.features, values.tolist(), strict=True)))
    found = run_to_end(occlusion_steps(bundle, typical)).occlusion[KEY]
    hu = profile.prepared.patch.hu
    for row, column in ((80, 80), (88, 72)):
        squares = [(row - up, column - left) for up in (0, 8) for left in (0, 8)]
        patches = np.stack([hu, *(hidden_by_hand(hu, *corner) for corner in squares)])
        features = pd.DataFrame([typical.features] * len(patches))
        log_odds = logit(bundle.predict_proba(features, patches)[KEY].to_numpy())
        expected = (log_odds[0] - log_odds[1:]).mean()
        assert abs(expected) > 1e-3
        assert found[row + 3, column + 5] == pytest.approx(expected, rel=0.05)


def test_where_hiding_changes_no_pixel_the_map_is_zero(profile):
    change = profile.occlusion[KEY]
    assert change.dtype == np.float32 and change.shape == (160, 160)
    assert not change[:16].any() and not change[:, :16].any()
    assert change[72:88, 72:88].any()


def test_findings_without_a_probability_have_none(profile):
    given = [key for key, finding in profile.findings.items() if finding.probability is not None]
    assert sorted(profile.occlusion) == sorted(given)
    assert KEY in given


def test_other_weights_give_another_map_and_nothing_else_changes(bundle, case, profile):
    others = [{"shared": DeepCT(each.spec, each.trunk, 77).eval()} for (each,) in map(dict.values, bundle.networks)]
    other = run_to_end(occlusion_steps(replace(bundle, networks=tuple(others)), replace(profile, occlusion={})))
    assert abs(np.corrcoef(other.occlusion[KEY].ravel(), profile.occlusion[KEY].ravel())[0, 1]) < 0.9
    plain = analyze(case, bundle)
    assert plain.findings == profile.findings
    assert plain.occlusion == {}


def test_it_is_made_in_short_steps(bundle, case):
    events = []
    analyze(case, bundle, occlusion=True, progress=events.append)
    found = [event for event in events if event.stage == Stage.OCCLUSION]
    assert [event.done for event in found] == list(range(found[0].total))
    assert len(found) > 19**2 / 8 * len(bundle.networks)


def test_files_and_report_have_them_where_they_were_made(bundle, case, profile, tmp_path):
    profile.save(tmp_path)
    image = sitk.ReadImage(str(tmp_path / f"occlusion_{KEY}.nrrd"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image)[0], profile.occlusion[KEY])
    assert image.GetOrigin() == profile.prepared.patch.image.GetOrigin()
    assert "Occlusion map for KRAS mutation" in (tmp_path / "report.html").read_text(encoding="utf-8")
    analyze(case, bundle).save(tmp_path)
    assert not list(tmp_path.glob("occlusion_*"))
    assert "Occlusion map" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_command_says_why_there_is_none(bundle, case, tmp_path, capsys):
    """The made-up bundle's limits are far from any case."""
    with small_densenet():
        small_bundle().save(tmp_path / "model.zip")
        for image, name in ((case.ct, "ct.nrrd"), (case.tumour, "mask.nrrd")):
            sitk.WriteImage(image, str(tmp_path / name))
        options = ["--ct", "ct.nrrd", "--mask", "mask.nrrd", "--model", "model.zip", "--occlusion", "--out", "results"]
        with contextlib.chdir(tmp_path):
            commands()(["analyze", *options], standalone_mode=False)
    assert "no occlusion map: no finding has a probability" in capsys.readouterr().out
    assert not list((tmp_path / "results").glob("occlusion_*"))


@pytest.mark.parametrize(
    ("networks", "sentence"),
    [
        (None, "--occlusion: without a model there is no finding that depends on the patch; add --model"),
        ((), "--occlusion: the bundle has no network, so that there is no finding .*; leave the option out"),
    ],
)
def test_without_a_network_there_is_nothing_to_hide(bundle, case, networks, sentence):
    model = None if networks is None else replace(bundle, networks=networks)
    with pytest.raises(InputError, match=sentence):
        analyze(case, model, occlusion=True)
