"""The .ui file by itself: what Slicer would not complain about and yet not do."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

MODULE = Path(__file__).resolve().parents[2] / "DeepRadScore"
UI = ET.parse(MODULE / "Resources" / "UI" / "DeepRadScore.ui").getroot()
WIDGETS = {widget.get("name"): widget for widget in UI.iter("widget")}
CODE = {path: ast.parse(path.read_text("utf-8")) for path in MODULE.rglob("*.py")}
INTERACTIVE = {
    "QPushButton",
    "QCheckBox",
    "QComboBox",
    "QDoubleSpinBox",
    "ctkPathLineEdit",
    "ctkSliderWidget",
    "qMRMLNodeComboBox",
    "qMRMLSegmentSelectorWidget",
}


def value(widget, name):
    for child in widget.findall("property"):
        if child.get("name") == name:
            return "".join(child.itertext()).strip()
    return None


def interactive():
    return [name for name, widget in WIDGETS.items() if widget.get("class") in INTERACTIVE]


def test_names_are_unique():
    names = [widget.get("name") for widget in UI.iter("widget")]
    assert len(names) == len(set(names))


def test_every_mrml_widget_is_given_the_scene():
    expected = {name for name, widget in WIDGETS.items() if widget.get("class").startswith("qMRML")} - {"DeepRadScore"}
    connected = set()
    for connection in UI.iter("connection"):
        parts = [connection.findtext(tag) for tag in ("sender", "signal", "slot")]
        assert parts == ["DeepRadScore", "mrmlSceneChanged(vtkMRMLScene*)", "setMRMLScene(vtkMRMLScene*)"]
        connected.add(connection.findtext("receiver"))
    assert connected == expected


def test_custom_classes_are_declared():
    used = {widget.get("class") for widget in UI.iter("widget") if not widget.get("class").startswith("Q")}
    declared = {custom.findtext("class"): custom for custom in UI.iter("customwidget")}
    assert set(declared) == used
    for name in ("qMRMLWidget", "ctkCollapsibleButton"):
        assert declared[name].findtext("container") == "1"
    assert all(custom.findtext("header") == f"{name}.h" for name, custom in declared.items())


def test_parameter_names_are_fields_of_the_parameter_node():
    (node,) = (
        found
        for found in ast.walk(CODE[MODULE / "DeepRadScore.py"])
        if isinstance(found, ast.ClassDef) and found.name == "DeepRadScoreParameterNode"
    )
    fields = {field.target.id for field in node.body if isinstance(field, ast.AnnAssign)}
    bound = [
        value(widget, "SlicerParameterName") for widget in WIDGETS.values() if value(widget, "SlicerParameterName")
    ]
    assert len(bound) == len(set(bound))
    assert set(bound) <= fields
    assert fields - set(bound) == {"segmentation", "segmentId"}, "these are bound by hand"


def test_names_used_in_the_code_are_in_the_file():
    used = set()
    for tree in CODE.values():
        for found in ast.walk(tree):
            if isinstance(found, ast.Attribute) and isinstance(found.value, (ast.Attribute, ast.Name)):
                owner = found.value.attr if isinstance(found.value, ast.Attribute) else found.value.id
                if owner in {"ui", "_ui"}:
                    used.add(found.attr)
    assert used
    assert used <= set(WIDGETS)
    by_name_alone = {"shellVisibleCheckBox", "otherLabelsComboBox", "volumeSelector"}
    assert set(interactive()) - used == by_name_alone, "bound by SlicerParameterName alone"


@pytest.mark.parametrize("name", interactive())
def test_widget_can_be_reached_and_told(name):
    widget = WIDGETS[name]
    assert value(widget, "toolTip")
    assert name in [stop.text for stop in UI.iter("tabstop")]
    assert value(widget, "accessibleName") or widget.get("class") in {"QPushButton"}


def test_tab_order_is_the_order_on_the_screen():
    assert [stop.text for stop in UI.iter("tabstop")] == interactive()


def test_labels_have_buddies_that_exist():
    labels = {name: value(widget, "text") for name, widget in WIDGETS.items() if widget.get("class") == "QLabel"}
    for name, text in labels.items():
        buddy = value(WIDGETS[name], "buddy")
        assert buddy in WIDGETS if buddy else not re.search(r":$", text or "")


def test_what_the_user_reads_is_plain_text():
    """Paths and node names come into these labels: no HTML in them."""
    for name in ("messageLabel", "qualityLabel", "stepLabel", "modelLabel", "packagesLabel"):
        assert value(WIDGETS[name], "textFormat") == "Qt::PlainText"
