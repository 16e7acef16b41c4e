"""Every name of Slicer, ctk, qMRML and MRML that the module calls is in slicer_api.csv, with the line that declares it.

The rule, for each attribute `x.name` and each imported name in DeepRadScore/**/*.py:

* `qt.Name…` must exist in PySide6, `vtk.Name…` in vtk. They are not listed with lines: the packages themselves are
  asked.
* `slicer.app.x` is Qt's where QApplication has it.
* `slicer.…`, `ctk.…`, and what is imported from `slicer`, its submodules, `ctk`, `SampleData`, `PyTorchUtils`,
  `DICOMLib` and `qSlicer…` must be listed: `slicer.util.x`, `slicer.app.x` and `slicer.modules.x` with their whole
  path, others by their name. A class or function in `slicer` that slicer-core has is asked there as well.
* A name reached through another imported module (the standard library, numpy, SimpleITK, the library) is that module's.
* Any other attribute is a method or property of some object. If one of MRML's classes (slicer-core's: the scene,
  nodes, logics, segmentations) or one of the stand-ins for ctk's and qMRML's widgets has it, and neither vtk's base
  classes nor Qt, it must be listed, whatever object it is called on here. Else it must be ours (assigned, defined, or
  a widget's name in the .ui file), Python's, numpy's, SimpleITK's, Qt's or vtk's; any other is an error.
* A signal named in `connect` or `disconnect` must be one of Qt's widgets' or be listed with its signature.

Both tags must have the name, but for those that the module reaches only behind a guard (GUARDED).
"""

from __future__ import annotations

import ast
import functools
import importlib
import re
import types
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PySide6 import QtCore, QtGui, QtWidgets

import slicer_harness as harness
from support import slicer_sources

MODULE = harness.ROOT / "DeepRadScore"
FILES = sorted(MODULE.rglob("*.py"))
ROOTS = ("slicer", "ctk", "SampleData", "PyTorchUtils", "DICOMLib")
STAND_INS = (
    "application", "ctk_widgets", "dicom", "io_manager", "modules", "qmrml_widgets", "segment_editor", "views",
)  # fmt: skip
"""The harness's files with stand-ins for ctk's and Slicer's classes."""
GUARDED = {
    *("slicer.packaging.pip_install", "SampleDataLogic.registerCustomSampleDataCategory"),
    *("ctkDICOMVisualBrowserWidget.patientView", "ctkDICOMPatientView.selectedSeriesInstanceUIDs"),
    *("ctkDICOMVisualBrowserWidget.patientsTabWidget", "ctkDICOMPatientItemWidget.studyItemWidgetsList"),
    *("ctkDICOMStudyItemWidget.seriesListTableWidget", "ctkDICOMSeriesItemWidget.seriesInstanceUID"),
}


def is_slicers(module: str) -> bool:
    return module.partition(".")[0] in ROOTS or module.startswith("qSlicer")


def last(name: str) -> str:
    """`qMRMLNodeComboBox.setCurrentNode(vtkMRMLNode*)` is looked up as `setCurrentNode`."""
    return name.partition("(")[0].rpartition(".")[2]


@pytest.fixture(scope="module")
def rows():
    return slicer_sources.read(slicer_sources.LIST)


@pytest.fixture(scope="module")
def listed(rows):
    return {row["name"] for row in rows} | {row["name"].partition("(")[0] for row in rows}


@pytest.fixture(scope="module")
def listed_last(rows):
    return {last(row["name"]) for row in rows} | {part for row in rows for part in row["name"].split("(")[0].split(".")}


