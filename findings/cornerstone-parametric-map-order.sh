#!/bin/sh
# OHIF lays the frames of a parametric map on the CT's slices in the order in which they are stored, whatever their
# positions, and shows no map whose rows x columns is not a multiple of 4.
#
# Packages: @cornerstonejs/adapters 4.15.29 (in OHIF 3.12.10) with dcmjs 0.48.0, @cornerstonejs/core 4.15.29, esbuild
#   0.25.12, Node 20; highdicom 0.28.2, Python 3.11. Of core only `utilities.isEqual` is loaded; the rest needs a
#   browser.
# Guess: `ParametricMap.generateToolState` gives for the n-th image of the stack the frame that refers to it (each frame
#   says its position and its source image), for maps of any size.
# Seen: it awaits `insertPixelDataPlanar`, which makes and returns an array in the stack's order, and then returns the
#   array that this was to be made from. A map whose frames are stored from head to feet is laid on the wrong slices of
#   a CT that is shown from feet to head, without a word. Nor would the other array be right: each frame is taken from
#   byte, not element, n x rows x columns. With 5 x 5 pixels the second begins at byte 25, where no Float32Array may
#   begin: the map never opens.
# Output:
#   4 x 4 pixels, slices from feet to head 1 2 3: shown 3 2 1
#   5 x 5 pixels: RangeError: start offset of Float32Array should be a multiple of 4
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv venv
venv/bin/pip install --quiet highdicom==0.28.2
npm install --silent --no-fund --no-audit --ignore-scripts --legacy-peer-deps @cornerstonejs/adapters@4.15.29 \
  @cornerstonejs/core@4.15.29 esbuild@0.25.12
venv/bin/python - <<'PYTHON'
import highdicom as hd
import numpy as np
from pydicom.uid import CTImageStorage, generate_uid
from pydicom import Dataset
from pydicom.sr.codedict import codes

for size in (4, 5):
    uids = {name: generate_uid() for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")}
    images = []
    for n in range(3):
        one = Dataset()
        one.SOPClassUID, one.SOPInstanceUID, one.Modality = CTImageStorage, f"2.25.{n + 1}", "CT"
        for name, uid in uids.items():
            setattr(one, name, uid)
        for name in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime"):
            setattr(one, name, "")
        one.AccessionNumber = one.ReferringPhysicianName = one.PositionReferenceIndicator = ""
        one.Rows = one.Columns = size
        one.PixelSpacing, one.SliceThickness = [1, 1], 1
        one.ImageOrientationPatient, one.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, n]
        images.append(one)
    stored = images[::-1]  # from head to feet
    made = hd.pm.ParametricMap(
        source_images=stored,
        pixel_array=np.stack([np.full((size, size), 1 + one.ImagePositionPatient[2], np.float32) for one in stored]),
        series_instance_uid=generate_uid(), series_number=1, sop_instance_uid=generate_uid(), instance_number=1,
        manufacturer="made up", manufacturer_model_name="made up", software_versions="1", device_serial_number="1",
        contains_recognizable_visual_features=False,
        voi_lut_transformations=[hd.VOILUTTransformation(window_center=2, window_width=3)],
        real_world_value_mappings=[hd.pm.RealWorldValueMapping(
            lut_label="1", lut_explanation="number of the slice", unit=codes.UCUM.NoUnits, value_range=(0.0, 9.0),
            slope=1.0, intercept=0.0,
        )],
    )
    made.save_as(f"{size}.dcm")
PYTHON
cat > core.mjs <<'JS'
import isEqual from "./node_modules/@cornerstonejs/core/dist/esm/utilities/isEqual.js";
export const utilities = { isEqual };
JS
cat > show.mjs <<'JS'
import { readFileSync } from "node:fs";
import { ParametricMap } from "@cornerstonejs/adapters/cornerstone/ParametricMap";

for (const size of [4, 5]) {
  const plane = { rowCosines: [1, 0, 0], columnCosines: [0, 1, 0], rows: size, columns: size };
  const provider = { get: (kind, id) => ({
    imagePlaneModule: plane, generalImageModule: { sopInstanceUID: id }, instance: { Rows: size, Columns: size },
  })[kind] };
  const stack = ["2.25.1", "2.25.2", "2.25.3"]; // from feet to head
  const file = readFileSync(`${size}.dcm`);
  const data = file.buffer.slice(file.byteOffset, file.byteOffset + file.length);
  try {
    const { pixelData } = await ParametricMap.generateToolState(stack, data, provider);
    const shown = stack.map((_, n) => pixelData[n * size * size]).join(" ");
    console.log(`${size} x ${size} pixels, slices from feet to head 1 2 3: shown ${shown}`);
  } catch (error) {
    console.log(`${size} x ${size} pixels: ${error}`);
  }
}
JS
node_modules/.bin/esbuild show.mjs --bundle --platform=node --format=esm --log-level=error \
  --alias:@cornerstonejs/core=./core.mjs --outfile=bundle.mjs \
  --banner:js='import { createRequire } from "node:module"; const require = createRequire(import.meta.url);'
node bundle.mjs 2>/dev/null | tee seen
cat > expected <<'TEXT'
4 x 4 pixels, slices from feet to head 1 2 3: shown 3 2 1
5 x 5 pixels: RangeError: start offset of Float32Array should be a multiple of 4
TEXT
cmp seen expected
