"""Tumours outlined by a MONAI Label server that the extension MONAI Label is set to, taken as lesions.

The extension's panel cannot be driven by another module: what it does with a model depends on its selectors and on the
scene's first volume, it stores the CT on the server under the name of its node, and it answers errors with dialogs
(Project-MONAI/MONAILabel@058ddfc4, plugins/slicer/MONAILabel/MONAILabel.py, lines 1261-1360, 1418-1507, 1624-1664 and
1669-1802); its logic opens a dialog for a login (lines 2416-2439). So its client is used, see `monai_client`, with the
server that the panel keeps in the settings (lines 1073-1089). The scene is changed in the last step only.
"""

from __future__ import annotations

import ipaddress
import json
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import SimpleITK as sitk
import slicer

from DeepRadScoreLib.errors import InputError, MissingPackageError
from DeepRadScoreLib.imaging.masks.segments import names_tumour
from DeepRadScoreLib.progress import Progress, Stage
from DeepRadScoreSlicer.scene.outlining.nn_interactive import index_at
from DeepRadScoreSlicer.scene.outlining.processes import run_steps, slicer_python
from DeepRadScoreSlicer.scene.outlining.proposals import hand_over_steps, lesions_steps, read_proposal
from DeepRadScoreSlicer.translation import tr as _

NAME, MODULE = "MONAI Label", "monailabel"
SETTING = "MONAILabel/serverUrl"
SEGMENTATION, DEEPEDIT, INTERACTIVE = "segmentation", "deepedit", ("deepgrow", "deepedit")
"""Types of model (monailabel/interfaces/tasks/infer_v2.py: `InferType`); the interactive ones take points."""
BACKGROUND = "background"


