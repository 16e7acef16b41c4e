"""highdicom, by its own classes."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import highdicom as hd
import numpy as np
from pydicom import dcmread

from support.viewers.reading import Read, volume_voxels

VERSION, MISSING = f"highdicom {version('highdicom')}", ""


def read(files: Sequence[Path], ct: Path) -> dict[str, Read]:
    """SEG and maps as volumes, reports by their groups of measurements."""
    kinds = {"SEG": _segments, "SR": _report}
    return {path.name: kinds.get(dcmread(path, specific_tags=["Modality"]).Modality, _map)(path) for path in files}


def _segments(path: Path) -> Read:
    found = hd.seg.segread(path)
    volume = found.get_volume(combine_segments=False)
    names = {number: found.get_segment_description(number).segment_label for number in found.segment_numbers}
    parts = [_voxels(volume, volume.array[..., n], number) for n, number in enumerate(names)]
    return Read(np.concatenate(parts), names)


def _map(path: Path) -> Read:
    volume = hd.pm.ParametricMap.from_dataset(dcmread(path)).get_volume()
    return Read(_voxels(volume, volume.array))


def _voxels(volume: hd.Volume, values: np.ndarray, segment: int = 0) -> np.ndarray:
    return volume_voxels(values, volume.position, volume.affine[:3, 2::-1], segment)


def _report(path: Path) -> Read:
    content = hd.sr.srread(path).content
    groups = [*content.get_volumetric_roi_measurement_groups(), *content.get_image_measurement_groups()]
    groups += content.get_planar_roi_measurement_groups()
    return Read(numbers=tuple(float(one.value) for group in groups for one in group.get_measurements()))
