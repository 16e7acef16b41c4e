"""The tests of the Slicer module run in the harness: one application per process, an empty scene for each test."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import pytest

NEEDED = ("slicer_core", "PySide6")
missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
collect_ignore_glob = ["test_*.py"] if missing else []


def pytest_report_header() -> str:
    return f"Testing/Slicer: not collected, {', '.join(missing)} missing" if missing else ""


@pytest.fixture
def slicer_app() -> Iterator[Any]:
    """The application with an empty scene; a test fails if a slot raised or a dialog came that it did not expect."""
    import slicer_harness as harness

    app = harness.start()
    harness.reset()
    with harness.reloads_undone():
        yield app
        errors = list(harness.slot_errors)
        harness.reset()
    assert not errors, "in a slot or dialog:\n" + "\n".join(errors)


@pytest.fixture
def scene(slicer_app: Any) -> Iterator[Any]:
    """The empty scene."""
    import slicer

    slicer.mrmlScene.Clear(False)
    yield slicer.mrmlScene
    slicer.mrmlScene.Clear(False)


@pytest.fixture
def nodes(scene: Any) -> tuple[Any, Any, str]:
    """The ball case as nodes that bear the patient's name: volume, segmentation, segment."""
    from DeepRadScoreSlicer.scene import voxels
    from support.scene_tools import PATIENT, ball_case, segment_ids

    ct, tumour = ball_case()
    volume = voxels.image_to_volume(ct, PATIENT)
    segmentation = voxels.image_to_segmentation(tumour, PATIENT, "tumour", (1, 0, 0))
    return volume, segmentation, segment_ids(segmentation)[0]
