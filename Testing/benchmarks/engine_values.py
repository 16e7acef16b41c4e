"""Our engine's values on this machine beside kept ones: which are equal to the bit, and how far apart the others are.

    python Testing/benchmarks/engine_values.py             # exit 0 where all are equal to the bit, 1 where not
    python Testing/benchmarks/engine_values.py --keep      # write what this machine gives as the values to compare with

For who runs the program on macOS, Windows or ARM: fused multiplication and addition, or other vector instructions of
numpy, can change the last bits, and a value that lies on the edge of a bin then changes it. The cases are a made-up
one, whose voxels are whole numbers and the same everywhere, and those of the shared test data that are there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing")]

from DeepRadScoreLib.imaging import PreparedCase, prepare, read_case  # noqa: E402
from DeepRadScoreLib.models import Engine  # noqa: E402
from DeepRadScoreLib.radscore.extraction import extract_features  # noqa: E402
from DeepRadScoreLib.radscore.names import FEATURES_OF_CLASS, REGIONS, region_columns  # noqa: E402
from support.feature_cases import ball, noise_image, prepared_case  # noqa: E402

KEPT = Path(__file__).with_name("engine_values.json")
SHARED = Path(os.environ.get("DEEPRADSCORE_TEST_DATA", ROOT.parent / "shared")) / "data"
FILES = {
    "lung1": ("pyradiomics/lung1_image.nrrd", "pyradiomics/lung1_label.nrrd"),
    "lung2": ("pyradiomics/lung2_image.nrrd", "pyradiomics/lung2_label.nrrd"),
}
Values = dict[str, dict[str, str]]
"""Region and class -> feature -> its value in hexadecimal, and "sha256" of the values of all features."""


def cases() -> Iterator[tuple[str, PreparedCase]]:
    """The made-up case, and those of the shared data that are there."""
    noise = noise_image()
    yield "made-up", prepared_case("made-up", noise, ball(noise, 5.2), ball(noise, 8.2, inner=5.2))
    for name, paths in FILES.items():
        ct, mask = (SHARED / path for path in paths)
        if ct.is_file():
            yield name, prepare(read_case(ct, mask))


def values_of(prepared: PreparedCase) -> Values:
    """The values of a case: of each class all in one hash, and the first and last feature themselves."""
    features = extract_features(prepared, Engine.OWN)
    return {
        f"{region} {name}": _kept({column: features[column] for column in _columns(region, name)})
        for region in REGIONS
        for name in FEATURES_OF_CLASS
    }


def _columns(region: str, name: str) -> list[str]:
    return [column for column in region_columns(region) if f"_{name}_" in column]  # type: ignore[arg-type]


def _kept(values: Mapping[str, float]) -> dict[str, str]:
    data = np.array(list(values.values()), dtype="<f8").tobytes()
    ends = {column: values[column].hex() for column in (next(iter(values)), next(reversed(values)))}
    return {"sha256": hashlib.sha256(data).hexdigest(), **ends}


def differences(found: Values, kept: Values) -> Iterator[str]:
    """A line for each class whose values are not equal to the bit."""
    for name, values in kept.items():
        if found[name] == values:
            continue
        of_two = {
            feature: abs(float.fromhex(found[name][feature]) / float.fromhex(value) - 1)
            for feature, value in values.items()
            if feature != "sha256" and found[name][feature] != value
        }
        yield f"{name}: other bits" + "".join(f"; {feature} by {change:.1e}" for feature, change in of_two.items())


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--keep", action="store_true", help="write the values of this machine")
    options.add_argument("--json", action="store_true", help="print the values of this machine and compare nothing")
    chosen = options.parse_args()
    found = {name: values_of(prepared) for name, prepared in cases()}
    if chosen.json:
        print(json.dumps(found))
        return 0
    if chosen.keep:
        KEPT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return 0
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    print(f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}")
    lines = {name: list(differences(values, kept[name])) for name, values in found.items()}
    for name, of_case in lines.items():
        print(f"{name}: {len(kept[name]) - len(of_case)} of {len(kept[name])} classes equal to the bit")
        for line in of_case:
            print(f"  {line}")
    return int(any(lines.values()))


if __name__ == "__main__":
    sys.exit(main())