@dataclass(frozen=True)
class Model:
    """A model of the server that outlines tumours.

    Attributes
    ----------
    label: the tumour's label, "" where the model has none.
    value: of the label in the result; None: every voxel but 0.
    takes_point: whether it outlines from a point in the tumour.
    labels: all of them, where points are given for each (type deepedit), else none.
    """

    name: str
    label: str
    value: int | None
    takes_point: bool
    labels: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Name and label, to be chosen by."""
        return f"{self.name}: {self.label}" if self.label else self.name


def offered() -> bool:
    """Whether the extension is there and set to a server."""
    return hasattr(slicer.modules, MODULE) and bool(server())


def server() -> str:
    """The address of the server that the extension is set to, "" where it was never set."""
    address = str(slicer.util.settingsValue(SETTING, "") or "").strip().rstrip("/")
    return address if not address or address.startswith(("http://", "https://")) else f"http://{address}"


def is_elsewhere(address: str) -> bool:
    """Whether a server is not on this computer."""
    host = urlsplit(address).hostname or ""
    try:
        here = ipaddress.ip_address(host)
    except ValueError:
        return host != "localhost"
    return not (here.is_loopback or here.is_unspecified)


def models_steps() -> Generator[Progress, None, list[Model]]:
    """Ask the server for its models that outline tumours.

    Raises
    ------
    MissingPackageError: Slicer's Python or the extension's library is not there.
    InputError: the server does not answer or wants a login, or no model outlines tumours.
    """
    with tempfile.TemporaryDirectory(prefix="DeepRadScore-") as name:
        answer = yield from _ask_steps(Path(name), {})
    told = answer.get("models")
    found = [one for name, model in told.items() if (one := _usable(name, model))] if isinstance(told, dict) else []
    if not found:
        listed = ", ".join(told) if isinstance(told, dict) and told else _("none")
        raise InputError(
            _("the MONAI Label server has no model that outlines tumours (its models: {models})").format(models=listed),
            mend=_("draw the tumour"),
        )
    return found


def outline_steps(
    volume: Any, model: Model, ras: tuple[float, float, float] | None
) -> Generator[Progress, None, list[sitk.Image]]:
    """Let the server outline tumours: masks of 0 and 1 on the CT's grid, the largest first.

    Parameters
    ----------
    ras: a point in the tumour (RAS mm), for a model that takes one.

    Raises
    ------
    InputError: the point is not there or outside the CT, the server failed, or found nothing.
    MissingPackageError: as `models_steps`.
    """
    request = {"model": model.name, "params": _params(volume, model, ras)}
    with tempfile.TemporaryDirectory(prefix="DeepRadScore-") as name:
        folder = Path(name)
        ct = yield from hand_over_steps(volume, folder / "scan.nii", NAME)
        answer = yield from _ask_steps(folder, {**request, "ct": str(folder / "scan.nii")})
        yield Progress(Stage.ANALYSING, _("reading the outline"), 99, 100)
        path = Path(answer.get("file") or folder / "nothing")
        found = yield from lesions_steps(read_proposal(path, ct, NAME, model.value, _mend()), ct)
    if not found:
        raise InputError(_("MONAI Label found no tumour in this CT"), mend=_("draw the tumour"))
    return found[:1] if model.takes_point else found


def _usable(name: str, told: Any) -> Model | None:
    """A model that outlines tumours, of what the server tells of it; None of any other."""
    if not isinstance(told, dict) or told.get("dimension", 3) != 3:
        return None
    kind, labels = told.get("type", SEGMENTATION), _values(told.get("labels"))
    interactive = kind in INTERACTIVE
    if kind != SEGMENTATION and not interactive:
        return None
    tumours = [label for label in labels if names_tumour(label)]
    if interactive and not labels:
        return Model(name, "", None, takes_point=True)
    if len(tumours) != 1:
        return None
    every = tuple(labels) if kind == DEEPEDIT else ()
    return Model(name, tumours[0], labels[tumours[0]], interactive, every)


def _values(labels: Any) -> dict[str, int]:
    """Names of a model's labels and their values, without the background; a list numbers them from 1."""
    if isinstance(labels, dict):
        named = {str(name): value for name, value in labels.items() if isinstance(value, int)}
    else:
        listed = [str(name) for name in labels or () if str(name).casefold() != BACKGROUND]
        named = {name: value for value, name in enumerate(listed, start=1)}
    return {name: value for name, value in named.items() if name.casefold() != BACKGROUND}


def _params(volume: Any, model: Model, ras: tuple[float, float, float] | None) -> dict[str, Any]:
    """What the extension sends with a request (MONAILabel.py, lines 1725-1769)."""
    if not model.takes_point:
        return {}
    if ras is None:
        raise InputError(
            _("the crosshair is not set"), mend=_("hold Shift and move the mouse over the tumour, then press again")
        )
    point = [index_at(volume, ras)]
    if model.labels:
        return {**{label: point if label == model.label else [] for label in model.labels}, "label": model.label}
    return {"label": model.label or "tumour", "foreground": point, "background": []}


def _ask_steps(folder: Path, request: dict[str, Any]) -> Generator[Progress, None, dict[str, Any]]:
    library = Path(str(getattr(slicer.modules, MODULE).path)).parent
    if not (library / "MONAILabelLib").is_dir():
        raise MissingPackageError(_("the library of MONAI Label is not there"), where=library, mend=_mend())
    words = {
        "packing": _("packing the CT"),
        "waiting": _("waiting for the server"),
        "login": _("the server asks for a login"),
        "unreachable": _("the server does not answer"),
    }
    asked, whole = folder / "request.json", {**request, "library": str(library), "server": server(), "words": words}
    asked.write_text(json.dumps(whole), encoding="utf-8")
    command = [slicer_python(_mend()), str(Path(__file__).with_name("monai_client.py")), str(asked)]
    yield from run_steps(NAME, command, slicer.util.startupEnvironment(), folder / "log.txt", _mend())
    answer = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
    return answer if isinstance(answer, dict) else {}


def _mend() -> str:
    return _("see whether it works in its own module, or draw the tumour")
