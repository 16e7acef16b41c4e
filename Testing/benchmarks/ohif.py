"""Every object of a case in OHIF in a browser: opened as a user does, and read back from the viewer's own memory.

    python Testing/benchmarks/ohif.py --viewer URL --archive URL --objects FOLDER --ct FOLDER --out FOLDER

Needs a running OHIF that shows the study of an Orthanc (`--archive`: its REST address, to which CT and objects are
stored), Chromium, and the package `playwright` (not among this project's). Leaves a picture of each object with its
slice in view, and prints for each "equal" or what differs.

"equal": every voxel that is not 0, its position and its segment; for the SR the numbers that are drawn, rounded to two
decimals as OHIF shows them. OHIF shows maps times 100.
"""

from __future__ import annotations

import argparse
import re
import shutil
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread

BROWSER = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
MAX_WAIT_S = 120
SHOWN_TIMES = {"OT": 100.0}
DECIMALS = 2
READY = "window.services?.displaySetService?.getActiveDisplaySets().length > 0"
STATE = """description => { const set = window.services.displaySetService.getActiveDisplaySets()
  .find(one => one.SeriesDescription === description);
  return set && {loaded: !!set.isLoaded, labels: (set.measurements || []).map(
    one => (one.labels || []).map(label => label.label + ': ' + label.value))}; }"""
PLACES = """const places = (data, at) => { const found = [];
  for (let i = 0; i < data.length; i++) if (data[i]) found.push([...at(i), data[i]]); return found; };"""
MAP = f"""() => {{ {PLACES} const one = window.cornerstone.cache.getVolumes().find(v => v.volumeId.startsWith('pmap'));
  const [nx, ny] = one.dimensions, d = one.direction, s = one.spacing, o = one.origin;
  return places(one.voxelManager.getCompleteScalarDataArray(), i => {{
    const n = [i % nx, Math.floor(i / nx) % ny, Math.floor(i / nx / ny)];
    return [0, 1, 2].map(a => o[a] + n[0] * s[0] * d[a] + n[1] * s[1] * d[3 + a] + n[2] * s[2] * d[6 + a]); }}); }}"""
SEGMENTS = f"""() => {{ {PLACES} const c = window.cornerstone, all = [];
  for (const one of window.services.segmentationService.getSegmentations())
    for (const id of one.representationData.Labelmap.imageIds) {{ const image = c.cache.getImage(id);
      const p = c.metaData.get('imagePlaneModule', image.referencedImageId), n = image.columns;
      const at = p.imagePositionPatient, r = p.rowCosines, k = p.columnCosines;
      const s = [p.columnPixelSpacing, p.rowPixelSpacing];
      all.push(...places(image.voxelManager.getScalarData(), i => [0, 1, 2].map(
        a => at[a] + (i % n) * s[0] * r[a] + Math.floor(i / n) * s[1] * k[a]))); }}
  return all; }}"""
GO_TO = """async z => { const c = window.cornerstone, view = c.getRenderingEngines()[0].getViewports()[0];
  const at = id => c.metaData.get('imagePlaneModule', id)?.imagePositionPatient?.[2];
  const along = view.getImageIds().map(at), last = along.length - 1;
  const index = along.map(one => Math.abs(one - z)).reduce((best, one, n, all) => one < all[best] ? n : best, 0);
  for (const imageIndex of [index, last - index]) { // slices of volumes may be counted from the other end
    await c.utilities.jumpToSlice(view.element, {imageIndex}); view.render();
    if (Math.abs(at(view.getCurrentImageId()) - z) < Math.abs(along[1] - along[0])) return;
  } }"""


