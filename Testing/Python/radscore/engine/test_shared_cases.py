"""The engine against pyradiomics on every shared case, in both preprocessings."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import SimpleITK as sitk

from DeepRadScoreLib.imaging.carriers import Case
from DeepRadScoreLib.imaging.preparing import prepare
from DeepRadScoreLib.imaging.reading import read_case
from DeepRadScoreLib.models import Preprocessing
from DeepRadScoreLib.radscore.names import FEATURE_NAMES, REGIONS
from support.engine_oracle import Comparison, compared, plain_pyradiomics
from support.own_values import own_values

CASES = ("lung1", "lung2", "pat_2", "LUNG1-001", "ibsi_ct_phantom")
VALUES = len(FEATURE_NAMES) * len(REGIONS)


def shared_case(shared: Path, name: str) -> Case:
    folder = shared / "reference" / "oracle"
    with (folder / "cases.csv").open() as stream:
        paths = next(row for row in csv.DictReader(stream) if row["case"] == name)
    return read_case(folder / paths["image"], folder / paths["mask"], case_id=name)


def check(comparison: Comparison, capsys: pytest.CaptureFixture[str]) -> None:
    error, where = max(comparison.worst.values())
    with capsys.disabled():
        print(f"\n{comparison.compared} values, {len(comparison.failures)} not equal; worst {error:.1e}, {where}")
    assert not comparison.failures
    assert not comparison.zeros
    assert comparison.compared == VALUES


@pytest.mark.parametrize("name", CASES)
def test_equal_to_pyradiomics_in_the_canonical_frame(
    shared: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check(compared(own_values, plain_pyradiomics, [prepare(shared_case(shared, name))]), capsys)


@pytest.mark.parametrize("name", CASES)
def test_equal_to_the_tables_of_the_original_pyradiomics(
    shared: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = own_values(prepare(shared_case(shared, name), preprocessing=Preprocessing.PYRADIOMICS))
    comparison = Comparison()
    for region in REGIONS:
        with (shared / "reference" / "oracle" / f"pyradiomics_3.0.1_{region}.csv").open() as stream:
            expected = {row["feature"]: float(row[name]) for row in csv.DictReader(stream)}
        comparison.add(found[region], expected, f"{name}, {region}")
    check(comparison, capsys)


@pytest.mark.parametrize("name", ["lung1", "pat_2"])
def test_equal_to_pyradiomics_for_a_ct_of_float32(shared: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    case = shared_case(shared, name)
    single = replace(case, ct=sitk.Cast(case.ct, sitk.sitkFloat32))
    prepared = prepare(single, preprocessing=Preprocessing.PYRADIOMICS)
    assert prepared.image.GetPixelID() == sitk.sitkFloat32
    check(compared(own_values, plain_pyradiomics, [prepared]), capsys)
