"""Lung nodules found by the extension TotalSegmentator, taken as lesions.

Its command runs as a process of its own, as the extension itself runs it (lassoan/SlicerTotalSegmentator@6a82370b:
TotalSegmentatorLogic.processVolume; wasserth/TotalSegmentator@0e65a448: bin/TotalSegmentator.py, task `lung_nodules`),
so that it can be ended at any time. The scene is changed in the last step only.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer

from DeepRadScoreLib.errors import InputError, MissingPackageError
from DeepRadScoreLib.imaging import read_image
from DeepRadScoreLib.imaging.files import write_image
from DeepRadScoreLib.imaging.geometry import image_like, index_box, same_grid
from DeepRadScoreLib.progress import Progress, Stage
from DeepRadScoreSlicer.scene.from_nodes import volume_image
from DeepRadScoreSlicer.translation import tr as _

EXTENSION = "TotalSegmentator"
TASK, NODULE = "lung_nodules", 2
"""The task, and the label of its nodules (totalsegmentator/map_to_binary.py: 1 lung, 2 lung_nodules)."""
MIN_VOXELS, MAX_NODULES = 8, 20
PAUSE_S = 0.1


def installed() -> bool:
    """Whether the extension is there; its Python packages may still be missing."""
    return hasattr(slicer.modules, EXTENSION.lower())


def nodule_steps(volume: Any) -> Generator[Progress, None, list[sitk.Image]]:
    """Find the nodules of a CT: masks of 0 and 1 on its grid, the largest first.

    Raises
    ------
    MissingPackageError: the extension or its Python packages are missing.
    InputError: the CT cannot be used; the command failed, or found no nodule.
    """
    command = _command()
    yield Progress(Stage.ANALYSING, _("writing the CT for TotalSegmentator"))
    with tempfile.TemporaryDirectory(prefix="DeepRadScore-") as name:
        folder = Path(name)
        ct = volume_image(volume)
        write_image(ct, folder / "ct.nii.gz")
        options = ["-i", str(folder / "ct.nii.gz"), "-o", str(folder / "found.nii.gz"), "--ml", "--task", TASK]
        environment = slicer.util.startupEnvironment() | _settings_without_statistics(folder / "settings")
        yield from _run_steps([*command, *options, "--device", _device()], environment, folder / "log.txt")
        yield Progress(Stage.ANALYSING, _("reading the nodules"), 99, 100)
        return _nodules(folder / "found.nii.gz", ct)


def nearest_to(ras: tuple[float, float, float] | None, nodules: list[sitk.Image]) -> int:
    """Index of the nodule nearest to a point (RAS mm); of the first where that is None."""
    if ras is None:
        return 0
    point = np.array((-ras[0], -ras[1], ras[2]))
    return int(np.argmin([_distance(nodule, point) for nodule in nodules]))


def _command() -> list[str]:
    mend = _("press Apply once in the module TotalSegmentator, which installs them")
    if not installed():
        raise MissingPackageError(
            _("the extension TotalSegmentator is not installed"), mend=_("install it from the Extensions Manager")
        )
    script = Path(sysconfig.get_path("scripts"), "TotalSegmentator.exe" if os.name == "nt" else "TotalSegmentator")
    python = shutil.which("PythonSlicer")
    if importlib.util.find_spec("totalsegmentator") is None or not script.is_file() or python is None:
        raise MissingPackageError(_("the Python packages of TotalSegmentator are not installed"), mend=mend)
    return [python, str(script)]


def _device() -> str:
    import torch

    return "gpu" if torch.cuda.is_available() else "cpu"


def _settings_without_statistics(folder: Path) -> dict[str, str]:
    """Variables with which TotalSegmentator sends nothing of its use, and finds its weights where the user has them.

    By default it reports each run to its makers' server (totalsegmentator/config.py: `send_usage_stats`).
    """
    home = Path(os.environ.get("TOTALSEG_HOME_DIR") or Path.home() / ".totalsegmentator")
    folder.mkdir()
    settings = {"totalseg_id": "", "send_usage_stats": False, "prediction_counter": 0}
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    weights = os.environ.get("TOTALSEG_WEIGHTS_PATH") or str(home / "nnunet" / "results")
    return {"TOTALSEG_HOME_DIR": str(folder), "TOTALSEG_WEIGHTS_PATH": weights}


def _run_steps(command: list[str], environment: dict[str, str], log: Path) -> Generator[Progress, None, None]:
    """Run a command to its end, a step for each pause; closed, it ends the command and all that this has started."""
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        try:
            while process.poll() is None:
                yield Progress(Stage.ANALYSING, f"TotalSegmentator: {_last_line(log)}", 50, 100)
                time.sleep(PAUSE_S)
        finally:
            if process.poll() is None:
                _end(process)
    if process.returncode != 0:
        raise InputError(
            _("TotalSegmentator failed: {reason}").format(reason=_last_line(log) or process.returncode),
            mend=_("see whether it works in its own module, or draw the tumour"),
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process with all that it has started: PythonSlicer is only a launcher."""
    if os.name == "nt":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_bytes()[-2000:].decode(errors="replace").replace("\r", "\n").splitlines()
    return next((line.strip()[:120] for line in reversed(lines) if line.strip()), "")


def _nodules(path: Path, ct: sitk.Image) -> list[sitk.Image]:
    from scipy.ndimage import find_objects, label

    if not path.is_file():
        raise InputError(_("TotalSegmentator wrote no result"), mend=_("see whether it works in its own module"))
    found = read_image(path)
    if not same_grid(found, ct):
        raise InputError(_("the result of TotalSegmentator is not on the CT's grid"), mend=_("draw the tumour"))
    inside = sitk.GetArrayViewFromImage(found) == NODULE
    pieces, count = label(inside, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    boxes = find_objects(pieces)
    kept = [n for n in np.argsort(-sizes, kind="stable")[:MAX_NODULES].tolist() if sizes[n] >= MIN_VOXELS]
    if not kept:
        raise InputError(_("TotalSegmentator found no lung nodule in this CT"), mend=_("draw the tumour"))
    nodules = []
    for n in kept:
        mask = np.zeros(inside.shape, np.uint8)
        mask[boxes[n]] = pieces[boxes[n]] == n + 1
        nodules.append(image_like(mask, ct))
    return nodules


def _distance(nodule: sitk.Image, point: np.ndarray) -> float:
    """Distance in mm of a point (LPS) to the nearest voxel of a mask."""
    mask = sitk.GetArrayViewFromImage(nodule)
    box = index_box(mask)
    assert box is not None
    index = np.argwhere(mask[tuple(slice(a, b + 1) for a, b in zip(*box, strict=True))]) + box[0]
    axes = np.array(nodule.GetDirection()).reshape(3, 3) * nodule.GetSpacing()
    return float(np.linalg.norm(index[:, ::-1] @ axes.T + nodule.GetOrigin() - point, axis=1).min())
