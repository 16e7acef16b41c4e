"""One public extractor of radiomic features at work on one region, in an environment of its own.

    python extractor_worker.py EXTRACTOR FOLDER original|all

FOLDER holds `image.nrrd` and `mask.nrrd`, and the same arrays (z, y, x) in `region.npz` with the spacing (x, y, z; mm).
Imports and reading come first, then one extraction, whose features are the first line printed: JSON, name -> value; as
with pyradiomics, names begin with the image type. For each line of input one more extraction follows, whose seconds are
printed. Bins of 25 HU, a shift of 1000 HU.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

BIN_WIDTH = 25
SHIFT = 1000
Extraction = Callable[[], dict[str, float]]
CLASSES = ("shape", "firstorder", "glcm", "glrlm", "glszm", "ngtdm", "gldm")
BANDS = tuple(f"wavelet-{band}" for band in ("LLH", "LHL", "LHH", "HLL", "HLH", "HHL", "HHH", "LLL"))


def flash_radiomics(folder: Path, images: str) -> Extraction:
    from flash_radiomics.featureextractor import RadiomicsFeatureExtractor

    extractor = RadiomicsFeatureExtractor(
        binWidth=BIN_WIDTH, voxelArrayShift=SHIFT, label=1, additionalInfo=False, backend="cpu"
    )
    extractor.disableAllImageTypes()
    extractor.enableImageTypes(**({"Original": {}, "Wavelet": {}} if images == "all" else {"Original": {}}))
    extractor.disableAllFeatures()
    for name in CLASSES:
        extractor.enableFeatureClassByName(name)
    out = tempfile.mkdtemp()

    def extract() -> dict[str, float]:
        found = extractor.execute(
            str(folder / "image.nrrd"), str(folder / "mask.nrrd"), output_hdf5_path=f"{out}/features.h5"
        )
        return {name: float(value) for name, value in found.items() if np.ndim(value) == 0 and _is_number(value)}

    return extract


def fastrad(folder: Path, images: str) -> Extraction:
    import torch
    from fastrad import FeatureExtractor, FeatureSettings, Mask, MedicalImage

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    array, mask, spacing = _region(folder)
    extractor = FeatureExtractor(FeatureSettings(bin_width=BIN_WIDTH, device="cpu", spacing=spacing[::-1]))
    image = MedicalImage(torch.from_numpy(array.astype(np.float32)), spacing[::-1])
    labels = Mask(torch.from_numpy(mask.astype(np.float32)), spacing[::-1])
    return lambda: {f"original_{name}": value for name, value in extractor.extract(image, labels).items()}


def numpyradiomics(folder: Path, images: str) -> Extraction:
    import numpyradiomics as package

    array, mask, spacing = _region(folder)
    array = array.astype(float)

    def extract() -> dict[str, float]:
        first_order = package.firstorder(array, mask, float(np.prod(spacing)), BIN_WIDTH, None, SHIFT)
        shape = package.shape(mask, spacing[::-1], extend=False)
        named = {f"original_firstorder_{name}": value for name, value in first_order.items()}
        named |= {f"original_shape_{name}": value for name, value in shape.items()}
        textures = package.texture(array, mask, binWidth=BIN_WIDTH)
        return named | {f"original_{name}": value for name, value in textures.items()}

    return extract


def pictologics(folder: Path, images: str) -> Extraction:
    os.environ["PICTOLOGICS_DISABLE_WARMUP"] = "1"
    from pictologics import RadiomicsPipeline
    from pictologics.filters import wavelet_transform
    from pictologics.loader import Image

    array, mask, spacing = _region(folder)
    array, mask = (np.ascontiguousarray(values.transpose(2, 1, 0)) for values in (array.astype(float), mask))
    families = ["intensity", "morphology", "texture", "histogram"]
    pipeline = RadiomicsPipeline()
    image_types = ["original", *BANDS] if images == "all" else ["original"]
    for image_type in image_types:
        steps: list[dict[str, Any]] = []
        values = array
        if image_type != "original":
            wavelet = {"wavelet": "coif1", "decomposition": image_type[-3:], "boundary": "periodic"}
            steps = [{"step": "filter", "params": {"type": "wavelet", **wavelet}}]
            values = wavelet_transform(array, **wavelet)
        lowest = float(values[mask > 0].min())
        bins = {"method": "FBS", "bin_width": BIN_WIDTH, "min_val": lowest - lowest % BIN_WIDTH}
        of_image = [name for name in families if name != "morphology" or image_type == "original"]
        steps += [
            {"step": "discretise", "params": bins},
            {"step": "extract_features", "params": {"families": of_image}},
        ]
        pipeline.add_config(image_type, steps)
    image, labels = (Image(array=values, spacing=spacing, origin=(0.0, 0.0, 0.0)) for values in (array, mask))

    def extract() -> dict[str, float]:
        found = pipeline.run(image, labels, config_names=image_types)
        return {f"{config}_{name}": value for config, series in found.items() for name, value in series.items()}

    return extract


EXTRACTORS: dict[str, Callable[[Path, str], Extraction]] = {
    "flash-radiomics": flash_radiomics,
    "fastrad": fastrad,
    "numpyradiomics": numpyradiomics,
    "pictologics": pictologics,
}


def _region(folder: Path) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float]]:
    with np.load(folder / "region.npz") as region:
        return region["image"], region["mask"], tuple(region["spacing"].tolist())


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def main() -> None:
    name, folder, images = sys.argv[1:]
    extract = EXTRACTORS[name](Path(folder), images)
    answers, sys.stdout = sys.stdout, sys.stderr
    found = {key: float(value) for key, value in extract().items() if _is_number(value)}
    print(json.dumps(found), file=answers, flush=True)
    for _ in sys.stdin:
        begun = time.perf_counter()
        extract()
        print(time.perf_counter() - begun, file=answers, flush=True)


if __name__ == "__main__":
    main()
