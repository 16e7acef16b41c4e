"""`deepradscore extract` on a cohort of 40 synthetic cases, beside pyradiomics' own command line in batch.

python Testing/benchmarks/bench.py cohort

pyradiomics gets two rows a case (tumour, shell) of images that are prepared already, with the same settings; ours
reads, checks and prepares each case by itself, from an empty cache. Both are whole processes with two jobs, imports
included. The remark says how many cases a minute ours computes, the ratio of the processor time of all processes (on a
busy machine it says more), and how many features differ: by over 1e-6, next to zero by 1e-9 of the feature's largest.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK as sitk

from rows.side_by_side import Row

CASES, JOBS, TURNS = 40, 2, 3
LEAST, AIM = 8, 20
PARAMETERS = """
setting: {binWidth: 25, voxelArrayShift: 1000, label: 1, normalize: false, additionalInfo: false}
imageType:
  Original: {}
  Wavelet: {wavelet: coif1, level: 1}
featureClass: {shape: , firstorder: , glcm: , glrlm: , glszm: , gldm: , ngtdm: }
"""


def _write_batch(table: Path, folder: Path) -> Path:
    """The batch file of pyradiomics: image and mask of each region, prepared."""
    from DeepRadScoreLib.imaging import prepare, read_case
    from DeepRadScoreLib.radscore.names import REGIONS

    folder.mkdir()
    regions = []
    for row in pd.read_csv(table).itertuples():
        prepared = prepare(read_case(table.parent / row.ct, table.parent / row.mask, case_id=row.case_id))
        image = folder / f"{row.case_id}.nrrd"
        sitk.WriteImage(prepared.image, str(image))
        for region in REGIONS:
            mask = folder / f"{row.case_id}_{region}.nrrd"
            sitk.WriteImage(getattr(prepared, region), str(mask))
            regions.append({"ID": row.case_id, "region": region, "Image": image, "Mask": mask})
    pd.DataFrame(regions).to_csv(folder / "batch.csv", index=False)
    (folder / "parameters.yaml").write_text(PARAMETERS)
    return folder / "batch.csv"


def _seconds(command: list[object], **environment: str) -> tuple[float, float]:
    """Wall time of a program, and processor time of all its processes."""
    settings = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    wall, processor = time.perf_counter(), _processor_time()
    subprocess.run(list(map(str, command)), check=True, env=settings, capture_output=True)
    return time.perf_counter() - wall, _processor_time() - processor


def _processor_time() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _by_pyradiomics(batch: Path, out: Path) -> tuple[float, float]:
    out.unlink(missing_ok=True)
    program = Path(sys.executable).with_name("pyradiomics")
    return _seconds([program, batch, "-p", batch.with_name("parameters.yaml"), "-o", out, "-f", "csv", "-j", JOBS])


def _by_deepradscore(table: Path, out: Path) -> tuple[float, float]:
    program = [sys.executable, "-m", "DeepRadScoreLib.cli.main", "extract"]
    with tempfile.TemporaryDirectory() as cache:
        command = [*program, table, "--out", out, "--jobs", JOBS, "--engine", "own"]
        return _seconds(command, DEEPRADSCORE_CACHE=cache)


def _disagreement(ours: Path, theirs: Path) -> list[str]:
    """Features that differ in any case."""
    from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS

    table = pd.read_csv(ours).set_index("case_id")
    found = pd.read_csv(theirs).set_index(["ID", "region"])
    wrong = []
    for column in FEATURE_COLUMNS:
        region, name = column.split("_", 1)
        expected = found.xs(region, level="region")[name].astype(float).loc[table.index]
        floor = 1e-9 * float(expected.abs().max())
        if not np.allclose(table[column], expected, rtol=1e-6, atol=floor):
            wrong.append(column)
    return wrong


def rows() -> Iterator[Row]:
    """One row; the first extraction, which may compile, is not counted."""
    from DeepRadScoreLib.computing.workers import Processes
    from DeepRadScoreLib.synthetic.cohort import write_cohort

    row = Row(f"features of a cohort of {CASES} cases, {JOBS} jobs", "pyradiomics' command line in batch", LEAST, AIM)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        table = write_cohort(folder / "cohort", CASES - 1, 1, seed=1, workers=Processes(JOBS))
        batch = _write_batch(table, folder / "prepared")
        ours, theirs = folder / "features.csv", folder / "pyradiomics.csv"
        _by_deepradscore(table, ours)
        turns = [(_by_pyradiomics(batch, theirs), _by_deepradscore(table, ours)) for _ in range(TURNS)]
        row.other, row.own = [other[0] for other, _ in turns], [own[0] for _, own in turns]
        processor = statistics.median(other[1] / own[1] for other, own in turns)
        rate = 60 * CASES / statistics.median(row.own)
        row.remark = (
            f"{rate:.0f} cases a minute; {processor:.1f} times less processor time; "
            f"{len(_disagreement(ours, theirs))} of 1702 features differ"
        )
    yield row
