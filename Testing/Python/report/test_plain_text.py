"""A profile as plain text: every number of it, its label and its remarks; nothing that a report system cannot take."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.analyses.findings import LabelSet, MolecularProfile
from DeepRadScoreLib.cli.case_commands import inspect
from DeepRadScoreLib.endpoints import BY_KEY, KEYS
from DeepRadScoreLib.imaging import Case
from DeepRadScoreLib.imaging.origin import SYNTHETIC_LABEL
from DeepRadScoreLib.likeness.carriers import Likeness, Reason
from DeepRadScoreLib.report.plain_text import to_plain_text
from DeepRadScoreLib.report.profile import to_document, to_profile_json
from support.dicom_results import profile_of

SEMI_AXES_MM = (14.0, 9.0, 8.0)
SPACING = (0.7, 0.8, 2.0)


@pytest.fixture(scope="module")
def profile() -> MolecularProfile:
    """An ellipsoid of known axes in lung; EGFR with interval and label set, ROS1 without a probability."""
    points = np.stack(np.meshgrid(*(np.arange(n) - n / 2 for n in (60, 60, 16)), indexing="ij"), axis=-1)
    inside = ((points * SPACING / SEMI_AXES_MM) ** 2).sum(axis=-1).T <= 1
    tumour = sitk.GetImageFromArray(inside.astype(np.uint8))
    noise = np.random.default_rng(3).normal(-800, 20, inside.shape)
    ct = sitk.GetImageFromArray(np.where(inside, 40, noise).astype(np.int16))
    for image in (ct, tumour):
        image.SetSpacing(SPACING)
    made = profile_of(Case("one", ct, tumour))
    egfr = replace(made.findings["EGFR"], interval=(0.31, 0.62), label_set=LabelSet(("wild type",), 0.9))
    likeness = Likeness(97.5, (Reason("noise_hu", 31.0, 4.0, 22.0),))
    return replace(made, findings={**made.findings, "EGFR": egfr}, likeness=likeness)


@pytest.fixture(scope="module")
def text(profile: MolecularProfile) -> str:
    return to_plain_text(to_document(profile))


def test_axes_are_those_of_the_ellipsoid(profile, text):
    long_axis, short_axis = (
        float(number) for number in re.search(r"long axis (\S+) mm, short axis (\S+) mm", text).groups()
    )
    assert long_axis == pytest.approx(2 * SEMI_AXES_MM[0], abs=SPACING[0])
    assert short_axis == pytest.approx(2 * SEMI_AXES_MM[1], abs=SPACING[1])
    assert profile.prepared.axes_mm == pytest.approx((long_axis, short_axis), abs=0.05)
    volume = float(re.search(r"Tumour: (\S+) mL", text).group(1))
    assert volume == pytest.approx(4 / 3 * np.pi * np.prod(SEMI_AXES_MM) / 1000, rel=0.05)


def test_every_finding_is_a_line_with_its_numbers(profile, text):
    lines = {line.partition(":")[0]: line for line in text.splitlines()}
    for key in KEYS:
        finding, line = profile.findings[key], lines[BY_KEY[key].name]
        if finding.probability is None:
            assert "no probability" in line and "does not cover this endpoint" in line
        else:
            assert f": {100 * finding.probability:.0f} %" in line and finding.decision in line
    assert "(interval 31 % to 62 %)" in lines["EGFR mutation"] and "compatible with wild type" in lines["EGFR mutation"]
    assert "may know nothing here" in lines["KRAS mutation"]
    assert "(fold models 20 % to 90 %)" in lines["ALK mutation"]


def test_no_probability_is_said_once(profile):
    egfr = replace(profile.findings["EGFR"], probability=None, decision=None, flags=("unlike_training",))
    text = to_plain_text(to_document(replace(profile, findings={**profile.findings, "EGFR": egfr})))
    (line,) = (line for line in text.splitlines() if line.startswith("EGFR"))
    assert line.lower().count("no probability") == 1 and "unlike the patients" in line


def test_likeness_model_remarks_and_version_are_told(profile, text):
    assert "97.5 % of them" in text and "noise of the image (HU): 31 (training 4 to 22)" in text
    assert "Model: trial (abababababab)." in text
    assert all(note.message.replace("\u202f", " ") in text for note in profile.quality)
    assert "DeepRadScore of an unknown version." in text and "verified by nobody" in text


def test_a_report_system_of_latin_1_can_take_it(text):
    assert text.encode("latin-1").decode("latin-1") == text
    assert text.endswith("\n") and "\r" not in text


def test_what_is_synthetic_is_labelled_at_both_ends_only(profile):
    synthetic = replace(profile, model=replace(profile.model, synthetic=True))
    lines = to_plain_text(to_document(synthetic)).splitlines()
    assert [n for n, line in enumerate(lines) if SYNTHETIC_LABEL in line] == [0, len(lines) - 1]
    assert SYNTHETIC_LABEL not in to_plain_text(to_document(profile))


def test_without_a_model_there_is_no_number_of_a_finding(profile):
    bare = replace(profile, model=None, findings={}, likeness=None)
    text = to_plain_text(to_document(bare))
    of_the_case = [line for line in text.splitlines() if not line.startswith(("Warning", "Note"))]
    assert text.count("No trained model was given") == 1 and "%" not in "".join(of_the_case)
    assert not [one.name for one in BY_KEY.values() if one.name in text] and "\n\n\n" not in text


def test_inspect_prints_it(profile, text, tmp_path, capsys):
    (tmp_path / "profile.json").write_text(to_profile_json(profile), encoding="utf-8")
    inspect(tmp_path / "profile.json", None, None)
    assert capsys.readouterr().out == text
