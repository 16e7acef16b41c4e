"""`doctor`: what is installed, what is missing, and the line that mends it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from DeepRadScoreLib.errors import MissingPackageError
from DeepRadScoreLib.extras import EXTRAS, install_line

if TYPE_CHECKING:
    from packaging.requirements import Requirement

FALLBACK = "python -m pip install --upgrade DeepRadScore"


def doctor(
    verify_engine: Annotated[
        bool, typer.Option("--verify-engine", help="Compare the features of a synthetic case with pyradiomics'.")
    ] = False,
) -> None:
    """Say what is installed, what is missing and the line that mends it; exit 2 if something is missing.

    Packages that only some commands need are optional. With `--verify-engine`, compare the program's features with
    pyradiomics' on this machine; exit 1 if they are not equal.

    Example: `deepradscore doctor`
    """
    if verify_engine:
        _verify_engine()
        return
    typer.echo(f"ok       Python {sys.version.split()[0]}")
    missing = _problems("")
    for requirement, problem in missing.items():
        typer.echo(f"MISSING  {requirement}: {problem}\n         python -m pip install '{requirement}'")
    for name, extra in EXTRAS.items():
        absent = [f"{requirement.name} ({problem})" for requirement, problem in _problems(name).items()]
        if absent:
            typer.echo(f"optional {', '.join(absent)}: for {extra.purpose}\n         python -m {install_line(name)}")
    broken = len(missing)
    loads = {"networks": _load_networks, "engine": _load_engine}
    if find_spec("radiomics") is not None:
        loads["pyradiomics"] = _load_radiomics
    for name, load in loads.items():
        failure = _failure(load)
        broken += failure is not None
        typer.echo(f"ok       {name} can be loaded" if failure is None else f"BROKEN   {name}: {failure}")
    typer.echo(f"info     device: {_device()}")
    if broken:
        raise typer.Exit(2)


def _verify_engine() -> None:
    from DeepRadScoreLib.display.progress_bar import show_progress
    from DeepRadScoreLib.progress import run_to_end
    from DeepRadScoreLib.synthetic.engine_check import engine_check_steps

    with show_progress() as report:
        check = run_to_end(engine_check_steps(), report)
    for row in check.rows:
        typer.echo(str(row))
    typer.echo(f"{'ok' if check.passed else 'DIFFERENT':8s} {check.sentence}")
    if not check.passed:
        raise typer.Exit(1)


def _problems(extra: str) -> dict[Requirement, str]:
    """What is wrong with packages of the plain installation (""), or of an extra alone; prints the others as ok."""
    from packaging.requirements import Requirement

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


def _load_engine() -> None:
    from DeepRadScoreLib.models import Engine
    from DeepRadScoreLib.progress import run_to_end
    from DeepRadScoreLib.radscore.extraction import engine_ready_steps

    run_to_end(engine_ready_steps(Engine.OWN))
    import_module("DeepRadScoreLib.radscore.engine.intensity")


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
