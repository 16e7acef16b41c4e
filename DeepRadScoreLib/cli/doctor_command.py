"""`doctor`: what is installed, what is missing, and the line that mends it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module, metadata

import typer
from packaging.requirements import Requirement

from DeepRadScoreLib.errors import MissingPackageError
from DeepRadScoreLib.extras import EXTRAS, install_line

FALLBACK = "python -m pip install --upgrade DeepRadScore"


def doctor() -> None:
    """Say what is installed, what is missing and the line that mends it; exit 2 if something is missing.

    Packages that only some commands need are optional.

    Example: `deepradscore doctor`
    """
    typer.echo(f"ok       Python {sys.version.split()[0]}")
    missing = _problems("")
    for requirement, problem in missing.items():
        typer.echo(f"MISSING  {requirement}: {problem}\n         python -m pip install '{requirement}'")
    for name, extra in EXTRAS.items():
        absent = [f"{requirement.name} ({problem})" for requirement, problem in _problems(name).items()]
        if absent:
            typer.echo(f"optional {', '.join(absent)}: for {extra.purpose}\n         python -m {install_line(name)}")
    broken = len(missing)
    for name, load in (("networks", _load_networks), ("shap", _load_shap), ("pyradiomics", _load_radiomics)):
        failure = _failure(load)
        broken += failure is not None
        typer.echo(f"ok       {name} can be loaded" if failure is None else f"BROKEN   {name}: {failure}")
    typer.echo(f"info     device: {_device()}")
    if broken:
        raise typer.Exit(2)


def _problems(extra: str) -> dict[Requirement, str]:
    """What is wrong with packages of the plain installation (""), or of an extra alone; prints the others as ok."""
    every = [Requirement(text) for text in metadata.requires("DeepRadScore") or []]
    plain = [one for one in every if one.marker is None or one.marker.evaluate({"extra": ""})]
    added = [one for one in every if one not in plain and one.marker and one.marker.evaluate({"extra": extra})]
    found = {}
    for requirement in added if extra else plain:
        problem = _problem(requirement)
        if problem is None:
            typer.echo(f"ok       {requirement.name} {metadata.version(requirement.name)}")
        else:
            found[requirement] = problem
    return found


def _problem(requirement: Requirement) -> str | None:
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return "not installed"
    return None if requirement.specifier.contains(version, prereleases=True) else f"version {version} is too old"


def _load_networks() -> None:
    from DeepRadScoreLib.deepct.torchvision_import import import_torchvision

    import_torchvision()


def _load_shap() -> None:
    from DeepRadScoreLib.fusion.explain import import_shap

    import_shap()


def _load_radiomics() -> None:
    import_module("radiomics.featureextractor")


def _failure(load: Callable[[], None]) -> str | None:
    """What goes wrong when a package is loaded, with the line that mends it; None if nothing does."""
    try:
        load()
    except MissingPackageError as error:
        return str(error).rstrip(".")
    except (ImportError, RuntimeError, OSError) as error:
        return f"{error}; mend it with: {FALLBACK}"
    return None


def _device() -> str:
    try:
        import torch
    except ImportError:
        return "unknown without torch"
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU"
