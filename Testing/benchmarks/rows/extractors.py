"""The engine of our own against every other public extractor that installs, on the 48 mL tumour (lung2) alone.

    python Testing/benchmarks/bench.py extractors

Each gets the image and mask of the canonical frame, and as many threads. Rows: the 107 features of the original image
for each; all 851 where it has a wavelet transform. A feature agrees with pyradiomics if the extractor's value of the
same name differs by at most 1e-6; where it uses other names, if any of its values of that image type does.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk
from extractor_environments import PEERS, Features, NotRunError, Peer, environment, worker

from rows.side_by_side import ROOT, Row, in_turns

if TYPE_CHECKING:
    from DeepRadScoreLib.imaging.carriers import PreparedCase

DATA = Path(os.environ.get("DEEPRADSCORE_TEST_DATA", ROOT.parent / "shared")) / "data" / "pyradiomics"
THREADS = min(os.cpu_count() or 1, 2)
RELATIVE = 1e-6
LEAST, AIM = 1, 8
sys.path[:0] = [str(ROOT), str(ROOT / "Testing")]


def rows() -> Iterator[Row]:
    """One row for each extractor and kind of images; one that does not run says why."""
    from DeepRadScoreLib.radscore.pyradiomics_engine import quiet_pyradiomics
    from support.engine_oracle import plain_pyradiomics

    prepared = tumour()
    ours = own_extraction(prepared)
    with quiet_pyradiomics():
        reference = plain_pyradiomics(prepared.image, prepared.tumour)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_region(prepared, folder)
        for peer in PEERS:
            try:
                python, version = environment(peer, folder)
            except NotRunError as reason:
                yield Row("features, tumour only", peer.name, LEAST, AIM, remark=str(reason))
                continue
            for images in peer.images:
                yield _row(peer, python, version, images, folder, ours, reference)


def _row(
    peer: Peer,
    python: Path,
    version: str,
    images: str,
    folder: Path,
    ours: Callable[[str], Features],
    reference: Features,
) -> Row:
    expected = {name: value for name, value in reference.items() if images == "all" or name.startswith("original")}
    row = Row(f"{len(expected)} features, tumour only, 48 mL (lung2)", f"{peer.name} {version}", LEAST, AIM)

    def own() -> float:
        begun = time.perf_counter()
        ours(images)
        return time.perf_counter() - begun

    try:
        with worker(peer, python, images, folder, THREADS) as (features, other):
            own()
            in_turns(row, other, own)
    except NotRunError as reason:
        row.remark = str(reason)
        return row
    agree, ours_agree = agreement(features, expected), agreement(ours(images), expected)
    row.remark = f"agree with pyradiomics to 1e-6: {agree} of {len(expected)}, ours {ours_agree}; threads: {THREADS}"
    if peer.other_work:
        row.remark += f"; it computes {len(features)} values: {peer.other_work}"
    return row


def agreement(found: Features, reference: Features) -> int:
    """How many of the reference's features an extractor has, by name or else by value."""
    by_name = not found.keys().isdisjoint(reference)

    def agrees(name: str, value: float) -> bool:
        image_type = _image_type(name)
        others = [(name, found.get(name, math.nan))] if by_name else found.items()
        return any(
            math.isclose(other, value, rel_tol=RELATIVE) for key, other in others if _image_type(key) == image_type
        )

    return sum(agrees(name, value) for name, value in reference.items())


def _image_type(name: str) -> str:
    return name.partition("_")[0]


def tumour() -> PreparedCase:
    """The case in the canonical frame."""
    from DeepRadScoreLib.imaging.preparing import prepare
    from DeepRadScoreLib.imaging.reading import read_case

    return prepare(read_case(DATA / "lung2_image.nrrd", DATA / "lung2_label.nrrd"))


def own_extraction(prepared: PreparedCase) -> Callable[[str], Features]:
    """A function that extracts the features of the tumour from the original image or from all."""
    from DeepRadScoreLib.progress import run_to_end
    from DeepRadScoreLib.radscore.engine.compiled import compile_steps

    run_to_end(compile_steps())
    from DeepRadScoreLib.radscore.engine.intensity import intensity_features, region_steps
    from DeepRadScoreLib.radscore.engine.levels import RegionVoxels
    from DeepRadScoreLib.radscore.engine.shape import shape_features

    spacing = prepared.image.GetSpacing()
    image, mask = (sitk.GetArrayViewFromImage(part) for part in (prepared.image, prepared.tumour))

    def original() -> Features:
        region = RegionVoxels.of(mask)
        return intensity_features(image[region.voxels], region, float(np.prod(spacing)))

    def extract(images: str) -> Features:
        if images == "all":
            return run_to_end(region_steps(image, {"tumour": mask}, spacing, THREADS))["tumour"]
        with ThreadPoolExecutor(THREADS) as pool:
            shape, others = pool.submit(shape_features, mask, spacing), pool.submit(original)
            named = {f"shape_{name}": value for name, value in shape.result().items()} | others.result()
        return {f"original_{name}": value for name, value in named.items()}

    return extract


def write_region(prepared: PreparedCase, folder: Path) -> None:
    """The files that `extractor_worker.py` reads."""
    sitk.WriteImage(prepared.image, str(folder / "image.nrrd"))
    sitk.WriteImage(prepared.tumour, str(folder / "mask.nrrd"))
    image, mask = (sitk.GetArrayFromImage(part) for part in (prepared.image, prepared.tumour))
    np.savez(folder / "region.npz", image=image, mask=mask, spacing=np.array(prepared.image.GetSpacing()))
