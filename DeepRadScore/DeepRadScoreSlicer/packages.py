"""Installing missing packages into Slicer: from PyPI under constraints, or by an extension.

Packages come from PyPI into Slicer's Python, under constraints: every distribution that is already there keeps the
version it has, and SimpleITK and torch may not come that way at all. Why not otherwise: a private folder on `sys.path`
would hold a second numpy and scipy, or compiled packages that meet another numpy than they were built for; a skip-list
installs each package by itself without resolving, so that a conflict is found only when something fails to import. With
constraints pip either finds a set that fits what Slicer has or stops before it has changed anything.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from DeepRadScoreLib.errors import DeepRadScoreError, MissingPackageError
from DeepRadScoreSlicer.requirements import TORCH, Missing, Source, application, bare_name, hindering, pip_requirements
from DeepRadScoreSlicer.translation import tr as _

NEVER_FROM_PYPI = ("SimpleITK", "torch", "torchvision", "vtk")


def require_analysis() -> None:
    """Raise MissingPackageError, with the exact command that gets them, where packages are missing. Never asks."""
    if names := ", ".join(each.name for each in hindering()):
        raise MissingPackageError(
            _("packages are missing ({names})").format(names=names),
            where="DeepRadScore",
            mend=_("get them with: {command}").format(command=install_command()),
        )


def install_command() -> str:
    """A command that installs everything that is missing without asking; run it again after an extension was added.

    Outside Slicer's application it is pip's.
    """
    app = application()
    if app is None:
        return f'"{sys.executable}" -m pip install --upgrade DeepRadScore'
    launcher = app.launcherExecutableFilePath or "Slicer"
    here = Path(__file__).parents[1]
    paths = f"[r'{here}', r'{here.parent}']"
    return (
        f'"{launcher}" --no-splash --no-main-window --python-code "import sys; sys.path += {paths}; '
        'from DeepRadScoreSlicer import packages; packages.install_and_exit()"'
    )


def install_and_exit() -> None:
    """Install what is missing, print what was done, and end Slicer: exit code 0, or 1 with the error's sentence."""
    import slicer

    code = 1
    try:
        print(install(hindering(), lambda text: True))
        code = 0
    except DeepRadScoreError as error:
        print(error)
    finally:
        slicer.util.exit(code)


def consent_text(wanted: Sequence[Missing]) -> str:
    """Question before an installation: what would be installed, from where, and its size."""
    lines = [_("DeepRadScore would get:")]
    sources: dict[Source, str] = {
        "pip": _(
            "from PyPI (pypi.org) into Slicer's Python, about 100 MB to download and 350 MB on disk where all are "
            "missing: {names}. Slicer's own packages keep their versions."
        ),
        "PyTorch extension": _(
            "through the PyTorch extension (extensions.slicer.org and download.pytorch.org), about 200 MB for a "
            "computer without a graphics card of NVIDIA, up to 3 GB with one: {names}."
        ),
    }
    for source, text in sources.items():
        if names := _names_from(source, wanted):
            lines.append("- " + text.format(names=", ".join(names)))
    lines.append(_("Nothing about your patients leaves this computer. This can take some minutes."))
    return "\n".join(lines)


def install(wanted: Sequence[Missing], confirm: Callable[[str], bool]) -> str:
    """Install packages after asking; the value is a sentence on what was done or what to do next.

    Parameters
    ----------
    wanted: packages that Slicer can get: of `requirements.hindering`.
    confirm: is given `consent_text`; where it says no, nothing is done.

    Raises
    ------
    MissingPackageError: something could not be got; says which and how to get it by hand.
    """
    if not wanted:
        return _("Nothing is missing.")
    if not confirm(consent_text(wanted)):
        return _("Nothing was installed.")
    if names := _names_from("pip", wanted):
        _pip_install(names)
    restart = bool(_names_from("PyTorch extension", wanted)) and _get_torch()
    importlib.invalidate_caches()
    if not restart:
        return _("The packages are installed.")
    return _("Restart Slicer now; if something is still missing then, press the button once more.")


def _names_from(source: Source, wanted: Sequence[Missing]) -> list[str]:
    return [each.name for each in wanted if each.source == source]


def constraints() -> list[str]:
    """Constraints for pip: a line for each distribution that must keep its version or may not come from PyPI."""
    there = {
        each.metadata["Name"].lower(): f"{each.metadata['Name']}=={each.version}"
        for each in importlib.metadata.distributions()
        if each.metadata["Name"]
    }
    ours = {bare_name(name) for name in pip_requirements()}
    pinned = [line for name, line in there.items() if name not in ours]
    return sorted(pinned) + [f"{name}<0" for name in NEVER_FROM_PYPI if name.lower() not in there]


def _pip_install(names: list[str]) -> None:
    import slicer

    with tempfile.TemporaryDirectory() as folder:
        limits = Path(folder) / "constraints.txt"
        limits.write_text("\n".join(constraints()) + "\n", encoding="utf-8")
        try:
            try:
                from slicer.packaging import pip_install
            except ImportError:
                slicer.util.pip_install(["-c", str(limits), *names])
            else:
                pip_install(names, constraints=limits, requester="DeepRadScore")
        except subprocess.CalledProcessError as error:
            raise MissingPackageError(
                _("pip could not install the packages (exit code {code})").format(code=error.returncode),
                where=", ".join(names),
                mend=_(
                    "look in the Python console for pip's own message; nothing was changed if it speaks of a conflict"
                ),
            ) from error


def _get_torch() -> bool:
    """Install torch; True where Slicer must be restarted before that is possible."""
    if importlib.util.find_spec("PyTorchUtils") is None:
        _get_extension("PyTorch")
        return True
    from PyTorchUtils import PyTorchUtilsLogic

    requirement = TORCH[0].removeprefix("torch")
    try:
        torch = PyTorchUtilsLogic().installTorch(askConfirmation=False, torchVersionRequirement=requirement)
    except (ValueError, RuntimeError, OSError, ImportError, subprocess.CalledProcessError) as error:
        raise MissingPackageError(
            _("the PyTorch extension could not install torch"),
            where="torch",
            mend=_("open the module PyTorch Utils, press Install PyTorch there, and restart Slicer"),
        ) from error
    if torch is None:
        raise MissingPackageError(
            _("torch was not installed"),
            where="torch",
            mend=_("open the module PyTorch Utils and press Install PyTorch"),
        )
    return False


def _get_extension(name: str) -> None:
    """Install an extension, usable after a restart; the user was asked before, so the manager does not ask again."""
    import slicer

    mend = _("open View > Extensions Manager, search for {name}, install it, and restart Slicer").format(name=name)
    if not hasattr(slicer.app, "extensionsManagerModel"):
        raise MissingPackageError(
            _("this Slicer has no Extensions Manager"), where=name, mend=_("use a released Slicer")
        )
    manager = slicer.app.extensionsManagerModel()
    asked = manager.interactive
    manager.interactive = False
    try:
        done = manager.installExtensionFromServer(name, False)
    finally:
        manager.interactive = asked
    if not done:
        raise MissingPackageError(_("the extension could not be installed"), where=name, mend=mend)
