"""`doctor`: what is installed, what is missing, and the line that mends it."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from collections.abc import Callable

import typer
from packaging.requirements import Requirement

FALLBACK = "python -m pip install --upgrade DeepRadScore"


def doctor() -> None:
    """Say what is installed, what is missing and the line that mends it; exit 2 if something is missing.

    Example: `deepradscore doctor`
    """
    broken = 0
    typer.echo(f"ok       Python {sys.version.split()[0]}")
    for text in importlib.metadata.requires("DeepRadScore") or []:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        problem = _problem(requirement)
        broken += problem is not None
        if problem is None:
            typer.echo(f"ok       {requirement.name} {importlib.metadata.version(requirement.name)}")
        else:
            typer.echo(f"MISSING  {requirement}: {problem}\n         python -m pip install '{requirement}'")
    for name, works in (("networks", _torchvision_works), ("shap", _shap_works), ("pyradiomics", _radiomics_works)):
        problem = works()
        broken += problem is not None
        typer.echo(f"ok       {name} can be loaded" if problem is None else f"BROKEN   {name}: {problem}")
    typer.echo(f"info     device: {_device()}")
    if broken:
        raise typer.Exit(2)


def _problem(requirement: Requirement) -> str | None:
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
    return None if requirement.specifier.contains(version, prereleases=True) else f"version {version} is too old"


def _torchvision_works() -> str | None:
    from DeepRadScoreLib.deepct.torchvision_import import import_torchvision

    return _failure(import_torchvision)


def _shap_works() -> str | None:
    from DeepRadScoreLib.fusion.explain import import_shap

    return _failure(import_shap)


def _radiomics_works() -> str | None:
    return _failure(lambda: importlib.import_module("radiomics.featureextractor"))


def _failure(load: Callable[[], object]) -> str | None:
    try:
        load()
    except (ImportError, RuntimeError, OSError) as error:
        return f"{error}; mend it with: {FALLBACK}"
    return None


def _device() -> str:
    try:
        import torch
    except ImportError:
        return "unknown without torch"
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU"
