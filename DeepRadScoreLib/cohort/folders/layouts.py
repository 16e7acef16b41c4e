"""Cases of data sets in a common layout: nnU-Net and the Medical Segmentation Decathlon, BIDS, TotalSegmentator.

nnU-Net: `imagesTr/NAME_0000.nii.gz` and `labelsTr/NAME.nii.gz`; in the Decathlon without "_0000"; `imagesTs` likewise.
BIDS: `sub-1/[ses-1/]ct/sub-1_ct.nii.gz`, and masks whose names end in `_dseg` or `_mask`, there or in `derivatives`.
TotalSegmentator: a CT and a folder `segmentations` with a file for each structure.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from DeepRadScoreLib.cohort.folders.found_cases import (
    CHANNEL,
    LUNG,
    MASK,
    Findings,
    images_in,
    is_image,
    stem_of,
    tumour_ones,
    visible,
)
from DeepRadScoreLib.imaging.formats.file_names import file_stem

PARTS = {"imagesTr": "labelsTr", "imagesTs": "labelsTs", "imagesVal": "labelsVal"}
SEGMENTATIONS = "segmentations"
BIDS_MASKS = ("dseg", "mask")


def add_data_set(folder: Path, findings: Findings) -> bool:
    """Add the cases of a folder in one of the layouts; whether it is in one."""
    if any((folder / images).is_dir() for images in PARTS):
        _add_nnunet(folder, findings)
    elif any(path.is_dir() and path.name.startswith("sub-") for path in visible(folder)):
        _add_bids(folder, findings)
    elif (folder / SEGMENTATIONS).is_dir() and len(images_in(folder).cts) == 1:
        _add_totalsegmentator(folder, findings)
    else:
        return False
    return True


def _add_totalsegmentator(folder: Path, findings: Findings) -> None:
    """Add the CT of a folder with the masks beside it or, where there is none, those of its `segmentations`.

    Of these, the masks are the files that are named after a tumour alone or one of the lung ("lung_nodules"); all
    others are organs, or tumours of organs.
    """
    images = images_in(folder)
    files = [path for path in visible(folder / SEGMENTATIONS) if is_image(path)]
    masks = images.masks or [path for path in files if MASK.fullmatch(stem_of(path))]
    lungs = images.lungs or [path for path in files if LUNG.search(stem_of(path))]
    findings.add(folder.name, images.cts[0], masks, lungs)
    organs = len(set(files) - {*masks, *lungs})
    if organs:
        findings.remarks.append(
            f"{folder.name}/{SEGMENTATIONS}: {organs} {'file is' if organs == 1 else 'files are'} no lung tumour by "
            "name and left out."
        )


def _add_nnunet(folder: Path, findings: Findings) -> None:
    for images, labels in PARTS.items():
        if not (folder / images).is_dir():
            continue
        masks: dict[str, list[Path]] = defaultdict(list)
        for path in visible(folder / labels) if (folder / labels).is_dir() else ():
            if is_image(path):
                masks[file_stem(path)].append(path)
        for path in visible(folder / images):
            if not is_image(path):
                continue
            channel = CHANNEL.search(file_stem(path))
            name = file_stem(path) if channel is None else CHANNEL.sub("", file_stem(path))
            if channel is not None and channel[1] != "0000":
                findings.left_out(path, folder, f"it is the channel {channel[1]} and the CT is the channel 0000")
                continue
            own = masks.pop(file_stem(path), []) + (masks.pop(name, []) if channel is not None else [])
            findings.add(name, path, own, [])
        for path in (path for paths in masks.values() for path in paths):
            findings.left_out(path, folder, f"no image of {images} has its name")


def _add_bids(folder: Path, findings: Findings) -> None:
    everything = (path for path in sorted(folder.rglob("*")) if is_image(path))
    files = [path for path in everything if not any(part[0] == "." for part in path.relative_to(folder).parts)]
    cts = {path: _entities(path) for path in files if _suffix(path) == "ct"}
    masks: dict[Path, list[Path]] = defaultdict(list)
    for path in (path for path in files if path not in cts):
        entities = _entities(path)
        owners = [ct for ct, own in cts.items() if own <= entities]
        nearest = [ct for ct in owners if len(cts[ct]) == max(len(cts[one]) for one in owners)]
        if _suffix(path) not in BIDS_MASKS:
            findings.left_out(path, folder, "it is neither a CT (_ct) nor a mask (_dseg, _mask)")
        elif len(nearest) != 1:
            findings.left_out(path, folder, "no CT, or several, belong to this mask by its name")
        else:
            masks[nearest[0]].append(path)
    for ct in cts:
        lungs = [path for path in masks[ct] if _is_lung(path)]
        others = [path for path in masks[ct] if path not in lungs]
        own = tumour_ones(others)
        for path in (path for path in others if path not in own):
            findings.left_out(path, folder, "another mask of this CT is called a tumour and this one is not")
        findings.add(file_stem(ct).rpartition("_")[0], ct, own, lungs)


def _entities(path: Path) -> frozenset[str]:
    """Entities of a BIDS name, as "sub-1"."""
    return frozenset(word for word in file_stem(path).split("_") if "-" in word)


def _suffix(path: Path) -> str:
    return file_stem(path).rpartition("_")[2]


def _is_lung(path: Path) -> bool:
    """Whether an entity such as "desc-lung" or "label-lungs" names the lung."""
    return any(word.partition("-")[2].casefold() in ("lung", "lungs") for word in _entities(path))
