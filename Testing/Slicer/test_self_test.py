"""The module's own DeepRadScoreTest, whole, as "Reload and Test" in Slicer runs it; here nothing may be skipped."""

from __future__ import annotations

import io
import unittest
from typing import Any

import pytest


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEPRADSCORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def test_whole(slicer_app: Any, cache: Any) -> None:
    import slicer_harness as harness

    with harness.main_window():
        loaded = harness.load_module()
        from DeepRadScoreSlicer.self_test import DeepRadScoreTest

        said = io.StringIO()
        suite = unittest.defaultTestLoader.loadTestsFromTestCase(DeepRadScoreTest)
        outcome = unittest.TextTestRunner(said, verbosity=2).run(suite)
        assert outcome.wasSuccessful(), said.getvalue()
        assert outcome.testsRun >= 11
        assert outcome.skipped == []
        loaded.close()
