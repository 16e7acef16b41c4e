"""The method in Python, one function for each step; the command line calls the same ones.

Whatever takes long has `progress`: True shows a bar in a terminal or notebook; a function is called with every
`Progress` event, in the thread of the caller, and what it raises ends the work and reaches the caller. That is the way
to cancel; Ctrl-C and a notebook's stop button end it by KeyboardInterrupt.
"""

from __future__ import annotations

from DeepRadScoreLib.analysis import steps
from DeepRadScoreLib.bundle import Bundle, read_bundle
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging import Case
from DeepRadScoreLib.models import Preprocessing, chosen
from DeepRadScoreLib.paths import AnyPath
from DeepRadScoreLib.progress import Report
from DeepRadScoreLib.progress_bar import reporting
from DeepRadScoreLib.report.profile_view import Profile
from DeepRadScoreLib.stepping import run_to_end


def analyze(
    case: Case,
    model: Bundle | AnyPath | None = None,
    *,
    preprocessing: Preprocessing | str = Preprocessing.CANONICAL,
    shell_mm: float = 3.0,
    progress: Report | bool = False,
) -> Profile:
    """The molecular profile of one case: regions, features and quality, and with a model its findings.

    Parameters
    ----------
    case: as `read_case` gives it.
    model: a bundle or its path; None: no findings.
    preprocessing: "canonical" or "pyradiomics"; a bundle brings its own.
    shell_mm: thickness of the peritumoral shell in mm.

    Raises
    ------
    TypeError: `case` is no Case.
    InputError: an unknown preprocessing, or a thickness that is not the bundle's.
    RegionError: a tumour from which no region of interest can be made.
    BundleError: see `read_bundle`.
    """
    if not isinstance(case, Case):
        raise TypeError(f"case: a Case is needed, as read_case gives it, not {type(case).__name__}")
    bundle = model if model is None or isinstance(model, Bundle) else read_bundle(model)
    if bundle is not None and shell_mm != bundle.manifest.shell_mm:
        raise InputError(
            f"the bundle was trained with a shell of {bundle.manifest.shell_mm:g} mm",
            where="--shell-mm",
            mend="leave the option out",
        )
    way = chosen(Preprocessing, preprocessing, "preprocessing")
    with reporting(progress) as report:
        found = run_to_end(steps(case, bundle, preprocessing=way, shell_mm=shell_mm), report)
    return Profile(**vars(found))
