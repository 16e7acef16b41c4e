"""Installing, without installing: `PyTorchUtils`, `slicer.packaging`, `slicer.util.pip_install`, and `SampleData`.

Everything that would fetch or install is kept in `installs`; which of the modules is there, a test says by
`packages(...)`.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import slicer

installs: list[tuple[str, Any, dict[str, Any]]] = []
"""(function, what, keyword arguments) of every installation that was asked for."""

_state: dict[str, Any] = {"torch_installed": True, "installs_torch": True}


class PyTorchUtilsLogic:
    """The logic of the PyTorch extension."""

    @property
    def torch(self) -> Any:
        return importlib.import_module("torch") if self.torchInstalled() else self.installTorch()

    def torchInstalled(self) -> bool:
        return bool(_state["torch_installed"])

    def installTorch(
        self,
        askConfirmation: bool = False,
        forceComputationBackend: str | None = None,
        torchVersionRequirement: str | None = None,
        torchvisionVersionRequirement: str | None = None,
    ) -> Any:
        """The module torch, or None where the user, or here the test, refuses."""
        installs.append(("installTorch", "torch", {"torchVersionRequirement": torchVersionRequirement}))
        if not _state["installs_torch"]:
            return None
        _state["torch_installed"] = True
        return importlib.import_module("torch")

    def getDevice(self) -> str:
        return "cpu"

    @property
    def cuda(self) -> bool:
        return False


def _pip_install(requirements: Any, **kwargs: Any) -> None:
    allowed = {"constraints", "no_deps_requirements", "skip_packages", "blocking", "show_progress", "requester"}
    if set(kwargs) - allowed - {"logCallback", "completedCallback"}:
        raise TypeError(f"pip_install() got unexpected arguments {sorted(kwargs)}")
    installs.append(("slicer.packaging.pip_install", requirements, kwargs))


def _pip_install_5_10(requirements: str | list[str]) -> None:
    installs.append(("slicer.util.pip_install", requirements, {}))


def _module(name: str, **members: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(members)
    return module


PYTORCH_UTILS = _module("PyTorchUtils", PyTorchUtilsLogic=PyTorchUtilsLogic)
PACKAGING = _module("slicer.packaging", pip_install=_pip_install, isPipInstallInProgress=lambda: False)


def _set(name: str, module: types.ModuleType, present: bool) -> None:
    if present:
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        sys.modules[name] = module
    else:
        sys.modules.pop(name, None)
    if name.startswith("slicer."):
        attribute = name.partition(".")[2]
        if present:
            setattr(slicer, attribute, module)
        elif hasattr(slicer, attribute):
            delattr(slicer, attribute)


@contextmanager
def packages(
    *, pytorch: bool = False, packaging: bool = False, torch_installed: bool = True, installs_torch: bool = True
) -> Iterator[list[tuple[str, Any, dict[str, Any]]]]:
    """Within the block the PyTorch extension and 5.12's `slicer.packaging` are there or not; gives `installs`."""
    installs.clear()
    _state.update(torch_installed=torch_installed, installs_torch=installs_torch)
    _set("PyTorchUtils", PYTORCH_UTILS, pytorch)
    _set("slicer.packaging", PACKAGING, packaging)
    try:
        yield installs
    finally:
        _set("PyTorchUtils", PYTORCH_UTILS, False)
        _set("slicer.packaging", PACKAGING, False)


class SampleDataSource:
    """One entry of the Sample Data module."""

    def __init__(self, **members: Any) -> None:
        vars(self).update(members)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SampleDataSource) and vars(self) == vars(other)

    __hash__ = None


class SampleDataLogic:
    """The registration of the Sample Data module; nothing is downloaded."""

    @staticmethod
    def registerCustomSampleDataSource(
        category: str = "Custom",
        sampleName: str | None = None,
        uris: Any = None,
        fileNames: Any = None,
        nodeNames: Any = None,
        customDownloader: Any = None,
        thumbnailFileName: str | None = None,
        loadFileTypes: Any = None,
        loadFiles: Any = None,
        loadFileProperties: Any = None,
        checksums: Any = None,
    ) -> None:
        source = SampleDataSource(
            sampleName=sampleName,
            uris=uris,
            fileNames=fileNames,
            nodeNames=nodeNames,
            customDownloader=customDownloader,
            thumbnailFileName=thumbnailFileName,
            loadFileTypes=loadFileTypes,
            loadFiles=loadFiles,
            loadFileProperties=loadFileProperties,
            checksums=checksums,
        )
        sources = SampleDataLogic.sampleDataSourcesByCategory().setdefault(category, [])
        if source not in sources:
            sources.append(source)

    @staticmethod
    def registerUrlRewriteRule(name: str, rewriteFunction: Any) -> None:
        if not callable(rewriteFunction):
            raise TypeError(f"Expected 'rewriteFunction' to be callable, got {type(rewriteFunction)}")
        if not hasattr(slicer.modules, "sampleDataUrlRewriteRules"):
            slicer.modules.sampleDataUrlRewriteRules = {}
        slicer.modules.sampleDataUrlRewriteRules[name] = rewriteFunction

    @staticmethod
    def sampleDataSourcesByCategory(category: str | None = None) -> Any:
        if not hasattr(slicer.modules, "sampleDataSources"):
            slicer.modules.sampleDataSources = {}
        every = slicer.modules.sampleDataSources
        return every if category is None else every.get(category, [])


def install_modules() -> None:
    """Sample Data is a core module; pip is Slicer 5.10's; the PyTorch extension and `slicer.packaging` are absent."""
    sys.modules["SampleData"] = _module("SampleData", SampleDataLogic=SampleDataLogic)
    slicer.util.pip_install = _pip_install_5_10