def main() -> None:
    """Store, open and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("viewer", "archive"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("objects", "ct", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    options.out.mkdir(parents=True, exist_ok=True)
    for path in (*sorted(options.ct.iterdir()), *sorted(options.objects.glob("*.dcm"))):
        request = urllib.request.Request(f"{options.archive}/instances", data=path.read_bytes())
        urllib.request.urlopen(request).close()
    images = (dcmread(path, specific_tags=["SOPInstanceUID", "ImagePositionPatient"]) for path in options.ct.iterdir())
    heights = {
        str(one.SOPInstanceUID): float(one.ImagePositionPatient[2]) for one in images if "ImagePositionPatient" in one
    }
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=shutil.which("chromium"), args=list(BROWSER))
        print(f"Chromium {browser.version}")
        for path in sorted(options.objects.glob("*.dcm")):
            page = browser.new_page(viewport={"width": 1500, "height": 900})
            found = opened(page, options.viewer, path, options.out / f"{path.stem}.png", heights)
            print(f"{path.name}: {found}", flush=True)
            page.close()
        browser.close()


def opened(page: Any, viewer: str, path: Path, picture: Path, heights: dict[str, float]) -> str:
    """Open one object by a double click on its entry, and say how what the viewer holds differs from the file.

    `heights`: SOPInstanceUID of each image of the CT -> its position (z).
    """
    ds = dcmread(path)
    page.goto(f"{viewer}/viewer?StudyInstanceUIDs={ds.StudyInstanceUID}", timeout=MAX_WAIT_S * 2000)
    page.wait_for_function(READY, timeout=MAX_WAIT_S * 2000)
    time.sleep(15)
    for text in ("Skip all", "Confirm and hide"):
        if page.get_by_text(text).count():
            page.get_by_text(text).first.click()
    page.get_by_text(ds.SeriesDescription, exact=True).first.dblclick(timeout=60000)
    end = time.monotonic() + MAX_WAIT_S
    while not (state := page.evaluate(STATE, ds.SeriesDescription))["loaded"]:
        if time.monotonic() > end:
            page.screenshot(path=picture, timeout=MAX_WAIT_S * 1000)
            return "not opened: still loading"
        time.sleep(2)
    time.sleep(5)
    if ds.Modality == "SR":
        found, z = (
            "equal" if shown_numbers(state["labels"]) == drawn_numbers(ds) else "other numbers",
            heights[drawn_on(ds)],
        )
    else:
        ours = voxels_of(ds)
        theirs = np.array(page.evaluate(SEGMENTS if ds.Modality == "SEG" else MAP), float).reshape(-1, 4)
        found, z = compared(ours, theirs / [1, 1, 1, SHOWN_TIMES.get(ds.Modality, 1.0)]), middle_of(ours)
    page.evaluate(GO_TO, z)
    time.sleep(5)
    page.screenshot(path=picture, timeout=MAX_WAIT_S * 1000)
    return found


def voxels_of(ds: Dataset) -> np.ndarray:
    """(n, 4): position in LPS mm and value, or segment, of each voxel of a SEG or map that is not 0."""
    shared = ds.SharedFunctionalGroupsSequence[0]
    rows, columns = np.reshape(shared.PlaneOrientationSequence[0].ImageOrientationPatient, (2, 3)).astype(float)
    between = np.array(shared.PixelMeasuresSequence[0].PixelSpacing, float)
    found = []
    for frame, plane in zip(ds.PerFrameFunctionalGroupsSequence, ds.pixel_array, strict=True):
        j, i = np.nonzero(plane)
        place = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        part = frame.get("SegmentIdentificationSequence")
        values = np.full(len(i), part[0].ReferencedSegmentNumber) if part else plane[j, i]
        found.append(
            np.column_stack([place + np.outer(i * between[1], rows) + np.outer(j * between[0], columns), values])
        )
    return np.concatenate(found)


def compared(ours: np.ndarray, theirs: np.ndarray) -> str:
    """ "equal", or the numbers of voxels, or how far places and values are apart."""
    if len(ours) != len(theirs):
        return f"{len(theirs)} voxels in place of {len(ours)}"
    first, second = (one[np.lexsort(np.round(one, 1).T)] for one in (ours, theirs))
    apart, values = np.abs(first - second)[:, :3].max(), np.abs(first - second)[:, 3].max()
    return "equal" if apart < 0.01 and values < 1e-5 else f"places differ by {apart:.3g} mm, values by {values:.3g}"


def middle_of(voxels: np.ndarray) -> float:
    """Position (z) of the slice with the most voxels."""
    places, counts = np.unique(np.round(voxels[:, 2], 3), return_counts=True)
    return float(places[np.argmax(counts)])


def shown_numbers(labels: list[list[str]]) -> list[tuple[str, float, str]]:
    """Name, number and unit of each line of a drawing that holds one."""
    found = (re.fullmatch(r"(.*): (-?[\d.]+) (\S+)", line) for lines in labels for line in lines)
    return sorted((one[1], float(one[2]), one[3]) for one in found if one)


def drawn_numbers(ds: Dataset) -> list[tuple[str, float, str]]:
    """The same of a report: numbers with a drawing, and volumes, which OHIF adds to the drawing of their region."""
    found = []
    for item in numbers_of(ds):
        name, value = item.ConceptNameCodeSequence[0].CodeMeaning, item.MeasuredValueSequence[0]
        if drawing_of(item) is not None or name == "Volume":
            unit = value.MeasurementUnitsCodeSequence[0].CodeValue
            found.append((name, round(float(value.NumericValue), DECIMALS), unit))
    return sorted(found)


def numbers_of(ds: Dataset) -> list[Dataset]:
    """All numeric items of a report."""
    items = list(ds.get("ContentSequence", ()))
    return [one for one in items if one.ValueType == "NUM"] + [below for one in items for below in numbers_of(one)]


def drawing_of(item: Dataset) -> Dataset | None:
    """The coordinates that are the first item below a number."""
    first = item.ContentSequence[0] if "ContentSequence" in item else None
    return first if first is not None and first.ValueType == "SCOORD" else None


def drawn_on(ds: Dataset) -> str:
    """SOPInstanceUID of the image in which the first number of a report is drawn."""
    drawings = (drawing_of(item) for item in numbers_of(ds))
    first = next(one for one in drawings if one is not None)
    return str(first.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID)


if __name__ == "__main__":
    main()
