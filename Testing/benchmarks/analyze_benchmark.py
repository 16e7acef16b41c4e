"""Time and peak memory of one analysis, side by side with pyradiomics run once for each region.

    python Testing/benchmarks/analyze_benchmark.py [CT MASK]

Default: the 48 mL tumour (lung2) of the test data. Each way runs in a process of its own, three times, by turns; the
medians and their ratio are printed, and the longest steps.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNS = 3


def analysis(ct: Path, mask: Path) -> dict:
    from DeepRadScoreLib.analyses.analysis import steps
    from DeepRadScoreLib.imaging import read_case

    begin = time.perf_counter()
    running = steps(read_case(ct, mask))
    took: list[tuple[float, str]] = []
    label, start = "reading", begin
    for step in running:
        now = time.perf_counter()
        took.append((now - start, label))
        label, start = step.detail, now
    took.append((time.perf_counter() - start, label))
    return {"seconds": time.perf_counter() - begin, "longest": sorted(took, reverse=True)[:8]}


def pyradiomics_twice(ct: Path, mask: Path) -> dict:
    import SimpleITK as sitk
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    from DeepRadScoreLib.imaging import peritumoral_shell, prepare, read_case
    from DeepRadScoreLib.radscore.pyradiomics_engine import SETTINGS

    prepared = prepare(read_case(ct, mask))
    begin = time.perf_counter()
    read_case(ct, mask)
    prepare(read_case(ct, mask))
    for region in (prepared.tumour, peritumoral_shell(prepared.tumour, 3.0)):
        extractor = RadiomicsFeatureExtractor(**SETTINGS)
        extractor.enableAllFeatures()
        extractor.enableImageTypes(Original={}, Wavelet={})
        extractor.execute(prepared.image, sitk.Cast(region, sitk.sitkUInt8))
    return {"seconds": time.perf_counter() - begin, "longest": []}


def one(way: str, ct: Path, mask: Path) -> dict:
    call = [sys.executable, __file__, way, str(ct), str(mask)]
    done = subprocess.run(call, capture_output=True, text=True, check=True, env=os.environ)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    if len(sys.argv) == 4:
        found = {"analysis": analysis, "pyradiomics": pyradiomics_twice}[sys.argv[1]](
            Path(sys.argv[2]), Path(sys.argv[3])
        )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**found, "peak": peak}))
        return
    shared = Path(os.environ.get("DEEPRADSCORE_TEST_DATA", ROOT.parent / "shared")) / "data" / "pyradiomics"
    ct, mask = (
        map(Path, sys.argv[1:3]) if len(sys.argv) == 3 else (shared / "lung2_image.nrrd", shared / "lung2_label.nrrd")
    )
    results: dict[str, list[dict]] = {"analysis": [], "pyradiomics": []}
    for _ in range(RUNS):
        for way, found in results.items():
            found.append(one(way, ct, mask))
    median = {way: statistics.median(run["seconds"] for run in found) for way, found in results.items()}
    for way, found in results.items():
        print(f"{way:12s} {median[way]:6.2f} s   peak {max(run['peak'] for run in found):5.0f} MiB")
    print(f"ratio        {median['analysis'] / median['pyradiomics']:6.2f}")
    print("longest steps of an analysis:")
    for seconds, label in results["analysis"][-1]["longest"]:
        print(f"  {1000 * seconds:6.0f} ms  {label}")


if __name__ == "__main__":
    main()
