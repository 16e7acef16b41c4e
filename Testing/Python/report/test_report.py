"""Profile JSON, report, pictures and the files of one case."""

from __future__ import annotations

import hashlib
import html as html_text
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from PIL import Image

from DeepRadScoreLib.analyses.findings import Finding, LabelSet, ModelCard, MolecularProfile, Validation, Variants
from DeepRadScoreLib.endpoints import ENDPOINTS, KEYS
from DeepRadScoreLib.errors import InputError, OutputError
from DeepRadScoreLib.imaging import Case, DeepPatch, PreparedCase, QualityNote, deep_patch, peritumoral_shell
from DeepRadScoreLib.imaging.origin import SYNTHETIC_KEY, SYNTHETIC_LABEL
from DeepRadScoreLib.likeness.carriers import Likeness, Reason
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS, REGIONS, region_columns
from DeepRadScoreLib.report import figures, writing
from DeepRadScoreLib.report.html import to_report_html
from DeepRadScoreLib.report.profile import from_profile_json, profile_schema, to_document, to_profile_json
from DeepRadScoreLib.report.wording import FLAG_SENTENCES, flag_sentence, grouped_shap
from DeepRadScoreLib.report.writing import write_profile
from DeepRadScoreLib.writing import check_folder, write_atomically
from support.page_reader import PageReader

SPACING = (0.8, 0.7, 2.5)
ORIGIN = (-60.0, -40.0, -30.0)
TOP_FIELDS = [
    "schema",
    "case_id",
    "preprocessing",
    "engine",
    "label",
    "model",
    "regions",
    "quality",
    "likeness",
    "prevalence",
    "provenance",
    "endpoints",
]
MODEL_FIELDS = {"name", "sha256", "protocol", "weights", "network", "backbone", "synthetic", "engine", "limits"}
NOT_MODELLED = ("ALK", "ROS1")
VOID = {"meta", "img", "br", "input", "wbr", "hr", "link"}


