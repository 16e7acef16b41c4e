"""Image files as other programs write them: NIfTI headers field by field, NRRD and MetaImage by hand, a tumour in each.

The tumour is a ball off the centre along every axis, so that a mirrored or shifted mask is another tumour.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk

from support.imaging_phantoms import ball, image_of, lung_ct

SIZE, SPACING, ORIGIN = (40, 36, 24), (0.7, 0.8, 2.0), (-110.0, -130.0, 45.0)
CENTRE = (11.0, 17.0, 29.0)
RADIUS = 6.0
MASK = ball(SIZE, SPACING, RADIUS, centre=CENTRE)
HU = lung_ct(MASK)
VOLUME_MM3 = float(MASK.sum() * np.prod(SPACING))
MEAN_HU = float(HU[MASK > 0].mean())
RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def affine(spacing: Sequence[float] = SPACING, origin: Sequence[float] = ORIGIN) -> np.ndarray:
    """(4, 4) from index to mm in RAS, as NIfTI has it, of an image along the axes of LPS."""
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = origin
    return RAS_LPS @ matrix


def sheared(matrix: np.ndarray, cosine: float, *, axis: int = 1, onto: int = 0) -> np.ndarray:
    """The same with one axis leaning onto another one."""
    made = matrix.copy()
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    made[:3, axis] += cosine * lengths[axis] / lengths[onto] * matrix[:3, onto]
    return made


def moved(matrix: np.ndarray, *mm: float) -> np.ndarray:
    made = matrix.copy()
    made[:3, 3] += mm
    return made


def write_nifti(
    path: Path,
    values: np.ndarray,
    *,
    sform: np.ndarray | None = None,
    qform: np.ndarray | None = None,
    codes: tuple[int, int] = (1, 1),
    pixdim: Sequence[float] | None = None,
    units: int = 2,
    slope: float = 1.0,
    intercept: float = 0.0,
    order: str = "<",
) -> Path:
    """A NIfTI-1 file with these fields. `codes`: of the qform and the sform where they are given.

    `pixdim` is the spacing of the qform, else of the sform, else that of the phantom, unless it is given.
    """
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_dtype(values.dtype)
    header.set_data_shape(values.T.shape)
    header["pixdim"][1:4] = SPACING
    if sform is not None:
        header["srow_x"], header["srow_y"], header["srow_z"] = sform[:3]
        header["pixdim"][1:4] = np.linalg.norm(sform[:3, :3], axis=0)
    if qform is not None:
        header.set_qform(qform, codes[0])
    header["qform_code"] = codes[0] if qform is not None else 0
    header["sform_code"] = codes[1] if sform is not None else 0
    if pixdim is not None:
        header["pixdim"][1:4] = pixdim
    header["xyzt_units"], header["magic"], header["vox_offset"] = units, b"n+1", 352
    header["scl_slope"], header["scl_inter"] = slope, intercept
    content = header.binaryblock + bytes(4) + values.astype(values.dtype.newbyteorder(order)).tobytes()
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return path


def itk_image(values: np.ndarray, **geometry: object) -> sitk.Image:
    """The phantom's geometry, or what is given of it."""
    return image_of(values, **{"spacing": SPACING, "origin": ORIGIN, **geometry})


def write_itk(path: Path, values: np.ndarray, **geometry: object) -> Path:
    sitk.WriteImage(itk_image(values, **geometry), str(path))
    return path


def write_nrrd(path: Path, values: np.ndarray, fields: dict[str, str], data: bytes | None = None) -> Path:
    """A NRRD file with fields of its header replaced or added, and other bytes in place of its pixels."""
    write_itk(path, values)
    head, body = path.read_bytes().split(b"\n\n", 1)
    lines = [line for line in head.decode().split("\n") if line.partition(":")[0] not in fields]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    path.write_bytes("\n".join(lines).encode() + b"\n\n" + (body if data is None else data))
    return path
