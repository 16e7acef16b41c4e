"""Reading and preparing a case, in every form of the shared data.

python Testing/benchmarks/bench.py prepare

The program before checks less: it looks neither at HU nor at where the mask lies.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from rows.side_by_side import NO_HISTORY, ROOT, Row, Worker, before, in_turns

DATA = Path(os.environ.get("DEEPRADSCORE_TEST_DATA", ROOT.parent / "shared")) / "data"
FORMS = {
    "lung2, NRRD": ("pyradiomics/lung2_image.nrrd", "pyradiomics/lung2_label.nrrd"),
    "phantom, NIfTI": ("ibsi/ct_phantom/nifti/image/phantom.nii.gz", "ibsi/ct_phantom/nifti/mask/mask.nii.gz"),
    "phantom, DICOM": ("ibsi/ct_phantom/dicom/image", "ibsi/ct_phantom/dicom/mask/DCM_RS_00060.dcm"),
    "pat_2, NIfTI": ("ct-radiomics-phantom/pat_2/pat_2_ct.nii.gz", "ct-radiomics-phantom/pat_2/pat_2_gtv.nii.gz"),
    "pat_2, DICOM": ("ct-radiomics-phantom/pat_2/dicom", None),
}
IMPORT = "from DeepRadScoreLib.imaging import prepare, read_case"
LEAST, AIM, TURNS = 1.5, 3, 9


def rows() -> Iterator[Row]:
    """One row for each form."""
    with before() as checkout:
        own = Worker(ROOT)
        other = Worker(checkout) if checkout else None
        for name, paths in FORMS.items():
            row = Row(f"reading and preparing {name}", "the program before", LEAST, AIM)
            ct, mask = (None if path is None else str(DATA / path) for path in paths)
            work = f"{IMPORT}\nprepare(read_case({ct!r}, {mask!r}))"
            own.run(work)
            if other is None:
                row.remark = NO_HISTORY
            else:
                other.run(work)
                _fill(row, other, own, work)
            yield row
        for worker in (own, other):
            if worker is not None:
                worker.close()


def _fill(row: Row, other: Worker, own: Worker, work: str) -> None:
    in_turns(row, lambda: other.run(work), lambda: own.run(work), TURNS)
