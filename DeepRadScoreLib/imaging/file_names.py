"""Names of image files."""

from __future__ import annotations

import re
from pathlib import Path


def file_stem(path: Path) -> str:
    """The file's name without `.nrrd`, `.seg.nrrd`, `.nii`, `.nii.gz`, `.mha` or `.mhd`."""
    return re.sub(r"((\.seg)?\.nrrd|\.nii(\.gz)?|\.mh[ad])\Z", "", Path(path).name, flags=re.IGNORECASE)
