"""Names of image files."""

from __future__ import annotations

import re
from pathlib import Path

CT = re.compile(r"(^|[-_. ])(ct|image|volume|scan|0000)$", re.IGNORECASE)
"""Ending of the name of a CT; "0000" is nnU-Net's first channel."""


def file_stem(path: Path) -> str:
    """The file's name without `.nrrd`, `.seg.nrrd`, `.nii`, `.nii.gz`, `.mha` or `.mhd`."""
    return re.sub(r"((\.seg)?\.nrrd|\.nii(\.gz)?|\.mh[ad])\Z", "", Path(path).name, flags=re.IGNORECASE)


def case_name(ct: Path) -> str:
    """The name of the case of a CT: the file's without "_ct" or the like; "ct" where the file is called so."""
    stem = file_stem(ct)
    return CT.sub("", stem) or stem