class Names(ast.NodeVisitor):
    """What a file reaches: dotted paths from imported modules, and attributes of everything else."""

    def __init__(self, tree: ast.Module) -> None:
        self.modules: dict[str, str] = {}
        self.imported: set[str] = set()
        self.paths: set[tuple[str, int]] = set()
        self.attributes: set[tuple[str, int]] = set()
        self.signals: set[tuple[str, int]] = set()
        self.own: set[str] = set()
        for node in ast.walk(tree):
            self._import(node)
            self._definition(node)
        self.visit(tree)

    def _import(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                self.modules[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
                if is_slicers(alias.name):
                    self.paths.add((alias.name, node.lineno))
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                path = f"{node.module}.{alias.name}"
                self.modules[alias.asname or alias.name] = path
                if is_slicers(node.module) and alias.name != "*":
                    self.paths.add((path, node.lineno))
                elif is_slicers(node.module):
                    self.paths.add((node.module, node.lineno))

    def _definition(self, node: ast.AST) -> None:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            self.own.add(node.name)
        if isinstance(node, ast.arg):
            self.own.add(node.arg)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            self.own.add(node.target.id)
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            for part in ast.walk(target):
                if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "self":
                    self.own.add(part.attr)
                elif isinstance(part, ast.Name):
                    self.own.add(part.id)

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func
        if isinstance(called, ast.Attribute) and called.attr == "add_argument":
            flags = (flag.value for flag in node.args if isinstance(flag, ast.Constant))
            self.own.update(flag.lstrip("-").replace("-", "_") for flag in flags)
        if isinstance(called, ast.Attribute) and called.attr in ("connect", "disconnect") and node.args:
            signal = node.args[0]
            if not (isinstance(signal, ast.Constant) and isinstance(signal.value, str)):
                raise AssertionError(f"line {node.lineno}: connect without a literal signature")
            self.signals.add((signal.value, node.lineno))
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        chain, base = [node.attr], node.value
        while isinstance(base, ast.Attribute):
            chain.append(base.attr)
            base = base.value
        if isinstance(base, ast.Name) and base.id in self.modules:
            self.paths.add((".".join([self.modules[base.id], *reversed(chain)]), node.lineno))
            return
        self.attributes.update((name, node.lineno) for name in chain)
        self.visit(base)


@functools.cache
def names_of(path: Path) -> Names:
    return Names(ast.parse(path.read_text(encoding="utf-8")))


@functools.cache
def ours() -> set[str]:
    """Names that our own code, the library included, defines, and the object names in the .ui file."""
    found = set().union(*(names_of(path).own for path in FILES))
    for path in (harness.ROOT / "DeepRadScoreLib").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found.add(node.name)
            elif isinstance(node, (ast.AnnAssign, ast.Assign)):
                targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
                found.update(
                    t.id if isinstance(t, ast.Name) else t.attr
                    for t in targets
                    if isinstance(t, (ast.Name, ast.Attribute))
                )
    for form in MODULE.rglob("*.ui"):
        found.update(element.get("name") for element in ElementTree.parse(form).iter() if element.get("name"))
    return found


@functools.cache
def mrml() -> dict[str, list[type]]:
    """Names that MRML's own classes define, not vtk's, and the classes."""
    import slicer_core
    import vtk

    of_vtk = {name for cls in (vtk.vtkObject, vtk.vtkCollection, vtk.vtkImageData) for name in dir(cls)}
    found: dict[str, list[type]] = {}
    for cls in vars(slicer_core).values():
        if isinstance(cls, type) and cls.__name__.startswith(("vtkMRML", "vtkSlicer", "vtkSegment", "vtkOriented")):
            for name in set(dir(cls)) - of_vtk:
                if not name.startswith("_"):
                    found.setdefault(name, []).append(cls)
    return found


def _of_qt() -> tuple[set[str], set[str]]:
    """Names of methods and properties, and signatures of signals, of all of Qt's classes."""
    names, signals = {"exec_", "className", "name"}, set()
    for cls in [c for m in (QtCore, QtGui, QtWidgets) for n in dir(m) if isinstance(c := getattr(m, n), type)]:
        names.update(dir(cls))
        meta = getattr(cls, "staticMetaObject", None)
        if meta is not None:
            names.update(meta.property(i).name() for i in range(meta.propertyCount()))
            methods = [meta.method(i) for i in range(meta.methodCount())]
            signals.update(str(m.methodSignature(), "ascii") for m in methods if m.methodType() == m.MethodType.Signal)
    return names, signals


QT_NAMES, QT_SIGNALS = _of_qt()
"""Asked when the file is imported: PySide6 loses a class's meta object with the first object of it that is deleted."""


@functools.cache
def stand_ins() -> dict[str, set[str]]:
    """What the stand-ins for ctk's and Slicer's classes offer beyond the Qt class that they are."""
    found = {}
    for name in STAND_INS:
        module = importlib.import_module(f"slicer_harness.{name}")
        for cls in vars(module).values():
            if isinstance(cls, type) and cls.__module__ == module.__name__ and cls.__name__.startswith(("q", "ctk")):
                base = next(b for b in cls.__mro__ if b.__module__.startswith("PySide6"))
                own = {n for c in cls.__mro__ if c.__module__.startswith("slicer_harness") for n in vars(c)}
                found[cls.__name__] = {
                    n for n in own if n[0] != "_" and not n.isupper() and not n.startswith("CPP_")
                } - set(dir(base))
    return found


@functools.cache
def pythons() -> set[str]:
    import argparse
    import contextlib
    import csv
    import datetime
    import hashlib
    import importlib.metadata
    import io
    import ipaddress
    import json
    import logging
    import os
    import re as regex
    import subprocess
    import tempfile
    import unittest
    import urllib.parse
    import zipfile

    import numpy as np
    import packaging.requirements
    import packaging.specifiers
    import pydicom
    import SimpleITK as sitk

    kinds = [str, bytes, int, float, list, tuple, dict, set, frozenset, bool, type, property, Path]
    kinds += [Exception, OSError, KeyError, SystemExit, UnicodeDecodeError, json.JSONDecodeError]
    kinds += [types.GeneratorType, types.FunctionType, types.ModuleType, types.CodeType, types.FrameType]
    kinds += [types.SimpleNamespace, ipaddress.IPv4Address, urllib.parse.SplitResult]
    kinds += [
        io.TextIOWrapper,
        io.BytesIO,
        regex.Match,
        regex.Pattern,
        datetime.datetime,
        logging.Logger,
        os.stat_result,
    ]
    kinds += [csv.DictReader, csv.DictWriter, type(csv.writer(io.StringIO())), ElementTree.Element, zipfile.ZipFile]
    kinds += [tempfile.TemporaryDirectory, unittest.TestCase, unittest.TestResult, contextlib.ExitStack]
    kinds += [subprocess.Popen, subprocess.CompletedProcess, type(hashlib.sha256()), argparse.ArgumentParser]
    kinds += [importlib.metadata.Distribution, importlib.machinery.ModuleSpec, packaging.requirements.Requirement]
    kinds += [
        packaging.specifiers.SpecifierSet,
        np.ndarray,
        np.dtype,
        sitk.Image,
        sitk.ImageFileReader,
        pydicom.Dataset,
    ]
    of_instances = (
        "args code errno filename loader marker msg name origin pid reason returncode specifier strerror testsRun"
    )
    of_dicom = "Modality SeriesInstanceUID"
    return {name for kind in kinds for name in dir(kind)} | set(of_instances.split()) | set(of_dicom.split())


def places(found: Iterator[tuple[str, Path, int]]) -> list[str]:
    return sorted({f"{name} ({path.relative_to(MODULE)}:{line})" for name, path, line in found})


def everywhere(kind: str) -> Iterator[tuple[str, Path, int]]:
    for path in FILES:
        for name, line in getattr(names_of(path), kind):
            yield name, path, line


def exists(root: object, parts: list[str]) -> bool:
    for part in parts:
        if not hasattr(root, part):
            return root not in (None,) and not isinstance(root, (type, types.ModuleType))
        root = getattr(root, part)
    return True


def test_there_is_a_module_to_look_at():
    assert len(FILES) > 5


@pytest.mark.parametrize("root", ["qt", "vtk"])
def test_qt_and_vtk_have_what_is_taken_from_them(slicer_app, root):
    package = importlib.import_module(root)
    paths = ((name, path, line) for name, path, line in everywhere("paths") if name.split(".")[0] == root)
    assert not places((n, p, i) for n, p, i in paths if not exists(package, n.split(".")[1:]))


def path_is_listed(path: str, listed: set[str], listed_last: set[str]) -> bool:
    parts = [part for part in path.split(".") if not part.startswith("__")]
    if parts[:2] in (["slicer", "util"], ["slicer", "app"], ["slicer", "modules"]) and len(parts) > 2:
        if parts[1] == "app" and parts[2] in dir(QtWidgets.QApplication):
            return True
        return ".".join(parts[:3]) in listed and all(part in listed_last for part in parts[3:])
    return all(part in listed_last or part in ROOTS for part in parts)


def test_what_is_taken_from_slicer_and_ctk_is_listed(listed, listed_last):
    paths = ((name, path, line) for name, path, line in everywhere("paths") if is_slicers(name))
    assert not places((n, p, i) for n, p, i in paths if not path_is_listed(n, listed, listed_last))


def test_methods_of_mrml_and_of_stand_ins_are_listed(slicer_app, listed_last):
    offered = set().union(*stand_ins().values()) - QT_NAMES
    of_mrml = {name for name in mrml() if name[0].isupper() or name not in QT_NAMES | pythons()}
    needed = ((n, p, i) for n, p, i in everywhere("attributes") if n in offered | of_mrml)
    assert not places((n, p, i) for n, p, i in needed if n not in listed_last and n not in ours())


def test_every_other_attribute_is_someones(slicer_app, listed_last):
    import vtk

    vtks = {name for cls in vars(vtk).values() if isinstance(cls, type) for name in dir(cls)}
    known = ours() | pythons() | QT_NAMES | vtks | listed_last
    assert not places((n, p, i) for n, p, i in everywhere("attributes") if n not in known)


def test_signals_exist(listed):
    signals = QT_SIGNALS | {name[name.rfind(".", 0, name.find("(")) + 1 :] for name in listed if "(" in name}
    assert not places((n, p, i) for n, p, i in everywhere("signals") if n not in signals)


def test_listed_mrml_names_are_in_slicer_core(slicer_app, rows):
    import slicer
    import vtk

    wrong = []
    for name in {row["name"].partition("(")[0] for row in rows}:
        cls, _, member = name.removeprefix("slicer.").partition(".")
        if cls.startswith("vtk") and member and cls != "vtkMRMLSubjectHierarchyConstants":
            owner = getattr(slicer, cls, None) or getattr(vtk, cls, None)
            if owner is None or not hasattr(owner, member):
                wrong.append(name)
        elif name.startswith("slicer.util.") and not hasattr(slicer.util, name.split(".")[2]):
            wrong.append(name)
    assert not wrong


def test_stand_ins_offer_only_listed_names(slicer_app, listed_last):
    assert {cls: extra for cls, names in stand_ins().items() if (extra := sorted(names - listed_last))} == {}


def test_both_tags_have_every_name(rows):
    tags: dict[str, set[str]] = {}
    for row in rows:
        tags.setdefault(row["name"], set()).add(row["tag"])
    assert {name for name, found in tags.items() if found != set(slicer_sources.TAGS)} <= GUARDED


def test_rows_quote_the_name(rows):
    """The line that is quoted holds the name, as it stands or as vtk's macros and Qt's accessors write it."""
    unlike = []
    for row in rows:
        bare = re.sub(r"^(Get|Set|Add|Remove|SetAndObserve)|(On|Off)$", "", last(row["name"]))
        stem = bare[:1].lower() + bare[1:]
        if not any(word in row["line"] for word in (last(row["name"]), bare, stem)):
            unlike.append(f"{row['name']}: {row['line']}")
    assert not unlike
