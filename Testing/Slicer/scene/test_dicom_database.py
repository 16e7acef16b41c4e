"""Series of Slicer's DICOM database, and the folder for what is written about them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest


class Database:
    """Files named "<series>/<number>", of these modalities by series."""

    def __init__(self, modalities):
        self.modalities = modalities

    isOpen = True

    def seriesForFile(self, file):
        series = file.partition("/")[0]
        return series if series in self.modalities else ""

    def filesForSeries(self, uid):
        return (f"{uid}/1", f"{uid}/2") if uid in self.modalities else ()

    def fileValue(self, file, tag):
        assert tag == "0008,0060"
        return self.modalities[self.seriesForFile(file)]


@pytest.fixture
def application(monkeypatch, tmp_path):
    import slicer

    monkeypatch.setattr(slicer, "dicomDatabase", Database({"1.2": "CT", "1.3": "CT", "1.4": "SEG"}), raising=False)
    monkeypatch.setattr(
        slicer, "app", SimpleNamespace(slicerUserSettingsFilePath=str(tmp_path / "Slicer.ini")), raising=False
    )


def test_series_come_once_in_the_order_of_their_files(application):
    from DeepRadScoreSlicer.scene.dicom_database import series_of_files

    assert series_of_files(["1.4/2", "1.2/1", "none/1", "1.4/1"]) == ["1.4", "1.2"]


def test_a_series_without_files_has_no_modality(application):
    from DeepRadScoreSlicer.scene.dicom_database import modality

    assert (modality("1.9"), modality("1.4")) == ("", "SEG")


def test_reviews_lie_beside_slicers_settings(application, tmp_path):
    from DeepRadScoreSlicer.scene.dicom_database import review_folder

    assert review_folder() == tmp_path / "DeepRadScore"
