"""The engine of our own against pyradiomics: warm on four tumours, in a fresh process, and compiled for the first time.

python Testing/benchmarks/rows/engine.py
"""

from __future__ import annotations

import csv
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import SimpleITK as sitk

from rows.side_by_side import NO_HISTORY, ROOT, Row, Worker, before, in_turns, timed

DATA = Path(os.environ.get("DEEPRADSCORE_TEST_DATA", ROOT.parent / "shared"))
TUMOURS = {
    "ibsi_ct_phantom": ("359 mL (ibsi_ct_phantom)", 25, 50),
    "lung2": ("48 mL (lung2)", 20, 40),
    "pat_2": ("6 mL (pat_2)", 15, 30),
    "lung1": ("1.4 mL (lung1)", 12, 25),
}

PREPARED = """
import numpy as np, SimpleITK as sitk
from DeepRadScoreLib.imaging.carriers import DeepPatch, PreparedCase
blank = sitk.Image([160, 160, 1], sitk.sitkFloat32)
patch = DeepPatch(blank, np.zeros((160, 160), bool), (0, 0, 0), area_mm2=0.0, cut_off_share=0.0)
images = [sitk.ReadImage(f"{folder}/{{name}}.nrrd") for name in ("image", "tumour", "peritumoral")]
prepared = PreparedCase("case", "canonical", 3.0, *images, patch, blank, blank, ())
"""
OWN = """
from DeepRadScoreLib.models import Engine
from DeepRadScoreLib.radscore.extraction import cores, extract_features
"""
BEFORE_IMPORT = "from DeepRadScoreLib.radscore.engine import extract_features\n"
PLAIN = """
import logging
import SimpleITK as sitk
from radiomics.featureextractor import RadiomicsFeatureExtractor
logging.getLogger("radiomics").setLevel(logging.CRITICAL)
extractor = RadiomicsFeatureExtractor(binWidth=25, voxelArrayShift=1000, label=1, additionalInfo=False)
extractor.disableAllImageTypes()
extractor.enableImageTypes(Original={{}}, Wavelet={{}})
image, *regions = [sitk.ReadImage(f"{folder}/{{name}}.nrrd") for name in ("image", "tumour", "peritumoral")]
for region in regions:
    extractor.execute(image, region)
"""


def rows() -> Iterator[Row]:
    """The rows of the engine."""
    with tempfile.TemporaryDirectory() as folder, before() as checkout:
        for case in TUMOURS:
            _write_prepared(case, Path(folder) / case)
        yield from _warm(Path(folder), checkout)
        yield _fresh(Path(folder) / "lung1")
        yield _first_use()


def _warm(folder: Path, checkout: Path | None) -> Iterator[Row]:
    own = Worker(ROOT)
    other = Worker(checkout) if checkout else None
    for case, (name, least, aim) in TUMOURS.items():
        row = Row(f"2 x 851 features, {name}", "pyradiomics in the program before", least, aim)
        if other is None:
            row.remark = NO_HISTORY
        else:
            load = PREPARED.format(folder=folder / case)
            other.run(BEFORE_IMPORT + load)
            own.run(OWN + load + "extract_features(prepared, Engine.OWN)")
            turns = 3 if least > 20 else 7
            in_turns(
                row,
                lambda: other.run("extract_features(prepared)"),
                lambda: own.run("extract_features(prepared, Engine.OWN, threads=cores())"),
                turns,
            )
        yield row
    for worker in filter(None, (own, other)):
        worker.close()


def _fresh(folder: Path) -> Row:
    row = Row("1.4 mL in a fresh process, imports included", "pyradiomics' own fresh process", 1 / 0.8, 1 / 0.4)
    path = {"PYTHONPATH": str(ROOT)}
    own = [sys.executable, "-c", OWN + PREPARED.format(folder=folder) + "extract_features(prepared, Engine.OWN)"]
    timed(own, **path)
    return in_turns(row, lambda: timed([sys.executable, "-c", PLAIN.format(folder=folder)]), lambda: timed(own, **path))


def _first_use() -> Row:
    """The limit of 15 s (aim 8 s) as a ratio."""
    row = Row("first use on a machine: compilation", "15 s", 1, 15 / 8)
    code = "from DeepRadScoreLib.radscore.engine.compiled import compile_steps; list(compile_steps())"

    def compilation() -> float:
        with tempfile.TemporaryDirectory() as folder:
            return timed([sys.executable, "-c", code], PYTHONPATH=str(ROOT), NUMBA_CACHE_DIR=folder)

    return in_turns(row, lambda: 15.0, compilation, 2)


def _write_prepared(case: str, folder: Path) -> None:
    from DeepRadScoreLib.imaging import prepare, read_case

    oracle = DATA / "reference" / "oracle"
    with (oracle / "cases.csv").open() as stream:
        paths = {row["case"]: row for row in csv.DictReader(stream)}
    prepared = prepare(read_case(oracle / paths[case]["image"], oracle / paths[case]["mask"]))
    folder.mkdir()
    for name in ("image", "tumour", "peritumoral"):
        sitk.WriteImage(getattr(prepared, name), folder / f"{name}.nrrd")
