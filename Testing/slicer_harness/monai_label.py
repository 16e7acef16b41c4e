"""The extension MONAI Label, as far as its client goes.

After Project-MONAI/MONAILabel@058ddfc4, plugins/slicer/MONAILabel: MONAILabel.py (`serverUrl`, `saveServerUrl`: the
server in the settings) and MONAILabelLib/client.py (`MONAILabelClient.__init__`, `auth_enabled`, `info` and `infer`,
the exception with its slots, `save_result`, which fails on an answer without a file). The stand-in's server has a model
of the lung (1) and lung tumours (2: what is over -200 HU), interactive ones that take the piece at a point, and others.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import slicer

from .total_segmentator import python_slicer

CLIENT = """
import json, os, pathlib, subprocess, sys, time
import numpy as np
import SimpleITK as sitk
from scipy.ndimage import label

how = {how!r}
used = pathlib.Path(__file__).parent.parent / "used"


class MONAILabelClientException(Exception):
    __slots__ = ["error", "msg"]

    def __init__(self, error, msg, status_code=None, response=None):
        self.error = error
        self.msg = msg
        self.status_code = status_code
        self.response = response


class MONAILabelClient:
    def __init__(self, server_url, tmpdir=None, client_id=None):
        self._server_url, self._tmpdir, self._client_id = server_url.rstrip("/").strip(), tmpdir, client_id

    def auth_enabled(self) -> bool:
        if how == "no server":
            raise ConnectionRefusedError(111, "Connection refused")
        return how == "login"

    def info(self):
        kinds = dict(
            lesions=("segmentation", dict(background=0, lung=1, lung_tumor=2), 3),
            spleen=("segmentation", ["spleen"], 3),
            point=("deepgrow", [], 3),
            slice=("deepgrow", [], 2),
            editor=("deepedit", ["background", "spleen", "tumor"], 3),
            scribbles=("scribbles", [], 3),
        )
        names = dict(segments=["lesions"], point=["point"], editor=["editor"], useless=["spleen", "slice", "scribbles"])
        return {"name": "MONAILabel", "models": {
            name: {"type": kind, "labels": labels, "dimension": dimension, "description": name}
            for name, (kind, labels, dimension) in kinds.items() if name in names.get(how, kinds)
        }}

    def infer(self, model, image_id, params, label_in=None, file=None, session_id=None):
        assert isinstance(image_id, str) and label_in is None and session_id is None
        assert file.endswith(".nii.gz") and params["result_extension"] == ".nrrd" and params["result_dtype"] == "uint8"
        used.write_text(json.dumps([self._server_url, self._client_id, model, params]))
        if how == "hangs":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            used.with_name("pids").write_text(str(child.pid))
            time.sleep(600)
        if how == "fails":
            raise MONAILabelClientException(1, "Status: 500; Response: CUDA out of memory", 500)
        if how == "no file":
            for _ in None:
                pass
        ct = sitk.ReadImage(file)
        solid = sitk.GetArrayFromImage(ct) > -200
        if model == "lesions":
            labels = np.where(solid & (how != "empty"), 2, 1)
        else:
            points = params["foreground"] if model == "point" else params["tumor"]
            assert model == "point" or (params["spleen"] == [] and params["label"] == "tumor")
            pieces = label(solid)[0]
            (x, y, z), = points
            labels = (pieces == pieces[z, y, x]) & solid
            labels = labels * (2 if model == "editor" else 1)
        image = sitk.GetImageFromArray(labels.astype(np.uint8))
        image.CopyInformation(ct)
        if how == "another grid":
            image.SetSpacing([2 * size for size in image.GetSpacing()])
        out = os.path.join(self._tmpdir, "tmp_result.nrrd")
        sitk.WriteImage(image, out)
        return out, {"label_names": {}}
"""


@contextmanager
def monai_label(folder: Path, how: str = "all", server: str = "http://127.0.0.1:8000") -> Iterator[Path]:
    """Within the block the extension is installed in a folder, and set to a server.

    Parameters
    ----------
    how: which models the server has: "all", "segments", "point", "editor" (one model each) or "useless" (none for
        tumours); or what happens: "no server", "login", "fails", "empty", "no file", "another grid", "hangs" (until
        ended, with a child whose process ID it leaves in `pids` in the folder); in these it has all models.
    server: as in its panel; "" where it was never set.
    """
    import qt

    library = folder / "MONAILabelLib"
    library.mkdir(exist_ok=True)
    (library / "__init__.py").write_text("from .client import *\n")
    (library / "client.py").write_text(CLIENT.replace("{how!r}", repr(how)))
    settings = qt.QSettings()
    settings.setValue("MONAILabel/serverUrl", server)
    slicer.modules.monailabel = SimpleNamespace(name="MONAILabel", path=str(folder / "MONAILabel.py"))
    try:
        with python_slicer(folder):
            yield folder
    finally:
        settings.remove("MONAILabel/serverUrl")
        del slicer.modules.monailabel
