"""Every code of a quality note with its meaning, and the codes that a user names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from DeepRadScoreLib.errors import InputError

QUALITY_CODES: Mapping[str, str] = MappingProxyType(
    {
        # what the mask and the CT of every case are checked for
        "mask_resampled": "the mask came on another grid and was put onto the CT's",
        "mask_elsewhere": "a segmentation in 3D Slicer has the CT's size and lies elsewhere",
        "mask_grid_replaced": "the mask was put onto the CT voxel by voxel, as was asked for",
        "labels_rounded": "the mask's labels went through floats and were rounded",
        "mask_clipped": "voxels outside of the extent that the mask's header gives were left out",
        "mask_outside_ct": "a share of the tumour mask lies outside the CT",
        "thick_slices": "spacing over 3 mm along some axis",
        "off_axial": "the slices lie more than 20 degrees off axial",
        "pixels_not_square": "the patch's pixels are not square",
        "small_tumour": "a tumour under 0.5 mL",
        "volume_differs": "the 1 mm lattice holds over 3 % more or less of the tumour than its mask (warning: 10 %)",
        "several_pieces": "the tumour mask is not connected",
        "flat_tumour": "the tumour mask is one voxel thick along one axis",
        "tumour_at_image_edge": "the tumour reaches the first or last voxel of the CT",
        "shell_cut_by_image": "the peritumoral shell reaches beyond the CT",
        "other_labels": "the mask has other labels: which of them count as other tumours",
        "shell_shares_other_tumour": "other tumours exclude a share of the shell",
        "shell_lung_share": "the lung mask leaves a share of the shell (warning: under 30 %)",
        "patch_cuts_tumour": "the tumour is wider than the patch",
        "patch_padded": "the patch leaves the CT",
        "uniform_tumour": "the tumour has one HU value only",
        "metal_in_region": "a voxel of a region over 3000 HU",
        "metal_in_slices": "metal in the slices of tumour and shell: over 20 mm3 denser than 2500 HU",
        "values_cut_off": "a window cut off the CT's highest values: over 0.1 % of the voxels share one under 1500 HU",
        "double_contours": "contours stand twice along z around the tumour, as where the patient breathed",
        "padding_in_region": "a voxel of a region under -1500 HU (outside the scanner's field of view)",
        # the header of an image file
        "axes_straightened": "axes that are nearly at right angles were straightened",
        "nifti_pixdim_unset": "pixdim of the NIfTI header is at its default, its sform was taken",
        "nifti_forms_differ": "qform and sform of the NIfTI header differ by up to half a voxel",
        "conversion_differs": "the NIfTI file has other slices than the DICOM files or the JSON beside it",
        "nifti_unplaced": "the NIfTI header has neither qform nor sform",
        # where the mask lies; no probability may be given
        "mask_on_lung": "under 44 % of the tumour is denser than -500 HU: plain lung, or pure ground glass",
        "mask_on_bone": "the tumour holds bone that goes on beyond the shell",
        "mask_on_fat": "over half of the tumour is fat",
        "mask_on_border": "part of the tumour mask is lung, and it is hardly denser than its surroundings",
        "no_lung_near": "no lung lies within 40 mm of the tumour",
        "mask_mirrored": "the mask fits nothing where it lies, but a lesion where it is mirrored",
        "upside_down": "the spine lies at the front of the CT",
        # a CT read from DICOM
        "localizer_left_out": "images of the series that belong to no CT volume were left out",
        "doubled_slices_dropped": "slices stood twice in the series",
        "one_of_several_phases": "the series holds several phases, one was taken",
        "uids_missing": "UIDs were removed from the files",
        "empty_files": "files of 0 bytes were left out",
        "damaged_files": "damaged DICOM files were left out",
        "misnamed_files": "files named .dcm that are no DICOM were left out",
        "zip_files": "zip archives in the folder were left out",
        "gantry_tilt_resampled": "the gantry was tilted, the slices were interpolated",
        "uneven_spacing": "slightly uneven slices were put onto a regular grid",
        "scan_padding": "voxels are marked as outside the scanned field",
        "lossy_compression": "the CT was compressed with loss",
        "rescale_unit": "the CT's header names another unit than HU",
        # a mask read from DICOM
        "mask_of_another_series": "the mask refers to another series of the same frame of reference",
        "mask_untied": "the UIDs that could tie the mask to the CT were removed",
        "mask_shifted": "frames of a tilted SEG were shifted to the nearest pixels",
        "spacing_inferred": "the SEG lacks its spacing between slices",
        "lung_structures": "which structures of a SEG or RTSTRUCT are the lung mask",
        "mask_thresholded": "the SEG is fractional and was cut at one half",
        "roi_not_used": "an ROI that cannot be drawn was left out",
        "contours_between_slices": "contours lie between the CT's slices",
        "contours_far_apart": "contours are farther apart than the CT's slices",
        "contours_with_gaps": "slices between the first and last contour have none",
        "contours_outside_ct": "contours leave the CT and were cut off",
        "contours_crossing": "contours cross each other",
        "contours_doubled": "contours stood twice",
        "contours_left_out": "contours that are points, open or empty were left out",
        "contours_interpolated": "contours are not drawn but interpolated",
        # a case beside the cases of a model's training
        "lung_mask_differs": "either this case or the training cases had lung masks",
        "far_from_training": "the case is far from the model's training cases",
        "scan_unlike_training": "the CT's header tells what no training case's told (kernel, tube voltage, contrast)",
    }
)
"""Code -> when it is given, in a few words; the note itself says more."""
ABSTAIN_CODES = (
    "mask_on_lung",
    "mask_on_bone",
    "mask_on_fat",
    "mask_on_border",
    "no_lung_near",
    "mask_mirrored",
    "upside_down",
)
"""Quality failures: warnings with which no probability may be given."""


def checked_codes(codes: Iterable[str]) -> tuple[str, ...]:
    """The codes, each once.

    Raises
    ------
    InputError: one of them is no code that a quality note can have.
    """
    chosen = tuple(dict.fromkeys(codes))
    for code in chosen:
        if code not in QUALITY_CODES:
            raise InputError(
                f'"{code}" is no code of a quality note',
                where="--exclude-quality",
                mend=f"name any of {', '.join(QUALITY_CODES)}",
            )
    return chosen


def left_out_text(code: str) -> str:
    """Why a case with this code is left out."""
    return f"left out by quality {code}."


def counts_text(counts: Mapping[str, int], cases: int) -> str:
    """Code -> number of cases in words, the most frequent first: "thick_slices 12, small_tumour 3 of 120 cases"."""
    of_cases = f"{cases} {'case' if cases == 1 else 'cases'}"
    if not counts:
        return f"nothing was noted in {of_cases}"
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return f"{', '.join(f'{code} {count}' for code, count in ordered)} of {of_cases}"
