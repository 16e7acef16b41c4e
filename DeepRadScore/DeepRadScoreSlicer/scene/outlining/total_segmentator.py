"""Lung nodules found by the extension TotalSegmentator, taken as lesions.

Its command runs as a process of its own, as the extension itself runs it (lassoan/SlicerTotalSegmentator@6a82370b:
TotalSegmentatorLogic.processVolume; wasserth/TotalSegmentator@0e65a448: bin/TotalSegmentator.py, task `lung_nodules`),
so that it can be ended at any time. The scene is changed in the last step only.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sysconfig
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import SimpleITK as sitk
import slicer

from DeepRadScoreLib.errors import InputError, MissingPackageError
from DeepRadScoreLib.progress import Progress, Stage
from DeepRadScoreSlicer.scene.outlining.processes import run_steps, slicer_python
from DeepRadScoreSlicer.scene.outlining.proposals import hand_over_steps, lesions_steps, read_proposal
from DeepRadScoreSlicer.translation import tr as _

EXTENSION = "TotalSegmentator"
TASK, NODULE = "lung_nodules", 2
"""The task, and the label of its nodules (totalsegmentator/map_to_binary.py: 1 lung, 2 lung_nodules)."""


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
    with tempfile.TemporaryDirectory(prefix="DeepRadScore-") as name:
        folder = Path(name)
        ct = yield from hand_over_steps(volume, folder / "ct.nii", EXTENSION)
        options = ["-i", str(folder / "ct.nii"), "-o", str(folder / "found.nii.gz"), "--ml", "--task", TASK]
        environment = slicer.util.startupEnvironment() | _settings_without_statistics(folder / "settings")
        mend = _("see whether it works in its own module, or draw the tumour")
        arguments = [*command, *options, "--device", _device()]
        yield from run_steps(EXTENSION, arguments, environment, folder / "log.txt", mend)
        yield Progress(Stage.ANALYSING, _("reading the nodules"), 99, 100)
        inside = read_proposal(folder / "found.nii.gz", ct, EXTENSION, NODULE, mend)
        found = yield from lesions_steps(inside, ct)
    if not found:
        raise InputError(_("TotalSegmentator found no lung nodule in this CT"), mend=_("draw the tumour"))
    return found


def _command() -> list[str]:
    mend = _("press Apply once in the module TotalSegmentator, which installs them")
    if not installed():
        raise MissingPackageError(
            _("the extension TotalSegmentator is not installed"), mend=_("install it from the Extensions Manager")
        )
    script = Path(sysconfig.get_path("scripts"), "TotalSegmentator.exe" if os.name == "nt" else "TotalSegmentator")
    if importlib.util.find_spec("totalsegmentator") is None or not script.is_file():
        raise MissingPackageError(_("the Python packages of TotalSegmentator are not installed"), mend=mend)
    return [slicer_python(mend), str(script)]


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
