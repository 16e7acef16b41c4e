"""The lock files: every package pinned, with hashes, and none missing that `pyproject.toml` names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support import lock
from support.slicer_requirements import project

ROOT = Path(__file__).parents[2]
LOCKS = sorted(path.name for path in ROOT.glob("requirements*.lock"))
HASHES = re.compile(r"( \\\n    --hash=sha256:[0-9a-f]{64})+\n")


def locked(*names: str) -> dict[str, Requirement]:
    """Name -> its pin for this Python and machine."""
    pins = [Requirement(pin) for name in names for pin in lock.pins((ROOT / name).read_text(encoding="utf-8"))]
    return {canonicalize_name(pin.name): pin for pin in pins if pin.marker is None or pin.marker.evaluate()}


def version(pin: Requirement) -> str:
    return next(iter(pin.specifier)).version


def named(*extras: str) -> list[Requirement]:
    """The requirements of the plain installation and of extras, those named by them too."""
    tables = project()["project"]
    found = [Requirement(text) for text in tables["dependencies"]]
    for extra in extras:
        found += [Requirement(text) for text in tables["optional-dependencies"][extra]]
    own = [one for one in found if one.name == project()["project"]["name"]]
    found = [one for one in found if one not in own]
    return found + [one for mine in own for one in named(*mine.extras)]


@pytest.mark.parametrize("name", LOCKS)
def test_every_entry_is_pinned_with_its_hashes(name: str) -> None:
    entries = lock.entries((ROOT / name).read_text(encoding="utf-8"))
    assert entries
    for entry in entries:
        pin = entry.split(" \\\n", 1)[0]
        assert [one.operator for one in Requirement(pin).specifier] == ["=="]
        assert HASHES.fullmatch(entry.removeprefix(pin)), entry


def test_every_requirement_of_the_project_is_locked_at_a_version_it_allows() -> None:
    pins = locked("requirements.lock")
    for requirement in named("dev"):
        assert requirement.specifier.contains(version(pins[canonicalize_name(requirement.name)])), requirement


def test_the_lock_files_agree() -> None:
    every = locked("requirements.lock", "requirements-cuda.lock")
    for name in ("requirements-build.lock", "requirements-cpu.lock"):
        for package, pin in locked(name).items():
            assert version(pin).removesuffix("+cpu") == version(every.get(package, pin)), pin
