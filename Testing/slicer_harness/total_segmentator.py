"""The extension TotalSegmentator, as far as its command goes.

After lassoan/SlicerTotalSegmentator@6a82370b (TotalSegmentator.py: `executableName`, `process`, `processVolume`: the
launcher `PythonSlicer` and the script `TotalSegmentator` in sysconfig's folder of scripts) and
wasserth/TotalSegmentator@0e65a448 (bin/TotalSegmentator.py: the options; map_to_binary.py: label 1 of `lung_nodules` is
the lung, 2 its nodules; config.py: `setup_totalseg`, `get_weights_dir` and `send_usage_stats`). The stand-in takes
voxels of over -200 HU for nodules, all others for lung.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import slicer

SCRIPT = """
import argparse, json, os, pathlib, subprocess, sys, time
import SimpleITK as sitk
parser = argparse.ArgumentParser()
parser.add_argument("-i", dest="input", required=True)
parser.add_argument("-o", dest="output", required=True)
parser.add_argument("-ml", "--ml", action="store_true")
parser.add_argument("-ta", "--task", choices=["total", "lung_nodules"], default="total")
parser.add_argument("-d", "--device", default="gpu")
given = parser.parse_args()
assert given.ml and given.task == "lung_nodules" and given.device in ("gpu", "cpu"), given
settings = pathlib.Path(os.environ.get("TOTALSEG_HOME_DIR", pathlib.Path.home() / ".totalsegmentator"), "config.json")
sends = json.loads(settings.read_text())["send_usage_stats"] if settings.exists() else True
weights = os.environ.get("TOTALSEG_WEIGHTS_PATH", str(settings.parent / "nnunet/results"))
pathlib.Path(__file__).with_name("used").write_text(json.dumps([sends, weights]))
print("Predicting...", flush=True)
how = {how!r}
if how == "hangs":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    pathlib.Path(__file__).with_name("pids").write_text(str(child.pid))
    time.sleep(600)
if how == "fails":
    sys.exit("RuntimeError: out of memory")
ct = sitk.ReadImage(given.input)
nodules = sitk.Cast(ct > (5000 if how == "empty" else -200), sitk.sitkUInt8)
sitk.WriteImage(nodules + 1, given.output)
"""


@contextmanager
def total_segmentator(folder: Path, how: str = "finds") -> Iterator[Path]:
    """Within the block the extension is installed, with its files in a folder.

    Parameters
    ----------
    how: "finds", "fails" (exit code 1), "empty" (no nodule), "hangs" (until ended, with a child whose process ID it
        leaves in `pids` in the folder), "no packages" (the extension without its Python packages).
    """
    import sysconfig

    (folder / "TotalSegmentator").write_text(SCRIPT.replace("{how!r}", repr(how)))
    if how != "no packages":
        (folder / "totalsegmentator").mkdir(exist_ok=True)
        (folder / "totalsegmentator" / "__init__.py").touch()
    scripts = sysconfig.get_path
    sysconfig.get_path = lambda name, *more: str(folder) if name == "scripts" else scripts(name, *more)
    sys.path.append(str(folder))
    slicer.modules.totalsegmentator = SimpleNamespace(name="TotalSegmentator")
    try:
        with python_slicer(folder):
            yield folder
    finally:
        del slicer.modules.totalsegmentator
        sys.path.remove(str(folder))
        sysconfig.get_path = scripts


@contextmanager
def python_slicer(folder: Path) -> Iterator[None]:
    """Within the block Slicer's Python is found, by a launcher in a folder."""
    import shutil

    launcher = folder / "PythonSlicer"
    launcher.write_text(f'#!/bin/sh\n"{sys.executable}" "$@"\n')
    launcher.chmod(0o755)
    path = os.environ["PATH"]
    os.environ["PATH"] = f"{folder}{os.pathsep}{path}"
    try:
        assert shutil.which("PythonSlicer") == str(launcher)
        yield
    finally:
        os.environ["PATH"] = path
