"""What the tests of the panel share: waiting, drawing, lists of cases, and a disk filled up."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from support.scene_tools import ball_case


def settle(panel, seconds: float = 20.0) -> None:
    """Until no pause is waited for and nothing runs."""
    import slicer_harness as harness

    harness.process_events(5)
    harness.wait_for(lambda: not panel.review.watch.waiting and not panel.work.running, seconds)
    harness.process_events(5)


def ours(role=None):
    from DeepRadScoreSlicer.scene import ownership

    return ownership.ours(role)


def draw(volume, segmentation, segment_id, keep=0.5):
    """Cut the tumour: only the first `keep` of its slices stay."""
    import slicer

    mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)
    slices = np.nonzero(mask.any(axis=(1, 2)))[0]
    mask[slices[int(len(slices) * keep)] :] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), segmentation, segment_id, volume)


def layers():
    import slicer

    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return [(c.GetBackgroundVolumeID(), c.GetForegroundVolumeID(), c.GetForegroundOpacity()) for c in composites]


def write_cohort(folder: Path) -> Path:
    ct, tumour = ball_case()
    rows = ["case_id,ct,mask"]
    for name in "abc":
        sitk.WriteImage(ct, str(folder / f"{name}_ct.nrrd"), True)
        sitk.WriteImage(tumour, str(folder / f"{name}_mask.nrrd"), True)
        rows.append(f"{name},{name}_ct.nrrd,{name}_mask.nrrd")
    table = folder / "cases.csv"
    table.write_text("\n".join(rows) + "\n")
    return table


def open_list(panel, table: Path) -> None:
    panel.ui.listPathEdit.currentPath = str(table)
    panel.ui.openListButton.click()


def reviewed(panel):
    return panel.review.volume, panel.review.segmentation, panel.review.chosen.segment_id


def fill_disk(disk: Path, leave: int = 0) -> Path:
    """Fill a disk but for `leave` kB; the file that fills it."""
    filler = disk / "filler"
    with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as stream:
        while True:
            stream.write(b"0" * 1024)
    os.truncate(filler, filler.stat().st_size - 1024 * leave)
    return filler


def files_on(disk: Path) -> dict[str, bytes]:
    return {path.relative_to(disk).as_posix(): path.read_bytes() for path in disk.rglob("*") if path.is_file()}
