"""The synthetic cohort: the best AUC against an integral, each cause in its own place, files that say what they are."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from numpy.polynomial.hermite_e import hermegauss
from scipy.integrate import cumulative_trapezoid, trapezoid
from scipy.ndimage import distance_transform_edt, label
from scipy.special import expit
from scipy.stats import chi2_contingency, mannwhitneyu, norm, spearmanr

from DeepRadScoreLib.cohort.table import read_cohort
from DeepRadScoreLib.computing.workers import InProcess
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.errors import InputError, OutputError
from DeepRadScoreLib.imaging import Case, deep_patch, prepare, read_case, read_image
from DeepRadScoreLib.imaging.origin import SYNTHETIC_KEY, SYNTHETIC_LABEL, is_synthetic
from DeepRadScoreLib.radscore.extraction import extract_features
from DeepRadScoreLib.synthetic import cohort
from DeepRadScoreLib.synthetic.anatomy import SITES
from DeepRadScoreLib.synthetic.causes import (
    LATENTS,
    PLANTED,
    draw_labels,
    draw_latents,
    log_odds,
    reachable_auc,
    seen_by,
)
from DeepRadScoreLib.synthetic.cohort import write_cohort
from DeepRadScoreLib.synthetic.phantom import make_case
from DeepRadScoreLib.synthetic.tumour import draw_shape

LOW, HIGH = -2.0, 2.0
NEUTRAL = dict.fromkeys(LATENTS, 0.0)


def integral_auc(intercept: float, seen_sd: float, unseen_sd: float = 0.0) -> float:
    """AUC of a normal score v against labels of log-odds intercept + v + u, u normal and unseen: by quadrature."""
    if seen_sd == 0:
        return 0.5
    v = np.linspace(-9, 9, 20001) * seen_sd
    nodes, weights = hermegauss(60)
    p = expit(intercept + v[:, None] + unseen_sd * nodes) @ weights / weights.sum()
    density = norm.pdf(v, scale=seen_sd)
    below = cumulative_trapezoid(density * (1 - p), v, initial=0)
    return trapezoid(density * p * below, v) / (trapezoid(density * p, v) * below[-1])


def planted_sd(key: str, places) -> float:
    return float(np.sqrt(sum(b**2 for name, b in PLANTED[key].coefficients.items() if LATENTS[name].zone in places)))


EVERYWHERE, RADIOMICS = ("tumour", "shell", "beyond the shell"), ("tumour", "shell")


@pytest.mark.parametrize("visible", [EVERYWHERE, RADIOMICS])
def test_reachable_auc_is_the_integral_of_the_latent_model(visible):
    reached = reachable_auc(visible=visible)
    hidden = [place for place in EVERYWHERE if place not in visible]
    for key in KEYS:
        expected = integral_auc(PLANTED[key].intercept, planted_sd(key, visible), planted_sd(key, hidden))
        assert reached[key] == pytest.approx(expected, abs=0.003), key


def test_every_endpoint_is_worth_learning_but_one():
    reached, at_best = reachable_auc(), reachable_auc(visible=RADIOMICS)
    prevalence = draw_labels(draw_latents(50_000, 3), 4).mean()
    causeless = [key for key in KEYS if PLANTED[key].where == "nowhere"]
    assert causeless == ["ROS1"]
    assert reached["ROS1"] == 0.5
    assert all(reached[key] > 0.85 for key in KEYS if key != "ROS1")
    assert prevalence.between(0.35, 0.5).all()
    for key in KEYS:
        assert ("radiomics-score" in seen_by(key)) == (at_best[key] > 0.5)
        assert ("deep-ct" in seen_by(key)) == (reached[key] > 0.5)
    beyond = [key for key in KEYS if PLANTED[key].where == "beyond the shell"]
    assert len(beyond) >= 2
    assert all(at_best[key] == 0.5 for key in beyond)


def test_latents_are_standard_normal_and_independent():
    latents = draw_latents(20_000, 11)
    assert np.abs(latents.mean()).max() < 0.04
    assert np.abs(latents.cov().to_numpy() - np.eye(len(LATENTS))).max() < 0.05
    labels = draw_labels(latents, 11)
    for key in KEYS:
        drawn, true = labels[key].to_numpy(), expit(log_odds(latents, key))
        assert drawn.mean() == pytest.approx(true.mean(), abs=0.02)


def arrays(latents: dict[str, float], site: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    ct, mask = make_case(latents, site, seed)
    return sitk.GetArrayFromImage(ct).astype(int), sitk.GetArrayFromImage(mask) != 0


@pytest.fixture(scope="module", params=[("A", 5), ("B", 6)], ids=["site A", "site B"])
def flips(request):
    """Change of HU when one latent goes from low to high; distance in mm outside (+) or inside (-) the tumour; mask."""
    site, seed = request.param
    step = SITES[site].spacing[::-1]
    changes = {}
    for name in LATENTS:
        low, mask = arrays({**NEUTRAL, name: LOW}, site, seed)
        high, again = arrays({**NEUTRAL, name: HIGH}, site, seed)
        np.testing.assert_array_equal(mask, again)
        changes[name] = high - low
    distance = distance_transform_edt(~mask, sampling=step) - distance_transform_edt(mask, sampling=step)
    return changes, distance, mask


BLUR_REACH_MM = 4.0


def test_causes_in_the_tumour_stay_there(flips):
    changes, distance, mask = flips
    for name in ("cavity", "grain"):
        assert np.abs(changes[name][mask]).mean() > 60, name
        assert not changes[name][distance > BLUR_REACH_MM].any(), name
        assert np.abs(changes[name][(distance > 1) & (distance <= 3)]).mean() < 10, name


def test_a_cause_in_the_shell_stays_there(flips):
    changes, distance, mask = flips
    change = changes["rim"]
    assert change[(distance > 1) & (distance <= 2.5)].mean() > 200
    assert not change[distance > 3 + BLUR_REACH_MM].any()
    assert not change[distance < -BLUR_REACH_MM].any()
    assert np.abs(change[mask & (distance < -1.6)]).max() < 60


@pytest.mark.parametrize("name", [name for name, latent in LATENTS.items() if latent.zone == "beyond the shell"])
def test_causes_beyond_the_shell_leave_tumour_and_shell_alone(flips, name):
    changes, distance, mask = flips
    assert not changes[name][distance <= 7.5].any()
    middle = np.count_nonzero(mask, axis=(1, 2)).argmax()
    assert np.count_nonzero(changes[name][middle] > 100) > 60


@pytest.mark.parametrize(("site", "seed"), [("A", 5), ("B", 8)])
def test_no_radiomic_feature_knows_of_what_lies_beyond_the_shell(site, seed):
    tables = []
    for value in (LOW, HIGH):
        beyond = {name: value for name, latent in LATENTS.items() if latent.zone == "beyond the shell"}
        ct, mask = make_case({**NEUTRAL, **beyond}, site, seed)
        tables.append(pd.Series(extract_features(prepare(Case("", ct, mask)))))
    assert len(tables[0]) == 2 * 851
    pd.testing.assert_series_equal(tables[0], tables[1], check_exact=True)


def near_tumour(mask: np.ndarray, margin: int) -> tuple[slice, ...]:
    ends = [(index.min(), index.max()) for index in np.nonzero(mask)]
    return tuple(slice(max(low - margin, 0), high + margin + 1) for low, high in ends)


def test_each_cause_can_be_measured_in_its_place():
    latents = draw_latents(24, 21)
    measured = {"cavity": [], "rim": [], "halo": []}
    for seed, row in enumerate(latents.to_dict("records")):
        site = "AB"[seed % 2]
        hu, mask = arrays(row, site, 500 + seed)
        step = SITES[site].spacing[::-1]
        box = near_tumour(mask, 4)
        inside = distance_transform_edt(mask[box], sampling=step)
        outside = distance_transform_edt(~mask[box], sampling=step)
        middle = np.count_nonzero(mask, axis=(1, 2)).argmax()
        around = distance_transform_edt(~mask.any(axis=0), sampling=step[1:])
        measured["cavity"].append(-hu[box][inside > 0.5 * inside.max()].mean())
        measured["rim"].append(np.median(hu[box][(outside > 1) & (outside <= 2.2)]))
        measured["halo"].append(np.median(hu[middle][(around > 12) & (around < 17)]))
    for name, values in measured.items():
        assert spearmanr(values, latents[name]).statistic > 0.85, name


def test_one_seed_gives_one_case():
    first, again, other = (make_case(NEUTRAL, "A", seed) for seed in (3, 3, 4))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(sitk.GetArrayViewFromImage(a), sitk.GetArrayViewFromImage(b))
    assert first[0].GetSize() != other[0].GetSize() or np.any(
        sitk.GetArrayViewFromImage(first[0]) != sitk.GetArrayViewFromImage(other[0])
    )


def test_tumours_are_mostly_of_6_to_30_mm_and_a_few_larger():
    diameters = np.array([draw_shape(np.random.default_rng(seed)).diameter_mm for seed in range(1500)])
    assert diameters.min() >= 6
    assert diameters.max() <= 60
    assert np.quantile(diameters, [0.05, 0.5, 0.9]) == pytest.approx([10, 18, 30], rel=0.15)
    assert 0.9 < (diameters <= 30).mean() < 0.97
    assert 0.01 < (diameters > 45).mean() < 0.05


@pytest.mark.parametrize("seed", range(6))
def test_the_mask_is_one_body_of_the_drawn_volume_well_inside_the_image(seed):
    site = "AB"[seed % 2]
    ct, mask = make_case(NEUTRAL, site, seed)
    inside = sitk.GetArrayFromImage(mask)
    diameter = draw_shape(np.random.default_rng(seed).spawn(8)[0]).diameter_mm
    volume = inside.sum() * np.prod(SITES[site].spacing)
    assert set(np.unique(inside)) == {0, 1}
    assert label(inside, structure=np.ones((3, 3, 3)))[1] == 1
    assert volume == pytest.approx(np.pi / 6 * diameter**3, rel=0.06 if diameter > 12 else 0.2)
    assert ct.GetSpacing() == mask.GetSpacing() == SITES[site].spacing
    assert ct.GetPixelID() == sitk.sitkInt16
    prepared = prepare(Case("", ct, mask))
    codes = {note.code for note in prepared.quality}
    assert not codes & {
        "patch_padded",
        "patch_cuts_tumour",
        "tumour_at_image_edge",
        "shell_cut_by_image",
        "several_pieces",
    }
    patch = deep_patch(Case("", ct, mask)).hu
    assert -950 < np.percentile(patch, 20) < -750
    assert patch.max() > 300


def test_site_age_and_split_know_nothing_of_the_labels(tmp_path, monkeypatch):
    monkeypatch.setattr(cohort, "_write_images", lambda *_, **__: None)
    table = pd.read_csv(write_cohort(tmp_path, 3000, 1500, seed=7, workers=InProcess()))
    assert set(table["site"]) == set(SITES)
    for key in KEYS:
        assert 0.02 < table[key].isna().mean() < 0.04
        known = table[table[key].notna()]
        for column in ("site", "split"):
            assert chi2_contingency(pd.crosstab(known[key], known[column])).pvalue > 1e-3, (key, column)
        assert mannwhitneyu(known["age"][known[key] == 1], known["age"][known[key] == 0]).pvalue > 1e-3, key
    truth = json.loads((tmp_path / "synthetic.json").read_text())
    assert truth["label"] == SYNTHETIC_LABEL
    latents = pd.DataFrame(truth["latents"]).T.loc[table["case_id"]]
    codes = (table["site"] == "A").to_numpy(float)
    assert all(abs(np.corrcoef(latents[name], codes)[0, 1]) < 0.06 for name in LATENTS)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic")
    calls = []
    path = write_cohort(folder, 3, 2, seed=9, workers=InProcess(), report=calls.append)
    assert [(event.done, event.total) for event in calls] == [(number, 5) for number in range(1, 6)]
    return path


def test_a_written_cohort_is_read_like_any_other_and_says_that_it_is_synthetic(written):
    table = read_cohort(written, needs=("case_id", "patient_id", "site", "ct", "mask"))
    assert list(table.table["split"]) == ["train"] * 3 + ["test"] * 2
    for row in table.table.itertuples():
        case = read_case(row.ct, row.mask, case_id=row.case_id)
        assert is_synthetic(case.ct)
        assert case.ct.GetMetaData(SYNTHETIC_KEY) == SYNTHETIC_LABEL
        assert sitk.ReadImage(row.ct).GetMetaData(SYNTHETIC_KEY) == SYNTHETIC_LABEL
        assert case.ct.GetSpacing() == pytest.approx(SITES[row.site].spacing)
        assert case.notes == ()
    assert not is_synthetic(sitk.Image(2, 2, 2, sitk.sitkInt16))
    assert not list(written.parent.rglob("*part*"))


def test_a_stopped_run_goes_on_and_ends_as_an_unbroken_one(written, tmp_path):
    images = sorted((written.parent / "images").iterdir())
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in images}
    lost, foreign = images[0], images[3]
    lost.unlink()
    foreign.write_bytes(b"NRRD0004\n")
    write_cohort(written.parent, 3, 2, seed=9, workers=InProcess())
    remade = {path for path in images if path.stat().st_mtime_ns != before[path][0]}
    assert {lost, foreign} <= remade
    assert len(remade) <= 4
    assert all(path.read_bytes() == before[path][1] for path in images)
    smaller = write_cohort(tmp_path, 1, 1, seed=9, workers=InProcess()).parent
    name = "images/synthetic-test-001_ct.nrrd"
    assert (smaller / name).read_bytes() == (written.parent / name).read_bytes()


def test_a_file_cut_short_is_made_again(written):
    """Another program's half-written copy keeps the header, and with it the recipe."""
    path = sorted((written.parent / "images").glob("*_ct.nrrd"))[1]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    write_cohort(written.parent, 3, 2, seed=9, workers=InProcess())
    assert path.read_bytes() == whole
    read_image(path)


def test_what_cannot_be_made_is_refused(tmp_path):
    with pytest.raises(InputError, match="at least one"):
        write_cohort(tmp_path, 3, 0, seed=1, workers=InProcess())
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="not a folder"):
        write_cohort(tmp_path / "file", 1, 1, seed=1, workers=InProcess())
