#!/bin/sh
# highdicom drops the slice spacing and thickness that it is given for a segmentation or a parametric map.
#
# Packages: highdicom 0.28.2, pydicom 3.0.2, Python 3.11.
# Guess: what is given as `pixel_measures` stands in the object.
# Seen: where its pixel spacing is that of the source images (slices are not compared), the whole item is replaced by one
#   of the source images' attributes. A CT seldom has Spacing Between Slices, and what then stands there is computed from
#   the frames: 1.0 for an object of one slice, 15 for two slices with two others between them, and nothing where the
#   distances differ. With another pixel spacing the same argument is kept.
# Output:
#   given: 5 mm between slices, 3 mm thick; source images: 5 mm apart, 4 mm thick
#   map of slice 1:             1.0 between, 4.0 thick
#   segmentation of slice 1:    1.0 between, 4.0 thick
#   segmentation of 0, 3:       15.0 between, 4.0 thick
#   segmentation of 0, 1, 3:    None between, 4.0 thick
#   other pixel spacing:        5.0 between, 3.0 thick
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv venv
venv/bin/pip install --quiet highdicom==0.28.2 pydicom==3.0.2
cat > show.py <<'PYTHON'
import highdicom as hd
import numpy as np
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage

images = []
for n in range(8):
    one = Dataset()
    one.SOPClassUID, one.SOPInstanceUID, one.Modality = CTImageStorage, f"2.25.{n + 1}", "CT"
    one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = "2.25.11", "2.25.12", "2.25.13"
    for name in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime"):
        setattr(one, name, "")
    one.AccessionNumber = one.ReferringPhysicianName = one.PositionReferenceIndicator = ""
    one.Rows = one.Columns = 4
    one.PixelSpacing, one.SliceThickness = [1, 1], 4
    one.ImageOrientationPatient, one.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 5 * n]
    images.append(one)
common = {
    "series_instance_uid": "2.25.21", "series_number": 1, "sop_instance_uid": "2.25.22", "instance_number": 1,
    "manufacturer": "made up", "manufacturer_model_name": "made up", "software_versions": "1",
    "device_serial_number": "1",
}


def given(spacing=1.0):
    return hd.PixelMeasuresSequence([spacing, spacing], slice_thickness=3.0, spacing_between_slices=5.0)


def told(name, made):
    measures = made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    print(f"{name:27} {measures.get('SpacingBetweenSlices')} between, {measures.SliceThickness} thick")


def segmentation(slices, spacing=1.0):
    part = hd.seg.SegmentDescription(
        segment_number=1, segment_label="tumour", algorithm_type="MANUAL",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Neoplasm,
    )
    return hd.seg.Segmentation(
        source_images=[images[n] for n in slices], pixel_array=np.ones((len(slices), 4, 4), np.uint8),
        segmentation_type="BINARY", segment_descriptions=[part], pixel_measures=given(spacing), **common,
    )


print("given: 5 mm between slices, 3 mm thick; source images: 5 mm apart, 4 mm thick")
told("map of slice 1:", hd.pm.ParametricMap(
    source_images=[images[1]], pixel_array=np.ones((1, 4, 4), np.float32), pixel_measures=given(),
    contains_recognizable_visual_features=False,
    voi_lut_transformations=[hd.VOILUTTransformation(window_center=0.5, window_width=1)],
    real_world_value_mappings=[hd.pm.RealWorldValueMapping(
        lut_label="1", lut_explanation="made up", unit=codes.UCUM.NoUnits, value_range=(0.0, 1.0), slope=1.0,
        intercept=0.0,
    )], **common,
))
told("segmentation of slice 1:", segmentation([1]))
told("segmentation of 0, 3:", segmentation([0, 3]))
told("segmentation of 0, 1, 3:", segmentation([0, 1, 3]))
told("other pixel spacing:", segmentation([1], 0.5))
PYTHON
venv/bin/python show.py | tee seen
cat > expected <<'TEXT'
given: 5 mm between slices, 3 mm thick; source images: 5 mm apart, 4 mm thick
map of slice 1:             1.0 between, 4.0 thick
segmentation of slice 1:    1.0 between, 4.0 thick
segmentation of 0, 3:       15.0 between, 4.0 thick
segmentation of 0, 1, 3:    None between, 4.0 thick
other pixel spacing:        5.0 between, 3.0 thick
TEXT
cmp seen expected