def ball(image: sitk.Image, centre: tuple[float, float, float], radius: float) -> sitk.Image:
    """uint8 image of 0 and 1: voxel centres no further than `radius` mm from `centre`."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in image.GetSize()), indexing="ij"), axis=-1)
    place = np.array(image.GetOrigin()) + index * np.array(image.GetSpacing())
    inside = (np.linalg.norm(place - centre, axis=-1) <= radius).transpose(2, 1, 0)
    mask = sitk.GetImageFromArray(inside.astype(np.uint8))
    mask.CopyInformation(image)
    return mask


@pytest.fixture(scope="module")
def prepared() -> PreparedCase:
    """A ball of 9 mm in a slab of 150 x 120 x 14 voxels, its shell on a 1 mm lattice."""
    rng = np.random.default_rng(7)
    ct = sitk.GetImageFromArray(rng.normal(-700, 60, (14, 120, 150)).astype(np.float32))
    ct.SetSpacing(SPACING)
    ct.SetOrigin(ORIGIN)
    centre = (-3.0, 5.0, -12.0)
    tumour = ball(ct, centre, 9.0)
    ct = sitk.Mask(ct, tumour, 40.0, 1)
    lattice = sitk.Image((50, 50, 34), sitk.sitkInt16)
    lattice.SetOrigin((-28.0, -20.0, -30.0))
    fine = ball(lattice, centre, 9.0)
    patch = deep_patch(Case("slab", ct, tumour))
    k = patch.centre_ijk[2]
    return PreparedCase(
        case_id="slab",
        preprocessing="canonical",
        shell_mm=3.0,
        image=lattice,
        tumour=fine,
        peritumoral=peritumoral_shell(fine, 3.0),
        patch=patch,
        slice_ct=ct[:, :, k : k + 1],
        slice_tumour=tumour[:, :, k : k + 1],
        quality=(QualityNote("patch_padded", "info", "The patch leaves the CT & is filled up."),),
    )


def card(*, synthetic: bool = False) -> ModelCard:
    return ModelCard(
        name="trial",
        sha256="ab" * 32,
        protocol="strict",
        network="shared",
        backbone="densenet121",
        weights="none",
        preprocessing="canonical",
        synthetic=synthetic,
        trained_on="355 patients of cohort.csv, 153 held out",
    )


def finding(key: str, rng: np.random.Generator) -> Finding:
    if key in NOT_MODELLED:
        return Finding(key, flags=("not_modelled",))
    probability = float(rng.uniform(0.1, 0.8))
    auc = 0.55 if key == "KRAS" else 0.8
    drivers = {
        region: tuple((name, float(rng.normal())) for name in rng.choice(region_columns(region), 7, replace=False))
        for region in REGIONS
    }
    columns = ("deep_ct", "radscore_tumour", "radscore_peritumoral")
    return Finding(
        key,
        probability=probability,
        threshold=0.4,
        decision="word of " + key,
        spread=(probability - 0.05, probability + 0.1),
        flags=("a_new_flag",) if key == "LVI" else (),
        radscore_tumour=float(rng.normal()),
        radscore_peritumoral=float(rng.normal()),
        shap=dict(zip(columns, rng.normal(size=3).tolist(), strict=True)),
        shap_base=-0.2,
        drivers=drivers,
        validation=Validation(auc, (auc - 0.1, auc + 0.1), 153, 49),
    )


@pytest.fixture(scope="module")
def profile(prepared: PreparedCase) -> MolecularProfile:
    rng = np.random.default_rng(11)
    findings = {key: finding(key, rng) for key in KEYS}
    heat = rng.uniform(size=(160, 160)).astype(np.float32)
    return MolecularProfile(
        case_id="slab",
        prepared=prepared,
        features=dict(zip(FEATURE_COLUMNS, rng.normal(size=1702).tolist(), strict=True)),
        quality=prepared.quality,
        findings=findings,
        model=card(),
        synthetic_case=False,
        gradcam={"LVI": heat, "EGFR": 1 - heat},
        gradcam_note="The map has 5 x 5 cells.",
    )


@pytest.fixture(scope="module")
def without_model(profile: MolecularProfile) -> MolecularProfile:
    findings = {key: Finding(key, flags=("no_model",)) for key in KEYS}
    return replace(profile, findings=findings, model=None, gradcam={}, gradcam_note="")


@pytest.fixture(scope="module")
def synthetic(profile: MolecularProfile) -> MolecularProfile:
    return replace(profile, model=card(synthetic=True))


@pytest.fixture(scope="module")
def page(profile: MolecularProfile) -> str:
    return to_report_html(profile)


@pytest.fixture(scope="module")
def synthetic_page(synthetic: MolecularProfile) -> str:
    return to_report_html(synthetic)


def read(page: str) -> PageReader:
    reader = PageReader(VOID)
    reader.read(page)
    return reader


class TestProfileJson:
    def test_comes_back_as_it_was(self, profile):
        text = to_profile_json(profile)
        again = from_profile_json(text)
        assert again == to_document(profile)
        assert again.model_dump_json(by_alias=True, indent=1) + "\n" == text

    def test_fields(self, profile, prepared):
        stored = json.loads(to_profile_json(profile))
        assert list(stored) == TOP_FIELDS
        assert (stored["schema"], stored["label"]) == ("deepradscore.profile/2", None)
        assert set(stored["model"]) == MODEL_FIELDS
        assert list(stored["endpoints"]) == list(KEYS)
        egfr, given = stored["endpoints"]["EGFR"], profile.findings["EGFR"]
        assert egfr["probability"] == given.probability
        assert egfr["spread"] == list(given.spread)
        assert egfr["shap"] == given.shap
        assert (egfr["interval"], egfr["interval_method"]) == (None, None)
        assert (egfr["validation_auc"], egfr["validation_n"], egfr["validation_positives"]) == (0.8, 153, 49)

    def test_likeness_interval_label_set_and_variants(self, profile):
        likeness = Likeness(99.7, (Reason("tumour_volume_ml", 812.0, 0.4, 190.0),))
        finding = replace(
            profile.findings["EGFR"],
            interval=(0.4, 0.9),
            interval_method="jackknife",
            label_set=LabelSet(("mutant",), 0.9),
            variants=Variants(0.55, 0.7, 8),
        )
        findings = {**profile.findings, "EGFR": finding}
        text = to_profile_json(replace(profile, findings=findings, likeness=likeness, prevalence={"EGFR": 0.15}))
        stored = json.loads(text)
        assert stored["likeness"] == {
            "percentile": 99.7,
            "reasons": [{"what": "tumour_volume_ml", "value": 812.0, "low": 0.4, "high": 190.0}],
        }
        assert stored["prevalence"] == {"EGFR": 0.15}
        egfr = stored["endpoints"]["EGFR"]
        assert (egfr["interval"], egfr["interval_method"]) == ([0.4, 0.9], "jackknife")
        assert egfr["label_set"] == {"labels": ["mutant"], "level": 0.9}
        assert egfr["variants"] == {"low": 0.55, "high": 0.7, "n": 8}
        assert from_profile_json(text).model_dump_json(by_alias=True, indent=1) + "\n" == text

    def test_a_profile_of_schema_1_is_read(self, profile):
        stored = json.loads(to_profile_json(profile))
        newer = {"likeness", "prevalence", "engine", "limits", "label_set", "variants"}
        older = {name: value for name, value in stored.items() if name not in newer}
        older["schema"] = "deepradscore.profile/1"
        older["model"] = {name: value for name, value in stored["model"].items() if name not in newer}
        older["endpoints"] = {
            key: {name: value for name, value in entry.items() if name not in newer}
            for key, entry in stored["endpoints"].items()
        }
        read = from_profile_json(json.dumps(older))
        assert (read.schema_, read.likeness, read.model.limits) == ("deepradscore.profile/1", None, False)
        assert (read.engine, read.model.engine) == ("pyradiomics", "pyradiomics")
        assert read.endpoints["EGFR"].probability == profile.findings["EGFR"].probability

    def test_regions(self, profile, prepared):
        regions = json.loads(to_profile_json(profile))["regions"]
        voxels = int(sitk.GetArrayFromImage(prepared.tumour).sum())
        on_lattice = {"lattice_volume_ml": pytest.approx(voxels / 1000), "voxels": voxels}
        on_lattice |= {"long_axis_mm": None, "short_axis_mm": None}
        assert regions["tumour"] == {"volume_ml": pytest.approx(voxels / 1000), **on_lattice}
        drawn = replace(profile, prepared=replace(prepared, mask_ml=5.6))
        assert json.loads(to_profile_json(drawn))["regions"]["tumour"] == {"volume_ml": 5.6, **on_lattice}
        assert regions["tumour"]["volume_ml"] == pytest.approx(4 / 3 * np.pi * 0.9**3, rel=0.05)
        assert regions["peritumoral"]["thickness_mm"] == 3.0
        i, j, k = regions["patch"]["centre_ijk"]
        expected = np.array(ORIGIN) + np.array(SPACING) * (i, j, k)
        np.testing.assert_allclose(regions["patch"]["centre_lps_mm"], expected, atol=1e-9)
        assert regions["patch"]["slice"] == k
        assert regions["patch"]["area_mm2"] == prepared.patch.area_mm2

    def test_what_may_not_be_given_is_null(self, without_model):
        stored = json.loads(to_profile_json(without_model))
        assert stored["model"] is None
        for entry in stored["endpoints"].values():
            assert entry.pop("flags") == ["no_model"]
            assert set(entry.values()) == {None}

    def test_never_nan(self, profile):
        broken = replace(
            profile.findings["EGFR"],
            probability=float("nan"),
            radscore_tumour=float("inf"),
            validation=Validation(float("nan"), (0.4, float("nan")), 5, 1),
        )
        text = to_profile_json(replace(profile, findings={**profile.findings, "EGFR": broken}))
        json.loads(text, parse_constant=pytest.fail)
        entry = json.loads(text)["endpoints"]["EGFR"]
        for name in ("probability", "decision", "spread", "radscore_tumour", "validation_auc", "validation_auc_ci"):
            assert entry[name] is None
        assert entry["flags"] == ["not_finite"]

    def test_own_schema_accepts_it(self, profile, without_model):
        jsonschema = pytest.importorskip("jsonschema")
        schema = profile_schema()
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(schema)
        for each in (profile, without_model):
            assert list(validator.iter_errors(json.loads(to_profile_json(each)))) == []
        for spoil in ({"schema": "deepradscore.profile/3"}, {"endpoints": {}}, {"host": "x"}, {"case_id": None}):
            assert not validator.is_valid({**json.loads(to_profile_json(profile)), **spoil})

    def test_schema_names_every_field(self, profile):
        schema = profile_schema()
        assert set(schema["required"]) == set(json.loads(to_profile_json(profile)))
        assert schema["properties"]["endpoints"]["required"] == list(KEYS)

    @pytest.mark.parametrize(
        ("spoil", "named"),
        [
            (lambda text: text[:50], "the file"),
            (lambda text: text.replace("profile/2", "profile/3"), "schema"),
            (lambda text: text.replace('"KRAS"', '"no endpoint"'), "endpoints"),
            (lambda text: text.replace('"case_id": "slab"', '"case_id": 3'), "case_id"),
        ],
    )
    def test_refuses_in_one_sentence(self, profile, spoil, named):
        with pytest.raises(InputError) as caught:
            from_profile_json(spoil(to_profile_json(profile)), where="there.json")
        assert str(caught.value).startswith(f'there.json: "{named}" is not valid')
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(("of_model", "of_case"), [(True, False), (False, True)])
    def test_label(self, profile, of_model, of_case):
        labelled = replace(profile, model=card(synthetic=of_model), synthetic_case=of_case)
        assert to_document(labelled).label == SYNTHETIC_LABEL


class TestPictures:
    def test_outline_is_the_edge_between_inside_and_outside(self):
        rng = np.random.default_rng(5)
        mask = rng.uniform(size=(9, 12)) > 0.5
        drawn = {tuple(np.round(segment.mean(axis=0), 3)) for segment in figures.outline(mask)}
        wide = np.pad(mask, 1)
        expected = set()
        for y, x in np.ndindex(9, 12):
            for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
                if mask[y, x] and not wide[y + 1 + dy, x + 1 + dx]:
                    expected.add((x + dx / 2, y + dy / 2))
        assert drawn == expected
        np.testing.assert_array_equal(np.abs(np.diff(figures.outline(mask), axis=1)).sum(axis=(1, 2)), 1)

    def test_shell_on_the_slice_is_that_of_the_nearest_lattice_point(self, prepared):
        found = figures.mask_on_grid(prepared.peritumoral, prepared.slice_ct)[0]
        fine = sitk.GetArrayFromImage(prepared.peritumoral)
        expected = np.zeros_like(found)
        for y, x in np.ndindex(found.shape):
            place = prepared.slice_ct.TransformIndexToPhysicalPoint((x, y, 0))
            index = np.floor(np.round(np.subtract(place, prepared.peritumoral.GetOrigin()), 6) + 0.5).astype(int)
            if (index >= 0).all() and (index < fine.shape[::-1]).all():
                expected[y, x] = fine[tuple(index[::-1])]
        assert found.any()
        np.testing.assert_array_equal(found, expected)

    def test_rendered_outline_lies_on_the_boundary_of_the_mask(self, prepared):
        width = 900
        pixels = np.asarray(Image.open(io.BytesIO(figures.slice_picture(prepared, width=width)))).astype(int)
        view = figures.slice_view(prepared)
        for mask, colour in ((view.tumour, figures.TUMOUR_COLOUR), (view.with_shell, figures.SHELL_COLOUR)):
            rgb = [int(colour[n : n + 2], 16) for n in (1, 3, 5)]
            y, x = np.nonzero(np.abs(pixels[..., :3] - rgb).max(axis=-1) < 12)
            scale = np.array(view.hu.shape[::-1]) / (width, pixels.shape[0])
            place = (np.stack([x, y], axis=1) + 0.5) * scale - 0.5
            edges = figures.outline(mask)
            half = np.abs(np.diff(edges, axis=1))[:, 0] / 2
            away = np.maximum(np.abs(place[:, None] - edges.mean(axis=1)) - half, 0)
            gaps = np.linalg.norm(away, axis=-1)
            assert gaps.min(axis=1).max() < 0.6
            assert gaps.min(axis=0).max() < 0.4

    def test_aspect_is_physical(self, prepared):
        pixels = np.asarray(Image.open(io.BytesIO(figures.slice_picture(prepared, width=600))))
        assert pixels.shape[:2] == (round(600 * 120 * 0.7 / (150 * 0.8)), 600)

    def test_zoom_holds_tumour_and_shell(self, prepared):
        whole, part = figures.slice_view(prepared), figures.zoom_view(prepared)
        assert part.with_shell.sum() == whole.with_shell.sum()
        assert part.tumour.sum() == whole.tumour.sum()
        rows, columns = part.hu.shape
        inside = np.s_[part.top : part.top + rows, part.left : part.left + columns]
        np.testing.assert_array_equal(part.hu, whole.hu[inside])
        assert rows < 120

    def test_grad_cam_is_drawn_where_it_is_hot(self, prepared):
        heat = np.zeros((160, 160), np.float32)
        heat[20:40, 100:130] = 1
        cold = Image.open(io.BytesIO(figures.gradcam_picture(prepared, np.zeros_like(heat), width=640)))
        hot = Image.open(io.BytesIO(figures.gradcam_picture(prepared, heat, width=640)))
        changed = np.abs(np.asarray(hot).astype(int) - np.asarray(cold).astype(int)).max(axis=-1)[:, :640] > 30
        high = changed.shape[0] / 160
        y, x = np.nonzero(changed)
        np.testing.assert_allclose([x.min() / 4, (x.max() + 1) / 4], [100, 130], atol=0.5)
        np.testing.assert_allclose([y.min() / high, (y.max() + 1) / high], [20, 40], atol=0.5)

    def test_plain_patch(self):
        hu = np.full((1, 160, 160), -2000.0, np.float32)
        hu[0, 0, :4] = (-1000, 400, -300, 3000)
        patch = DeepPatch(sitk.GetImageFromArray(hu), np.zeros((160, 160), bool), (0, 0, 0), 1.0, 0.0)
        image = Image.open(io.BytesIO(figures.patch_png(patch)))
        assert (image.mode, image.size) == ("L", (160, 160))
        assert np.asarray(image)[0, :4].tolist() == [0, 255, 128, 255]
        assert np.asarray(image)[1].max() == 0


class TestReport:
    def test_is_balanced_and_fetches_nothing(self, page, synthetic_page):
        for text in (page, synthetic_page):
            reader = read(text)
            assert "//" not in re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", text)
            for tag, attributes in reader.attributes:
                assert tag not in ("script", "link", "iframe", "object")
                assert "href" not in attributes
                assert attributes.get("src", "data:image/png;base64,").startswith("data:image/png;base64,")
                assert tag != "img" or attributes["alt"]

    def test_same_profile_same_text(self, profile, page):
        assert to_report_html(profile) == page

    def test_says_what_a_reader_needs(self, page, profile):
        text = re.sub(r"[ \n]+", " ", " ".join(read(page).text))
        for endpoint in ENDPOINTS:
            assert endpoint.name in text
        for given in profile.findings.values():
            if given.probability is not None:
                assert f"{100 * given.probability:.0f}\u202f%" in text
                assert given.decision in text
        for phrase in (
            "not a confidence interval",
            "No finding has an interval",
            "The model does not know the limits of its training data",
            "153 patients, 49 positive",
            "Not a medical device",
            "No clinical model is shipped",
            "random start, no pretraining",
            "ab" * 32,
            "355 patients of cohort.csv, 153 held out",
            "The map has 5 x 5 cells.",
            "The patch leaves the CT & is filled up.",
            FLAG_SENTENCES["not_modelled"],
            "a_new_flag",
        ):
            assert phrase in text
        assert SYNTHETIC_LABEL not in text

    def test_findings_that_cannot_be_given_hold_no_number(self, page, without_model):
        row = re.search(r'<tr class="finding none">\s*<th scope="row">ALK mutation.*?</tr>', page, re.S)
        text = html_text.unescape(re.sub(r"<[^>]+>", " ", row.group(0)))
        assert "—" in text
        assert not re.search(r"\d", text)
        bare = to_report_html(without_model)
        assert bare.count("No trained model was given") == 1
        assert not [endpoint.name for endpoint in ENDPOINTS if endpoint.name in bare]
        read(bare)

    def test_another_volume_on_the_lattice_is_beside_the_masks(self, without_model, page):
        differs = QualityNote("volume_differs", "warning", "5.60 mL and another on the lattice.")
        prepared = replace(without_model.prepared, mask_ml=5.6, axes_mm=(27.04, 19.36))
        drawn = replace(without_model, prepared=prepared, quality=(differs,))
        text = re.sub(r"[ \n]+", " ", " ".join(read(to_report_html(drawn)).text))
        assert "Tumour 5.60 mL 3,071 voxels of the 1 mm lattice, 3.07 mL" in text
        assert "voxels of the 1 mm lattice, " not in page
        assert "Long x short axis 27.0 x 19.4 mm" in text
        assert "short axis" not in page

    def test_chance_is_marked(self, profile, page):
        mark = '<span class="mark">not better than chance in validation</span>'
        assert page.count(mark) == 2
        row = re.search(r'<tr class="finding chance">\s*<th scope="row">(.*?)</th>', page, re.S)
        assert "KRAS" in row.group(1)
        assert mark in row.group(1)

    def test_one_label_in_view_and_one_in_each_picture(self, synthetic_page, page):
        body = synthetic_page.split("</style>")[1]
        assert body.count(SYNTHETIC_LABEL) == 1
        assert body.index(f'<p class="banner" role="note"><strong>{SYNTHETIC_LABEL}</strong>') < body.index("<h1>")
        style = synthetic_page.split("</style>")[0]
        assert re.search(r"\.banner \{ position: sticky; top: 0;", style)
        assert re.search(r"@media print.*\.banner \{[^}]*display: table-header-group", style, re.S)
        assert '<p class="banner"' not in page

    def test_trust_in_words(self, profile, page):
        likeness = Likeness(97.4, (Reason("noise_hu", 41.2, 8.1, 22.0), Reason("tumour_hu_p05", -700.0, -80.0, 20.0)))
        egfr = replace(
            profile.findings["EGFR"],
            interval=(0.42, 0.84),
            interval_method="90 %, jackknife",
            label_set=LabelSet(("mutant", "wild type"), 0.9),
            variants=Variants(0.59, 0.68, 8),
        )
        lvi = replace(profile.findings["LVI"], label_set=LabelSet((), 0.9))
        findings = {**profile.findings, "EGFR": egfr, "LVI": lvi}
        trusted = replace(profile, findings=findings, likeness=likeness, prevalence={"EGFR": 0.15})
        text = re.sub(r"[ \n]+", " ", " ".join(read(to_report_html(trusted)).text))
        for phrase in (
            "Further from the middle of the training patients than 97.4 % of them.",
            "noise of the image (HU) 41.2 8.1 to 22",
            "5 % quantile of HU, tumour \u2212700",
            "42\u202f% – 84\u202f%",
            "own probability (90 %, jackknife)",
            "mutant or wild type",
            "neither present nor absent",
            "over 8 masks 59\u202f% – 68\u202f%",
            "as given: EGFR mutation 15\u202f%",
        ):
            assert phrase in text, phrase
        assert "Compatible with" in text
        assert "No finding has an interval" not in text

    def test_reasons_are_drawn_to_scale(self, profile):
        likeness = Likeness(99.0, (Reason("noise_hu", 50.0, 10.0, 30.0), Reason("noise_lag1", -1.0, 0.0, 1.0)))
        page = to_report_html(replace(profile, likeness=likeness))
        drawn = re.findall(r'<b style="left:([\d.]+)%;width:([\d.]+)%"></b><i style="left:([\d.]+)%">', page)
        assert drawn == [("4.00", "46.00", "96.00"), ("50.00", "46.00", "4.00")]

    def test_strongest_features_of_either_region(self, page, profile):
        shown = re.findall(r"<code>(.*?)</code></th>", page)
        names = [name.replace("<wbr>", "") for name in shown]
        given = [each for each in profile.findings.values() if each.probability is not None]
        strongest = [driver for each in given for region in REGIONS for driver in each.drivers[region][:5]]
        expected = [name.split("_", 1)[1] for name, _ in strongest]
        assert names == expected

    def test_first_panel_is_open_without_script(self, page):
        radios = [a for tag, a in read(page).attributes if tag == "input"]
        assert len(radios) == len(KEYS) - len(NOT_MODELLED)
        assert [a["id"] for a in radios if "checked" in a] == ["show-LVI"]

    def test_hostile_names_stay_text(self, profile):
        hostile = "<img src=x onerror=alert(1)>\"'&</title><script>alert(2)</script>"
        note = QualityNote("x", "warning", "<b onclick=1>bold</b>")
        model = replace(card(), name="<i>model</i>", trained_on="</dd><script>3</script>")
        page = to_report_html(replace(profile, case_id=hostile, quality=(note,), model=model))
        reader = read(page)
        assert not any(tag == "script" or "onerror" in a or "onclick" in a for tag, a in reader.attributes)
        assert hostile in "".join(reader.text)

    def test_shap_of_ten_deep_features_is_added_up(self):
        shap = {f"deep_{i}": 0.1 * i for i in range(1, 11)} | {"radscore_tumour": -1.0, "radscore_peritumoral": 2.0}
        grouped = grouped_shap(shap)
        assert grouped == {
            "Deep network": pytest.approx(5.5),
            "Tumour RadScore": -1.0,
            "Peritumoral RadScore": 2.0,
        }
        assert sum(grouped.values()) == pytest.approx(sum(shap.values()))

    def test_unknown_flag_stands_as_it_is(self):
        assert flag_sentence("never_seen") == "never_seen"


FILES = [
    *("features.csv", "features.notes.csv", "gradcam_EGFR.nrrd", "gradcam_LVI.nrrd"),
    *("patch.png", "peritumoral.nrrd", "profile.json", "regions.seg.nrrd"),
]


def contents(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


class TestFiles:
    @pytest.fixture(autouse=True)
    def _page_made_once(self, page, monkeypatch):
        monkeypatch.setattr(writing, "to_report_html", lambda profile: page)

    def test_all_files(self, profile, page, tmp_path):
        written = write_profile(profile, tmp_path / "new" / "out")
        assert [path.name for path in written] == [*FILES, "report.html"]
        assert sorted(written) == sorted((tmp_path / "new" / "out").iterdir())
        assert written[-1].read_text(encoding="utf-8") == page
        assert [path.name for path in tmp_path.iterdir()] == ["new"]

    def test_without_model_no_heat_maps(self, without_model, tmp_path):
        written = write_profile(without_model, tmp_path)
        assert [path.name for path in written] == [name for name in [*FILES, "report.html"] if "gradcam" not in name]

    def test_same_profile_same_bytes(self, profile, tmp_path):
        write_profile(profile, tmp_path / "a")
        write_profile(profile, tmp_path / "b")
        assert contents(tmp_path / "a") == contents(tmp_path / "b")

    def test_features_keep_every_digit(self, profile, tmp_path):
        features = {**profile.features, FEATURE_COLUMNS[3]: float("nan"), FEATURE_COLUMNS[4]: 1 / 3}
        write_profile(replace(profile, features=features, case_id='a,"b"'), tmp_path)
        table = pd.read_csv(tmp_path / "features.csv", float_precision="round_trip")
        assert list(table.columns) == ["case_id", *FEATURE_COLUMNS]
        assert table["case_id"].tolist() == ['a,"b"']
        np.testing.assert_array_equal(table.iloc[0, 1:].to_numpy(float), list(features.values()))

    def test_the_notes_beside_the_features_are_those_of_the_profile(self, profile, tmp_path):
        write_profile(replace(profile, synthetic_case=True), tmp_path)
        table = pd.read_csv(tmp_path / "features.notes.csv").iloc[0].to_dict()
        assert [table.pop(name) for name in ("case_id", "synthetic", "engine")] == [profile.case_id, 1, "own"]
        assert table == {note.code: note.severity for note in profile.quality}
        assert table

    def test_heat_map_lies_where_the_patch_lies(self, profile, prepared, tmp_path):
        write_profile(profile, tmp_path)
        stored = sitk.ReadImage(tmp_path / "gradcam_LVI.nrrd")
        assert stored.GetSize() == (160, 160, 1)
        assert stored.GetPixelID() == sitk.sitkFloat32
        for part in ("GetOrigin", "GetSpacing", "GetDirection"):
            np.testing.assert_allclose(getattr(stored, part)(), getattr(prepared.patch.image, part)(), atol=1e-9)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(stored)[0], profile.gradcam["LVI"])
        i, j, k = prepared.patch.centre_ijk
        centre = np.array(ORIGIN) + np.array(SPACING) * (i, j, k)
        np.testing.assert_allclose(stored.TransformIndexToPhysicalPoint((80, 80, 0)), centre, atol=1e-9)
        assert not stored.HasMetaDataKey(SYNTHETIC_KEY)

    def test_shell_is_on_its_lattice(self, profile, prepared, tmp_path):
        write_profile(profile, tmp_path)
        stored = sitk.ReadImage(tmp_path / "peritumoral.nrrd")
        assert stored.GetSpacing() == (1, 1, 1)
        assert stored.GetOrigin() == prepared.peritumoral.GetOrigin()
        np.testing.assert_array_equal(sitk.GetArrayFromImage(stored), sitk.GetArrayFromImage(prepared.peritumoral))

    def test_synthetic_images_say_so(self, synthetic, tmp_path):
        write_profile(synthetic, tmp_path)
        for name in ("gradcam_LVI.nrrd", "peritumoral.nrrd"):
            assert sitk.ReadImage(tmp_path / name).GetMetaData(SYNTHETIC_KEY) == SYNTHETIC_LABEL

    def test_older_result_is_replaced_and_strange_files_stay(self, profile, without_model, tmp_path):
        write_profile(profile, tmp_path)
        (tmp_path / "gradcam_notes.nrrd").write_text("mine")
        write_profile(without_model, tmp_path)
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {name for name in [*FILES, "report.html"] if "gradcam" not in name} | {"gradcam_notes.nrrd"}
        assert from_profile_json((tmp_path / "profile.json").read_text()).model is None

    def test_a_file_in_place_of_the_folder(self, profile, tmp_path):
        (tmp_path / "out").write_text("here")
        for place in (tmp_path / "out", tmp_path / "out" / "below"):
            with pytest.raises(OutputError, match="this is a file, not a folder"):
                check_folder(place)
            with pytest.raises(OutputError, match=r"out: this is a file.*choose another folder for the results\.$"):
                write_profile(profile, place)
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    def test_check_creates_nothing(self, tmp_path):
        check_folder(tmp_path / "a" / "b")
        assert list(tmp_path.iterdir()) == []

    def test_a_failed_move_undoes_all(self, profile, without_model, tmp_path):
        write_profile(profile, tmp_path)
        (tmp_path / "peritumoral.nrrd").unlink()
        (tmp_path / "peritumoral.nrrd").mkdir()
        before = contents(tmp_path)
        with pytest.raises(OutputError, match="the results cannot be written"):
            write_profile(replace(without_model, case_id="other"), tmp_path)
        assert contents(tmp_path) == before
        assert not list(tmp_path.glob(".*"))

    @pytest.mark.parametrize("there", [True, False])
    def test_a_full_disk_leaves_nothing(self, profile, tmp_path, monkeypatch, there):
        def full(*_: object, **__: object) -> None:
            raise RuntimeError("ITK could not write")

        folder = tmp_path / "out"
        if there:
            folder.mkdir()
        monkeypatch.setattr(writing.sitk, "WriteImage", full)
        with pytest.raises(OutputError, match="the image could not be stored"):
            write_profile(profile, folder)
        assert [path.name for path in tmp_path.rglob("*")] == (["out"] if there else [])

    def test_write_atomically(self, tmp_path):
        write_atomically(tmp_path / "sub" / "text.txt", "tumour – µ")
        assert (tmp_path / "sub" / "text.txt").read_bytes() == "tumour – µ".encode()
        write_atomically(tmp_path / "sub" / "text.txt", b"\x00\xff")
        assert (tmp_path / "sub" / "text.txt").read_bytes() == b"\x00\xff"
        with pytest.raises(OutputError, match="the file cannot be written"):
            write_atomically(tmp_path / "sub" / "text.txt" / "below", "x")
        with pytest.raises(OutputError, match="choose a place"):
            write_atomically(tmp_path / "sub", "x")
        assert [path.name for path in tmp_path.rglob("*")] == ["sub", "text.txt"]
