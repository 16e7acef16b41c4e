"""Where the header of a NIfTI-1 file places its voxels, and whether its fields agree on it.

A header may say it three times: by pixdim alone, by the qform (a rotation, a position and pixdim) and by the sform (a
matrix). ITK, nibabel and 3D Slicer choose differently between them, so that a file whose fields differ lies in one
place for the one who drew the mask and in another here. Field names and units are those of the NIfTI-1 standard
(nifti1.h), positions in RAS until `NiftiGrid` has them in LPS.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.carriers import QualityNote
from DeepRadScoreLib.imaging.grids.axes import MIN_TILT_DEGREES, shear_degrees
from DeepRadScoreLib.imaging.grids.geometry import SPACING_MM, corner_indices, spacing_text

HEADER = np.dtype(
    [
        ("sizeof_hdr", "i4"),
        ("unused", "S36"),
        ("dim", "i2", 8),
        ("intent", "S14"),
        ("datatype", "i2"),
        ("bitpix", "i2"),
        ("slice_start", "i2"),
        ("pixdim", "f4", 8),
        ("vox_offset", "f4"),
        ("scl_slope", "f4"),
        ("scl_inter", "f4"),
        ("slice_end", "i2"),
        ("slice_code", "i1"),
        ("xyzt_units", "i1"),
        ("display", "S128"),
        ("qform_code", "i2"),
        ("sform_code", "i2"),
        ("quatern", "f4", 3),
        ("qoffset", "f4", 3),
        ("srow", "f4", (3, 4)),
        ("intent_name", "S16"),
        ("magic", "S4"),
    ]
)
NIFTI_2_BYTES = 540
MM_OF_UNIT = {1: 1000.0, 3: 0.001}
"""Millimetres of the unit codes metre and micrometre; all others are taken for millimetres, as by ITK."""
UNIT_NAMES = {1: "metre", 3: "micrometre"}
ITK_DEGREES = 0.0054
"""ITK refuses an sform with axes farther than 1e-4 rad from right angles; below, its own reading is kept."""
QUATERNION_NOISE = 1e-7
"""Below, the rotation is one of 180 degrees (nifti_quatern_to_mat44 in the NIfTI library)."""
SAME_VOXELS, NEAR_VOXELS = 0.1, 0.5
"""How far, in voxels, two fields may place a corner apart: without a word; with a note."""
MEND = "convert the CT from its DICOM files again, or give those"


@dataclass(frozen=True)
class NiftiGrid:
    """Where a NIfTI file places its voxels.

    Attributes
    ----------
    matrix: (4, 4) from index x, y, z to mm in LPS; None where ITK's reading of the header is the right one.
    notes: what was put right, by the name of the field.
    """

    matrix: np.ndarray | None = None
    notes: tuple[QualityNote, ...] = ()


def nifti_grid(path: Path) -> NiftiGrid:
    """Compare the geometry fields of a `.nii` or `.nii.gz` file, and decide where its voxels lie.

    The sform alone is right where pixdim is at its default of 1 and there is no qform; fields that are up to half a
    voxel apart over the volume are one place, that of the sform. A file that is no NIfTI-1 is not judged.

    Raises
    ------
    InputError: NIfTI-2; a unit code or an intercept that contradicts the numbers beside it; a qform, a sform and
        pixdim that place the voxels differently.
    """
    header = _header(path)
    if header is None:
        return NiftiGrid()
    _check_scaling(header, path)
    _check_unit(header, path)
    return _Forms(header, path).grid()


def _header(path: Path) -> np.void | None:
    """The header in either byte order, None of a file that has none."""
    raw = _first_bytes(path, HEADER.itemsize)
    orders: tuple[Literal["little", "big"], ...] = ("little", "big")
    for order in orders:
        size = int.from_bytes(raw[:4], order)
        if size == NIFTI_2_BYTES:
            raise InputError(
                "this is a NIfTI-2 file, which cannot be read", where=path, mend="save it as NIfTI-1 or NRRD"
            )
        if size == HEADER.itemsize and len(raw) == size:
            header = np.frombuffer(raw, HEADER.newbyteorder(order))[0]
            return header if header["magic"].startswith((b"n+1", b"ni1")) else None
    return None


def header_extensions(path: Path) -> bytes:
    """What lies between header and voxels: extensions, each with its size and code before it; empty where none are."""
    header = _header(path)
    return b"" if header is None else _first_bytes(path, int(header["vox_offset"]))[HEADER.itemsize :]


def _first_bytes(path: Path, count: int) -> bytes:
    with path.open("rb") as raw:
        if raw.read(2) != b"\x1f\x8b":
            raw.seek(0)
            return raw.read(count)
    try:
        with gzip.open(path, "rb") as stream:
            return stream.read(count)
    except (EOFError, OSError, zlib.error):
        return b""


def _check_scaling(header: np.void, path: Path) -> None:
    """Refuse an intercept without a slope, which ITK adds and the standard (and nibabel) do not."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 and np.isfinite(intercept) and intercept != 0:
        raise InputError(
            f"scl_slope is 0, by which nothing is scaled, and scl_inter is {intercept:g}",
            where=path,
            mend="export it with the values in HU, or with scl_slope 1 if the intercept is meant",
        )


