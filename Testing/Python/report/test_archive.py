"""All objects of a case in a real archive: stored, found by DICOMweb, and read back."""

from __future__ import annotations

import shutil
import subprocess
from io import BytesIO

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from DeepRadScoreLib.imaging import read_case
from DeepRadScoreLib.report.dicom import PageForm
from DeepRadScoreLib.report.dicom.writing import to_dicom, to_dicom_pages, write_dicom
from support import archive
from support.dicom_results import opened, profile_of, study

pytestmark = pytest.mark.skipif(archive.MISSING != "", reason=archive.MISSING)
PIXELS = ("tumour.dcm", "regions.dcm", "gradcam_LVI.dcm", "gradcam_EGFR.dcm", "page_1.dcm")


def elements(ds: Dataset) -> str:
    """All elements as JSON, whatever the transfer syntax."""
    return ds.to_json(bulk_data_threshold=1 << 30)


@pytest.mark.parametrize("how", ["http", "dimse"])
def test_what_is_stored_is_found_and_read_back(tmp_path, how):
    if how == "dimse" and shutil.which("storescu") is None:
        pytest.skip("storescu (Debian package dcmtk) is not installed")
    case = read_case(study(tmp_path / "study"))
    profile = profile_of(case)
    files = to_dicom(profile, case)
    for form in PageForm:
        files |= to_dicom_pages(profile, case, form)
    write_dicom(files, tmp_path / "dicom")
    (tmp_path / "archive").mkdir()
    with archive.running(tmp_path / "archive") as held:
        if how == "http":
            for data in files.values():
                held.store(data)
        else:
            address = ("127.0.0.1", str(held.dicom_port))
            subprocess.run(["storescu", "-R", "+sd", *address, str(tmp_path / "dicom")], check=True)
        study_uid = case.source.first.StudyInstanceUID
        found = held.find(f"/studies/{study_uid}/series")
        sent = opened(files)
        assert {one["0020000E"]["Value"][0] for one in found} == {ds.SeriesInstanceUID for ds in sent.values()}
        for name, ds in sent.items():
            again = dcmread(BytesIO(held.retrieve(study_uid, ds.SeriesInstanceUID, ds.SOPInstanceUID)))
            if name in PIXELS:
                np.testing.assert_array_equal(again.pixel_array, ds.pixel_array)
            for one in (again, ds):
                for keyword in ("PixelData", "FloatPixelData", "EncapsulatedDocument"):
                    if keyword in one:
                        delattr(one, keyword)
            assert elements(again) == elements(ds)
