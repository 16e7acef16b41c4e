"""The module's own DeepRadScoreTest, whole, as "Reload and Test" in Slicer runs it; here nothing may be skipped."""

from __future__ import annotations

import unittest
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEPRADSCORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def test_whole(slicer_app: Any, cache: Any) -> None:
    """In another language than English; what it says is kept in a file that bears no user's name."""
    import slicer_harness as harness

    with harness.in_another_language(), harness.main_window():
        loaded = harness.load_module()
        from DeepRadScoreSlicer.scene.dicom_database import review_folder
        from DeepRadScoreSlicer.self_test import DeepRadScoreTest

        assert loaded.widget.ui.analyzeButton.text == "ANALYZE"
        DeepRadScoreTest().runTest()
        said = (review_folder() / "self-test.txt").read_text(encoding="utf-8")
        names = unittest.defaultTestLoader.getTestCaseNames(DeepRadScoreTest)
        assert len(names) >= 12 and all(name in said for name in names)
        assert said.count("... ok") == len(names) and "skipped" not in said
        assert "Slicer 5.10" in said
        loaded.close()


def test_the_result_bears_no_user_name(slicer_app: Any) -> None:
    from DeepRadScoreSlicer.panel_testing import write_result

    said = write_result(f"File {Path.home()}/Slicer/x.py, line 1").read_text(encoding="utf-8")
    assert "File ~/Slicer/x.py" in said and str(Path.home()) not in said