def _check_unit(header: np.void, path: Path) -> None:
    """Refuse a unit in which the voxels cannot be measured."""
    mm, alone = _millimetres(header), header["sform_code"] > 0 and header["qform_code"] <= 0
    name = "the sform" if alone else "pixdim"
    spacing = np.linalg.norm(header["srow"][:, :3], axis=0) if alone else np.abs(header["pixdim"][1:4])
    if _possible(spacing) and not _possible(spacing * mm):
        raise InputError(
            f"xyzt_units says {UNIT_NAMES[int(header['xyzt_units']) & 7]} and {name} {spacing_text(spacing)}: voxels "
            f"of {spacing_text(spacing * mm)} mm",
            where=path,
            mend="set xyzt_units to 2 (millimetre), or export it again",
        )


def _millimetres(header: np.void) -> float:
    """Millimetres of the header's unit of length."""
    return MM_OF_UNIT.get(int(header["xyzt_units"]) & 7, 1.0)


def _possible(spacing: np.ndarray) -> bool:
    return bool(((spacing >= SPACING_MM[0]) & (spacing <= SPACING_MM[1])).all())


class _Forms:
    """The affine matrices of the qform and of the sform, index to mm in RAS, where they are set."""

    def __init__(self, header: np.void, path: Path) -> None:
        self.path = path
        self.size = np.maximum(header["dim"][1:4].astype(int), 1)
        self.mm = _millimetres(header)
        self.pixdim = header["pixdim"][1:4].astype(float) * self.mm
        self.qform = self._qform(header) if header["qform_code"] > 0 else None
        self.sform = self._sform(header) if header["sform_code"] > 0 else None

    def grid(self) -> NiftiGrid:
        if self.sform is None:
            return NiftiGrid() if self.qform is not None else NiftiGrid(notes=(self._unplaced(),))
        return self._by_sform_alone(self.sform) if self.qform is None else self._by_both(self.sform, self.qform)

    def _by_sform_alone(self, sform: np.ndarray) -> NiftiGrid:
        spacing = np.linalg.norm(sform[:3, :3], axis=0)
        if self._drift(spacing) <= SAME_VOXELS:
            return NiftiGrid(_lps(sform) if shear_degrees(sform[:3, :3] / spacing) >= ITK_DEGREES else None)
        if np.isin(self.pixdim, (0.0, self.mm)).all():
            message = (
                f"pixdim of the NIfTI header is at its default of 1; the voxels of {spacing_text(spacing)} mm are "
                "those of its sform."
            )
            return NiftiGrid(_lps(sform), (QualityNote.info("nifti_pixdim_unset", message),))
        raise self._spacings_differ(spacing)

    def _by_both(self, sform: np.ndarray, qform: np.ndarray) -> NiftiGrid:
        apart = self._apart(sform, qform)
        if apart <= SAME_VOXELS:
            return NiftiGrid()
        spacing = np.linalg.norm(sform[:3, :3], axis=0)
        distance = np.abs((sform - qform) @ self._corners).max()
        if apart <= NEAR_VOXELS:
            message = f"qform and sform of the NIfTI header differ by up to {distance:.2g} mm; the sform was taken."
            return NiftiGrid(_lps(sform), (QualityNote.info("nifti_forms_differ", message),))
        tilt = shear_degrees(sform[:3, :3] / spacing)
        if tilt > MIN_TILT_DEGREES:
            raise InputError(
                f"the sform is sheared by {tilt:.1f} degrees (a gantry tilt that was not corrected) "
                f"and the qform is straight: they place the voxels up to {distance:.3g} mm apart",
                where=self.path,
                mend=MEND,
            )
        if self._drift(spacing) > SAME_VOXELS:
            raise self._spacings_differ(spacing)
        raise InputError(
            f"qform and sform place the voxels up to {distance:.3g} mm apart",
            where=self.path,
            mend="set both to where the image lies, or the code of the wrong one to 0",
        )

    def _drift(self, spacing: np.ndarray) -> float:
        """How far pixdim and another spacing are apart at the end of the volume, in voxels."""
        return float((np.abs(self.pixdim - spacing) * (self.size - 1) / spacing).max())

    def _apart(self, first: np.ndarray, second: np.ndarray) -> float:
        """Largest distance of a corner by two matrices, in voxels along any axis of the second."""
        return float(np.abs(np.linalg.solve(second, first @ self._corners) - self._corners).max())

    @property
    def _corners(self) -> np.ndarray:
        return np.vstack([corner_indices(self.size.tolist()).T, np.ones(8)])

    def _spacings_differ(self, spacing: np.ndarray) -> InputError:
        return InputError(
            f"pixdim says voxels of {spacing_text(self.pixdim)} mm, the sform {spacing_text(spacing)} mm",
            where=self.path,
            mend=MEND,
        )

    def _unplaced(self) -> QualityNote:
        message = "qform_code and sform_code of the NIfTI header are 0: it does not say which side is left or front."
        return QualityNote.warning("nifti_unplaced", message)

    def _qform(self, header: np.void) -> np.ndarray:
        if not (np.isfinite(self.pixdim).all() and (self.pixdim > 0).all()):
            raise InputError(
                f"pixdim is {spacing_text(self.pixdim)} mm, and the qform needs it", where=self.path, mend=MEND
            )
        b, c, d = quaternion = header["quatern"].astype(float)
        rest = 1.0 - float(quaternion @ quaternion)
        a = float(np.sqrt(rest)) if rest >= QUATERNION_NOISE else 0.0
        if a == 0.0:
            b, c, d = quaternion / np.linalg.norm(quaternion)
        rotation = np.array(
            [
                [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
                [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
                [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
            ]
        )
        handed = -1.0 if header["pixdim"][0] < 0 else 1.0
        return _affine(rotation * self.pixdim * (1.0, 1.0, handed), header["qoffset"].astype(float) * self.mm)

    def _sform(self, header: np.void) -> np.ndarray:
        rows = header["srow"].astype(float) * self.mm
        if not np.isfinite(rows).all() or abs(np.linalg.det(rows[:, :3])) < 1e-9:
            raise InputError("the sform is no place in space (srow_x, srow_y, srow_z)", where=self.path, mend=MEND)
        return _affine(rows[:, :3], rows[:, 3])


def _affine(axes: np.ndarray, offset: Sequence[float] | np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = axes, offset
    return matrix


def _lps(matrix: np.ndarray) -> np.ndarray:
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix
