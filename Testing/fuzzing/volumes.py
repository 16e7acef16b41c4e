"""Images on disk: headers of `.seg.nrrd`, NRRD and NIfTI files."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import SimpleITK as sitk
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from DeepRadScoreLib.imaging import case_from_images
from DeepRadScoreLib.imaging.formats.files import read_image
from fuzzing.contract import Target, each
from fuzzing.strategies import ODD_TEXTS, mutated
from support.imaging_phantoms import image_of

SIZE = (6, 5, 4)
FIELDS = (
    *("type", "dimension", "space", "sizes", "space directions", "kinds", "endian", "encoding", "space origin"),
    *("spacings", "thicknesses", "axis mins", "centerings", "labels", "units", "line skip", "byte skip", "content"),
    *("measurement frame", "space units", "number", "block size", "min", "max", "old min", "sample units"),
)
KEYS = tuple(
    f"Segment{number}_{name}"
    for number in (0, 1, 2)
    for name in ("ID", "Name", "Layer", "LabelValue", "Color", "Extent", "Tags")
)
VALUES = (
    *("0", "1", "2", "3", "4", "-1", "1e9", "99999999999", "3.5", "none", "6 5 4", "2 6 5 4", "0 0 0", "a", "1 1"),
    *("left-posterior-superior", "right-anterior-superior", "LPS", "uint8", "short", "double", "block", "gzip", "raw"),
    *("(1,0,0) (0,1,0) (0,0,1)", "none (1,0,0) (0,1,0) (0,0,1)", "(1,0,0) (1,0,0) (0,0,1)", "(nan,0,0)", "(0,0,0)"),
    *("domain domain domain", "list domain domain domain", "vector domain domain domain", "ascii", "hex", "little"),
)


@cache
def _ct() -> sitk.Image:
    values = np.random.default_rng(0).integers(-900, 60, SIZE[::-1]).astype(np.int16)
    return image_of(values)


def _read(ending: str, data: bytes, folder: Path) -> None:
    path = folder / f"mask{ending}"
    path.write_bytes(data)
    mask = read_image(path)

    def choose(segment: str | None = None, label: int | None = None) -> None:
        case = case_from_images(_ct(), mask, segment=segment, label=label, mask_name=path)
        assert sitk.GetArrayViewFromImage(case.tumour).any()

    each(choose, lambda: choose("Tumour"), lambda: choose(label=1))


def _read_nrrd(data: bytes, folder: Path) -> None:
    _read(".seg.nrrd", data, folder)


def _read_nifti(data: bytes, folder: Path) -> None:
    _read(".nii", data, folder)


@st.composite
def nrrd_files(draw: DrawFn) -> bytes:
    """A segmentation with a few lines of its header changed, added or removed; no line names another file."""
    header, _, pixels = draw(st.sampled_from(_nrrds())).partition(b"\n\n")
    lines = header.decode().split("\n")
    for _ in range(draw(st.integers(1, 3))):
        value = draw(st.one_of(st.sampled_from(VALUES), st.sampled_from(ODD_TEXTS), st.text(max_size=8)))
        name = draw(st.sampled_from((*FIELDS, *KEYS)))
        line = f"{name}:{'=' if name in KEYS else ' '}{value}"
        at = draw(st.integers(1, len(lines)))
        there = [number for number, one in enumerate(lines) if one.startswith(f"{name}:")]
        change = draw(st.sampled_from(("set", "set", "add", "remove")))
        if change == "set" and there:
            lines[there[0]] = line
        elif change == "remove" and there:
            del lines[there[0]]
        else:
            lines.insert(at, line)
    content = draw(st.sampled_from((pixels, pixels, pixels[:-7], b"")))
    return "\n".join(lines).encode("utf-8", "replace") + b"\n\n" + content


@st.composite
def nifti_files(draw: DrawFn) -> bytes:
    """A NIfTI file with a few fields of its header overwritten."""
    data = bytearray(_niftis()[0])
    for _ in range(draw(st.integers(1, 3))):
        form, value = draw(
            st.one_of(
                st.tuples(st.just("<h"), st.integers(-(2**15), 2**15 - 1)),
                st.tuples(st.just("<h"), st.integers(0, 8)),
                st.tuples(st.just("<f"), st.floats(width=32)),
            )
        )
        struct.pack_into(form, data, 2 * draw(st.integers(0, 172)), value)
    return bytes(data)


@cache
def _nrrds() -> tuple[bytes, ...]:
    labels = np.zeros(SIZE[::-1], np.uint8)
    labels[1:3, 1:4, 2:4], labels[3] = 1, 2
    mask = image_of(labels)
    overlapping = sitk.Compose(mask == 1, mask == 2)
    found = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "mask.seg.nrrd"
        for image, layers in ((mask, ("0", "0")), (overlapping, ("0", "1"))):
            for number, (name, layer) in enumerate(zip(("Tumour", "Lung"), layers, strict=True)):
                value = str(number + 1) if image is mask else "1"
                for key, text in {"ID": f"id{number}", "Name": name, "Layer": layer, "LabelValue": value}.items():
                    image.SetMetaData(f"Segment{number}_{key}", text)
            for compress in (False, True):
                sitk.WriteImage(image, str(path), useCompression=compress)
                found.append(path.read_bytes())
    return tuple(found)


@cache
def _niftis() -> tuple[bytes, ...]:
    labels = np.zeros(SIZE[::-1], np.uint8)
    labels[1:3, 1:4, 2:4] = 1
    with TemporaryDirectory() as folder:
        path = Path(folder) / "mask.nii"
        sitk.WriteImage(image_of(labels), str(path))
        return (path.read_bytes(),)


TARGETS = (
    Target("seg-nrrd", _read_nrrd, _nrrds, lambda: nrrd_files() | mutated(_nrrds())),
    Target("nifti", _read_nifti, _niftis, lambda: nifti_files() | mutated(_niftis())),
)
