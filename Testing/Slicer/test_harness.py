"""The harness against what Slicer's and PythonQt's own sources say of the things that it stands in for."""

from __future__ import annotations

import ast
import enum
import gc
import importlib
import inspect
import pathlib
import sys
import weakref
from typing import Annotated

import numpy as np
import pytest
import slicer

import slicer_harness as harness
from support import slicer_sources

pytestmark = pytest.mark.usefixtures("slicer_app")

MODULE = """
import qt, slicer
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin

CALLS = []


class Small(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "A small module"
        parent.dependencies = ["Volumes"]
        slicer.app.connect("startupCompleted()", started)


def started():
    CALLS.append("started")


class SmallWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        CALLS.append("setup")
        self.logic = SmallLogic()
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/Small.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onEndClose)

    def onEndClose(self, caller, event):
        CALLS.append(f"closed {self.parent.isEntered}")

    def enter(self):
        CALLS.append("enter")

    def exit(self):
        CALLS.append("exit")

    def cleanup(self):
        CALLS.append("cleanup")
        self.removeObservers()


class SmallLogic(ScriptedLoadableModuleLogic):
    pass


class SmallTest(ScriptedLoadableModuleTest):
    def setUp(self):
        CALLS.append("setUp")

    def test_one(self):
        CALLS.append("test_one")
"""

UI = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0"><class>Small</class><widget class="qMRMLWidget" name="Small">
<layout class="QVBoxLayout" name="layout">
<item><widget class="qMRMLNodeComboBox" name="first"><property name="nodeTypes"><stringlist notr="true">
<string>vtkMRMLScalarVolumeNode</string></stringlist></property>
<property name="addEnabled"><bool>false</bool></property>
<property name="removeEnabled"><bool>false</bool></property></widget></item>
<item><widget class="qMRMLNodeComboBox" name="forgotten"><property name="nodeTypes"><stringlist notr="true">
<string>vtkMRMLScalarVolumeNode</string></stringlist></property></widget></item>
<item><widget class="QCheckBox" name="box">
<property name="SlicerParameterName" stdset="0"><string>on</string></property>
</widget></item></layout></widget>
<customwidgets><customwidget><class>qMRMLWidget</class><extends>QWidget</extends><header>qMRMLWidget.h</header>
<container>1</container></customwidget><customwidget><class>qMRMLNodeComboBox</class><extends>QWidget</extends>
<header>qMRMLNodeComboBox.h</header></customwidget></customwidgets>
<connections><connection><sender>Small</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal><receiver>first</receiver>
<slot>setMRMLScene(vtkMRMLScene*)</slot></connection></connections></ui>"""


def small_module(folder: pathlib.Path, ui: str = UI) -> pathlib.Path:
    (folder / "Resources/UI").mkdir(parents=True)
    (folder / "Resources/UI/Small.ui").write_text(ui)
    (folder / "Small.py").write_text(MODULE)
    return folder / "Small.py"


@pytest.fixture
def small(tmp_path):
    loaded = harness.load_module(small_module(tmp_path))
    yield loaded
    if "Small" in sys.modules:
        loaded.close()


def volume(name="CT"):
    return slicer.util.addVolumeFromArray(np.zeros((3, 4, 5), np.int16), name=name)


def selector(kind="vtkMRMLScalarVolumeNode", actions=False, **properties):
    combo = slicer.qMRMLNodeComboBox()
    combo.nodeTypes = [kind]
    combo.addEnabled = combo.removeEnabled = actions
    for name, value in properties.items():
        setattr(combo, name, value)
    combo.setMRMLScene(slicer.mrmlScene)
    return combo


class TestPythonQt:
    def test_a_property_is_an_attribute_and_not_called(self):
        import qt

        button = qt.QPushButton("one")
        assert button.text == "one"
        button.text, button.enabled = "two", False
        assert (button.text, button.enabled) == ("two", False)
        with pytest.raises(TypeError):
            button.text()

    @pytest.mark.parametrize("value", [None, ["a"], object()])
    def test_a_property_refuses_what_it_cannot_hold(self, value):
        import qt

        with pytest.raises(AttributeError, match="does not accept"):
            qt.QLabel().text = value

    def test_no_new_attributes_on_qt_objects(self):
        import qt

        with pytest.raises(AttributeError, match="creating new attributes on C"):
            qt.QLabel().mine = 1
        with pytest.raises(AttributeError, match="can not be overwritten"):
            qt.QLabel().setText = 1

    @pytest.mark.parametrize("name", ["setVisibel", "text_", "emit", "exec", "findChild_"])
    def test_no_other_names(self, name):
        import qt

        with pytest.raises(AttributeError):
            getattr(qt.QPushButton(), name)

    def test_name_is_the_object_name_and_a_child_is_an_attribute(self):
        import qt

        parent = qt.QWidget()
        child = qt.QLabel(parent)
        child.objectName = "inner"
        assert child.name == "inner"
        assert parent.inner is child
        assert parent.children() == (child,)
        assert parent.findChild(qt.QLabel, "inner") is child
        assert parent.findChildren("QPushButton") == ()

    def test_a_dynamic_property_is_an_attribute(self):
        import qt

        label = qt.QLabel()
        label.setProperty("SlicerParameterName", "on")
        assert label.SlicerParameterName == label.property("SlicerParameterName") == "on"
        label.SlicerParameterName = "off"
        assert label.property("SlicerParameterName") == "off"

    def test_a_slot_gets_the_arguments_it_has_room_for(self):
        import qt

        got, button = [], qt.QPushButton()
        button.checkable = True
        button.connect("toggled(bool)", lambda: got.append("none"))
        button.connect("toggled(bool)", got.append)
        button.connect("toggled(bool)", lambda *all_: got.append(all_))
        button.toggle()
        assert got == ["none", True, (True,)]

    def test_connections_end(self):
        import qt

        got, button = [], qt.QPushButton()

        def clicked():
            got.append(1)

        assert button.connect("clicked(bool)", clicked)
        assert button.disconnect("clicked(bool)", clicked)
        assert not button.disconnect("clicked(bool)", clicked)
        button.click()
        assert not got

    @pytest.mark.parametrize("signal", ["clicked", "clicked(int)", "pushed()", "currentNodeChanged(vtkMRMLNode*)"])
    def test_an_unknown_signal_raises(self, signal):
        import qt

        with pytest.raises(AttributeError, match="does not exist"):
            qt.QPushButton().connect(signal, print)

    def test_a_signal_needs_its_c_signature(self):
        with pytest.raises(AttributeError):
            selector().connect("currentNodeChanged(vtkMRMLScene*)", print)
        with pytest.raises(AttributeError):
            selector().connect("currentNodeChanged(PyObject)", print)

    def test_an_exception_in_a_slot_does_not_reach_the_sender(self):
        import qt

        button = qt.QPushButton()
        button.connect("clicked(bool)", lambda: 1 / 0)
        button.click()
        assert "ZeroDivisionError" in harness.slot_errors.pop()

    def test_subclassing_is_refused(self):
        import qt

        with pytest.raises(TypeError, match="subclasses QWidget"):
            type("Mine", (qt.QWidget,), {})

    def test_a_destroyed_object_is_false_and_cannot_be_used(self):
        import qt

        label = qt.QLabel()
        label.deleteLater()
        harness.process_events()
        assert not label
        with pytest.raises(ValueError, match="destroyed"):
            label.text  # noqa: B018

    def test_classes_are_classes(self):
        import qt

        assert isinstance(qt.QPushButton(), qt.QAbstractButton)
        assert type(slicer.qMRMLNodeComboBox()) is slicer.qMRMLNodeComboBox
        assert not isinstance(qt.QLabel(), qt.QAbstractButton)
        assert qt.QLabel().className() == "QLabel"

    def test_timers_and_settings(self):
        import qt

        got, timer = [], qt.QTimer()
        timer.setSingleShot(True)
        timer.connect("timeout()", lambda: got.append("timer"))
        timer.start(1)
        qt.QTimer.singleShot(0, lambda: got.append("shot"))
        harness.wait_for(lambda: len(got) == 2, 5)
        assert got == ["shot", "timer"]
        qt.QSettings().setValue("a/b", "c")
        assert qt.QSettings().value("a/b") == "c"
        assert qt.QSettings().value("a/z", "default") == "default"

    def test_enums(self):
        import qt

        slider = qt.QSlider()
        slider.orientation = qt.Qt.Horizontal
        assert slider.orientation == qt.Qt.Horizontal
        with pytest.raises(AttributeError):
            qt.QNoSuchWidget  # noqa: B018

    def test_constants_last(self):
        """Calls that return nothing do not use up None."""
        import qt

        label = qt.QLabel()
        for _ in range(5_000):
            label.setEnabled(True)
        assert sys.getrefcount(None) > 1 << 39


class TestSelectors:
    def test_without_a_scene_it_is_empty_and_disabled(self):
        volume()
        combo = slicer.qMRMLNodeComboBox()
        combo.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        assert (combo.enabled, combo.nodeCount(), combo.currentNode()) == (False, 0, None)

    def test_the_first_node_is_chosen_where_there_is_no_none(self):
        combo = selector()
        assert combo.currentNode() is None
        first = volume()
        volume()
        assert combo.currentNode() is first
        assert combo.currentNodeID == first.GetID()

    @pytest.mark.parametrize("properties", [{"noneEnabled": True}, {"actions": True}])
    def test_nothing_is_chosen_by_itself(self, properties):
        combo = selector(**properties)
        volume()
        assert combo.currentNode() is None
        assert combo.nodeCount() == 1

    def test_signals_follow_the_choice_and_the_removal(self):
        combo, got = selector(noneEnabled=True), []
        first = volume()
        combo.connect("currentNodeChanged(vtkMRMLNode*)", got.append)
        combo.connect("currentNodeChanged(bool)", got.append)
        combo.setCurrentNode(first)
        slicer.mrmlScene.RemoveNode(first)
        assert got == [first, True, None, False]

    def test_types_hidden_nodes_and_attributes(self):
        combo = selector()
        hidden = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
        hidden.UnRegister(None)
        hidden.SetHideFromEditors(True)
        slicer.mrmlScene.AddNode(hidden)
        labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
        assert [combo.nodeFromIndex(i) for i in range(combo.nodeCount())] == [labels]
        combo.showChildNodeTypes = False
        assert combo.nodeCount() == 0
        combo.showChildNodeTypes = True
        combo.addAttribute("vtkMRMLScalarVolumeNode", "Mine", "1")
        assert combo.nodeCount() == 0
        labels.SetAttribute("Mine", "1")

    def test_scene_close_empties_it(self):
        combo = selector()
        volume()
        slicer.mrmlScene.Clear(0)
        assert (combo.nodeCount(), combo.currentNode()) == (0, None)

    def test_a_widget_that_is_gone_observes_nothing(self):
        combo = selector()
        combo.deleteLater()
        harness.process_events()
        volume()

    def test_a_removed_node_is_not_kept(self):
        combo, segments = selector(), slicer.qMRMLSegmentSelectorWidget()
        segments.setMRMLScene(slicer.mrmlScene)
        gone = [weakref.ref(volume()), weakref.ref(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode"))]
        segments.setCurrentNode(gone[1]())
        for node in gone:
            slicer.mrmlScene.RemoveNode(node())
        gc.collect()
        assert [node() for node in gone] == [None, None]
        assert combo.nodeCount() == 0

    def test_unknown_names(self):
        with pytest.raises(AttributeError):
            selector().setCurrentNodes([])
        with pytest.raises(AttributeError):
            selector().noneAllowed = True

    def test_the_first_segment_is_chosen_and_the_last_id_is_kept(self):
        """populateSegmentCombobox returns early without segments: CurrentSegmentID stays as it was."""
        widget, got = slicer.qMRMLSegmentSelectorWidget(), []
        widget.connect("currentSegmentChanged(QString)", got.append)
        widget.setMRMLScene(slicer.mrmlScene)
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        widget.setCurrentNode(node)
        assert widget.currentSegmentID() == ""
        first = node.GetSegmentation().AddEmptySegment("a", "first")
        node.GetSegmentation().AddEmptySegment("b", "second")
        assert widget.currentSegmentID() == first
        widget.setCurrentSegmentID("b")
        node.GetSegmentation().RemoveSegment("a")
        assert got == ["a", "b"]
        node.GetSegmentation().RemoveSegment("b")
        assert widget.currentSegmentID() == "b"

    def test_an_empty_path_is_not_reported(self):
        """ctkPathLineEdit::updateHasValidInput emits currentPathChanged for text that its validator accepts."""
        import ctk

        path, got = ctk.ctkPathLineEdit(), []
        path.connect("currentPathChanged(QString)", got.append)
        path.connect("validInputChanged(bool)", got.append)
        path.currentPath = ""
        path.currentPath = "/a"
        path.currentPath = "/b"
        path.currentPath = ""
        assert got == ["/a", True, "/b", False]


@pytest.fixture
def editor():
    """A Segment Editor on an empty segment of a CT's grid."""
    import qSlicerSegmentationsModuleWidgetsPythonQt

    editor = qSlicerSegmentationsModuleWidgetsPythonQt.qMRMLSegmentEditorWidget()
    editor.setMRMLSegmentEditorNode(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))
    editor.setMRMLScene(slicer.mrmlScene)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume())
    segmentation.GetSegmentation().AddEmptySegment("tumour")
    editor.setSegmentationNode(segmentation)
    yield editor
    editor.uninstallKeyboardShortcuts()


class TestSegmentEditor:
    def test_it_edits_its_parameter_node(self, editor):
        node = editor.mrmlSegmentEditorNode()
        assert node.GetSegmentationNode() is editor.segmentationNode()
        assert editor.sourceVolumeNode().GetName() == "CT"
        assert editor.currentSegmentID() == "tumour"
        editor.setActiveEffectByName("Paint")
        editor.installKeyboardShortcuts()
        assert harness.editor_state(editor) == {"shortcuts": True, "views": False, "effect": "Paint"}

    def test_effects_are_slicers_and_no_others(self, editor):
        editor.setEffectNameOrder(["Paint", "No such effect", "Erase"])
        editor.unorderedEffectsVisible = False
        assert [effect and effect.name for effect in map(editor.effectByIndex, range(4))] == [
            None, "Paint", "Erase", None,
        ]  # fmt: skip
        editor.setActiveEffectByName("No such effect")
        assert editor.activeEffect() is None

    def test_undo_is_slicers_own(self, editor):
        content = editor.segmentationNode().GetSegmentation()
        editor.undo()
        editor.saveStateForUndo()
        content.GetSegment("tumour").SetName("changed")
        content.AddEmptySegment("second")
        editor.undo()
        assert content.GetSegmentIDs() == ("tumour",)
        editor.redo()
        assert content.GetSegmentIDs() == ("tumour", "second")

    def test_it_takes_the_keys_of_the_main_window(self, editor):
        """Those of installKeyboardShortcuts: digits, Space, Esc, Z, Y, I, and eight for the segments."""
        with harness.main_window():
            editor.installKeyboardShortcuts()
            keys = {key.key().toString() for key in editor._object._shortcuts}
            assert {"1", "0", "Shift+9", "Space", "Esc", "Z", "Ctrl+Z", "Y", "I", "Q", "W", "/", ">"} <= keys
            assert len(keys) == 35
            editor.uninstallKeyboardShortcuts()
            assert editor._object._shortcuts == []

    def test_it_is_as_high_as_the_original(self, editor):
        """Eight rows of effects beside the table of segments, and the row of buttons above."""
        assert harness.unwrap(editor).sizeHint().height() > 300


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@pytest.fixture
def parameters():
    @slicer.parameterNodeWrapper.parameterNodeWrapper
    class Parameters:
        volume: slicer.vtkMRMLScalarVolumeNode
        segment: str = ""
        width: Annotated[float, slicer.parameterNodeWrapper.WithinRange(1, 10)] = 3.0
        count: int = 2
        on: bool = True
        colour: Colour = Colour.BLUE
        path: pathlib.Path

    return Parameters(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))


class TestParameterNode:
    def test_defaults_are_written_at_once_as_serializers_write_them(self, parameters):
        node = parameters.parameterNode
        stored = {name: node.GetParameter(name) for name in node.GetParameterNames()}
        expected = {
            "volume": "",
            "segment": "",
            "width": "3.0",
            "count": "2",
            "on": "True",
            "colour": "BLUE",
            "path": ".",
        }
        assert stored == expected
        assert parameters.volume is None
        assert parameters.path == pathlib.Path()

    def test_what_is_in_the_node_is_kept(self, parameters):
        node = parameters.parameterNode
        node.SetParameter("width", "7.5")
        assert type(parameters)(node).width == 7.5

    def test_a_node_is_a_reference_and_goes_with_the_node(self, parameters):
        ct = volume()
        parameters.volume = ct
        assert parameters.parameterNode.GetNodeReferenceID("volume") == ct.GetID()
        assert parameters.volume is ct
        slicer.mrmlScene.RemoveNode(ct)
        assert parameters.volume is None

    @pytest.mark.parametrize(
        ("name", "value", "error"),
        [
            ("width", 11, ValueError),
            ("width", None, ValueError),
            ("count", 2.5, TypeError),
            ("on", "yes", TypeError),
            ("segment", 3, TypeError),
            ("path", "/tmp", TypeError),
        ],
    )
    def test_a_bad_value_is_refused_and_nothing_changes(self, parameters, name, value, error):
        before = getattr(parameters, name)
        with pytest.raises(error):
            setattr(parameters, name, value)
        assert getattr(parameters, name) == before

    def test_both_ways_to_a_widget_and_its_range(self, parameters):
        import ctk
        import qt

        box, slider, path = qt.QCheckBox(), ctk.ctkSliderWidget(), ctk.ctkPathLineEdit()
        tag = parameters.connectParametersToGui({"on": box, "width": slider, "path": path})
        assert (box.checked, slider.value, slider.minimum, slider.maximum) == (True, 3.0, 1.0, 10.0)
        box.click()
        slider.value = 4.5
        path.currentPath = "/data"
        assert (parameters.on, parameters.width, parameters.path) == (False, 4.5, pathlib.Path("/data"))
        parameters.width = 6.0
        assert slider.value == 6.0
        parameters.disconnectGui(tag)
        slider.value = 2.0
        parameters.on = True
        assert (parameters.width, box.checked) == (6.0, False)

    def test_widgets_are_found_by_their_dynamic_property(self, parameters):
        import qt

        panel = qt.QWidget()
        box = qt.QCheckBox(panel)
        box.setProperty("SlicerParameterName", "on")
        parameters.connectGui(panel)
        box.checked = False
        assert parameters.on is False

    def test_what_cannot_be_bound(self, parameters):
        import ctk
        import qt

        with pytest.raises(RuntimeError, match="Unable to create GUI connector"):
            parameters.connectParametersToGui({"segment": slicer.qMRMLSegmentSelectorWidget()})
        with pytest.raises(RuntimeError, match="unbounded"):
            parameters.connectParametersToGui({"count": ctk.ctkSliderWidget()})
        with pytest.raises(ValueError, match="Cannot find a param"):
            parameters.connectParametersToGui({"nothing": qt.QLabel()})

    def test_what_cannot_be_declared(self):
        from slicer.parameterNodeWrapper import parameterNodeWrapper

        with pytest.raises(TypeError):
            parameterNodeWrapper(type("Wrong", (), {"__annotations__": {"a": complex}}))
        with pytest.raises(ValueError, match="reserved"):
            parameterNodeWrapper(type("Reserved", (), {"__annotations__": {}, "connectGui": 1}))

    def test_one_event_for_one_change(self, parameters):
        import vtk

        events = []
        parameters.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: events.append(parameters.segment))
        parameters.segment = "s"
        parameters.segment = "s"
        parameters.volume = volume()
        assert events == ["s", "s"]


class TestModule:
    def test_life_of_a_module(self, small, tmp_path):
        calls = sys.modules["Small"].CALLS
        assert calls == ["started", "setup"]
        assert slicer.modules.small.title == small.module.parent.title == "A small module"
        assert slicer.modules.SmallWidget is small.widget
        assert slicer.util.getModuleLogic("Small") is small.widget.logic
        small.enter()
        slicer.mrmlScene.Clear(0)
        small.exit()
        assert calls[2:] == ["enter", "closed True", "exit"]
        small.close()
        assert calls[-1] == "cleanup"
        assert not hasattr(slicer.modules, "small")
        slicer.mrmlScene.Clear(0)
        assert calls[-1] == "cleanup"

    def test_a_forgotten_connection_is_an_empty_selector(self, small):
        ct = volume()
        assert small.widget.ui.first.currentNode() is ct
        assert not small.widget.ui.forgotten.enabled

    def test_a_misspelt_connection_raises(self, tmp_path):
        path = small_module(tmp_path, UI.replace("setMRMLScene(", "setMrmlScene("))
        with pytest.raises(RuntimeError, match="No such"):
            slicer.util.loadUI(str(path.parent / "Resources/UI/Small.ui"))

    def test_a_widget_nobody_stands_in_for_raises(self, tmp_path):
        path = small_module(tmp_path, UI.replace("qMRMLNodeComboBox", "qMRMLTreeView"))
        with pytest.raises(NotImplementedError, match="qMRMLTreeView"):
            slicer.util.loadUI(str(path.parent / "Resources/UI/Small.ui"))

    def test_reload_makes_a_new_panel_and_cleans_the_old(self, small):
        old = small.widget
        old_calls = sys.modules["Small"].CALLS
        small.reload()
        assert small.widget is not old
        assert old_calls[-1] == "cleanup"
        assert sys.modules["Small"].CALLS == ["setup"]
        assert type(small.widget).__module__ == "Small"

    def test_a_reload_leaves_no_second_copy_to_the_other_tests(self):
        library, errors = (importlib.import_module(name) for name in ("DeepRadScoreLib", "DeepRadScoreLib.errors"))
        with harness.reloads_undone():
            loaded = harness.load_module()
            loaded.reload()
            assert importlib.import_module("DeepRadScoreLib.errors") is not errors
            loaded.close()
        assert importlib.import_module("DeepRadScoreLib") is library
        assert importlib.import_module("DeepRadScoreLib.errors") is errors

    def test_its_tests_are_run_by_name(self, small):
        slicer.selfTests["Small"]()
        assert sys.modules["Small"].CALLS[-2:] == ["setUp", "test_one"]
        del sys.modules["Small"].SmallTest
        with pytest.raises(AssertionError, match="Test case class not found"):
            slicer.selfTests["Small"]()

    def test_parameter_node_is_a_singleton_that_survives_a_closed_scene(self, small):
        logic = small.widget.logic
        node = logic.getParameterNode()
        assert logic.getParameterNode() is node
        assert node.GetAttribute("ModuleName") == "Small"
        slicer.mrmlScene.Clear(0)
        assert logic.getParameterNode().GetAttribute("ModuleName") == "Small"
        assert len(logic.getAllParameterNodes()) == 1

    def test_the_main_windows_selector_enters_and_leaves(self, small):
        with pytest.raises(RuntimeError, match="main window"):
            slicer.util.selectModule("Small")
        with harness.main_window():
            slicer.util.selectModule("Small")
            assert small.panel.isEntered
            slicer.util.selectModule("Volumes")
            assert not small.panel.isEntered

    def test_a_dependency_must_be_loaded(self, tmp_path):
        path = small_module(tmp_path)
        path.write_text(MODULE.replace('["Volumes"]', '["NotThere"]'))
        with pytest.raises(ImportError, match="NotThere"):
            harness.load_module(path)


class TestApplication:
    def test_dialogs_must_be_expected(self):
        import qt

        with harness.answering("sure", False):
            assert slicer.util.confirmOkCancelDisplay("are you sure?") is False
        with harness.answering("sure", True):
            assert slicer.util.confirmYesNoDisplay("are you sure?") is True
        with harness.answering("a folder", "/data"):
            assert qt.QFileDialog.getExistingDirectory(None, "a folder") == "/data"
        with pytest.raises(harness.UnexpectedDialog):
            slicer.util.confirmOkCancelDisplay("and now?")
        assert "and now?" in harness.slot_errors.pop()
        with pytest.raises(AssertionError, match="no dialog matched"), harness.answering("never"):
            pass

    def test_a_message_needs_a_main_window(self):
        """`mainWindowNeeded` in slicer.util: without one the message is logged only."""
        slicer.util.errorDisplay("only logged")
        with harness.main_window(), harness.answering("shown", None):
            slicer.util.errorDisplay("shown")

    def test_batch_has_no_views_and_no_dialogs(self):
        with harness.batch():
            assert slicer.app.layoutManager() is None
            assert slicer.util.mainWindow() is None
            with pytest.raises(harness.UnexpectedDialog), harness.answering("sure"):
                slicer.util.confirmOkCancelDisplay("sure?")
            slicer.util.exit(2)
        harness.slot_errors.clear()
        harness.dialogs.clear()
        assert harness.exit_status() == 2

    def test_slice_views_are_real(self):
        ct = volume()
        slicer.util.setSliceViewerLayers(background=ct, foreground=ct, foregroundOpacity=0.25, fit=True)
        views = slicer.app.layoutManager().sliceViewNames()
        assert views == ("Red", "Yellow", "Green")
        for name in views:
            composite = slicer.app.layoutManager().sliceWidget(name).mrmlSliceCompositeNode()
            assert composite.GetForegroundVolumeID() == ct.GetID()
            assert composite.GetForegroundOpacity() == 0.25

    def test_closing_a_scene_leaves_what_the_application_made(self):
        before = slicer.mrmlScene.GetNumberOfNodes()
        volume()
        slicer.mrmlScene.Clear(0)
        assert slicer.mrmlScene.GetNumberOfNodes() == before

    def test_items_come_and_go_with_nodes(self):
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "study")
        ct = volume()
        item = hierarchy.GetItemByDataNode(ct)
        assert hierarchy.GetItemParent(item) == hierarchy.GetSceneItemID()
        hierarchy.SetItemParent(item, study)
        slicer.mrmlScene.RemoveNode(ct)
        assert hierarchy.GetItemByDataNode(ct) == 0
        assert hierarchy.GetNumberOfItems() == 1

    @pytest.mark.parametrize("ending", ["scene.mrb", "scene.mrml"])
    def test_a_scene_is_saved_and_read(self, tmp_path, ending):
        text = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", "note")
        text.SetText("kept")
        text.SetForceCreateStorageNode(False)
        assert slicer.util.saveScene(str(tmp_path / ending), {})
        slicer.mrmlScene.Clear(0)
        slicer.util.loadScene(str(tmp_path / ending), {})
        again = slicer.util.getNode("note")
        assert again.GetText() == "kept"
        assert slicer.mrmlScene.GetSubjectHierarchyNode().GetItemByDataNode(again) > 0

    def test_files_in_and_out(self, tmp_path):
        path = tmp_path / "a.nrrd"
        assert slicer.util.saveNode(volume(), str(path), {})
        again = slicer.util.loadVolume(path, {"name": "again", "show": False})
        assert again.GetName() == "again"
        labels = slicer.util.loadSegmentation(path, {"name": "mask"})
        assert labels.IsA("vtkMRMLSegmentationNode")
        with pytest.raises(RuntimeError):
            slicer.util.loadVolume(tmp_path / "missing.nrrd", {})

    def test_packages_are_there_or_not(self):
        for name in ("PyTorchUtils", "slicer.packaging"):
            with pytest.raises(ImportError):
                importlib.import_module(name)
        with harness.packages(pytorch=True, packaging=True, installs_torch=False, torch_installed=False) as installs:
            logic = importlib.import_module("PyTorchUtils").PyTorchUtilsLogic()
            assert logic.installTorch(torchVersionRequirement=">=2.1") is None
            slicer.packaging.pip_install("x", requester="me")
            with pytest.raises(TypeError):
                slicer.packaging.pip_install("x", upgrade=True)
        assert not hasattr(slicer, "packaging")
        slicer.util.pip_install("y")
        assert [(name, what) for name, what, _ in installs] == [
            ("installTorch", "torch"),
            ("slicer.packaging.pip_install", "x"),
            ("slicer.util.pip_install", "y"),
        ]

    def test_unknown_names_of_the_application(self):
        with pytest.raises(AttributeError):
            slicer.app.slicerVersion  # noqa: B018
        with pytest.raises(AttributeError):
            slicer.app.layoutManager().redSliceWidget()
        with pytest.raises(AttributeError):
            slicer.modules.segmenteditor  # noqa: B018

    def test_a_ct_series_from_the_database(self, tmp_path):
        from DICOMLib import DICOMUtils

        from support import dicom_phantoms

        dicom_phantoms.save(dicom_phantoms.ct_series(dicom_phantoms.chest()), tmp_path, seed=1)
        with DICOMUtils.TemporaryDICOMDatabase() as database:
            DICOMUtils.importDicom(str(tmp_path), database)
            (uid,) = DICOMUtils.allSeriesUIDsInDatabase(database)
            (node_id,) = DICOMUtils.loadSeriesByUID([uid])
        node = slicer.mrmlScene.GetNodeByID(node_id)
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        study = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node))
        assert hierarchy.GetItemLevel(study) == "Study"
        assert hierarchy.GetItemLevel(hierarchy.GetItemParent(study)) == "Patient"
        assert len(node.GetAttribute("DICOM.instanceUIDs").split()) == node.GetImageData().GetDimensions()[2]


def test_stand_ins_are_called_as_slicers_own_functions():
    """Names and defaults of the arguments, as the sources declare them."""
    from slicer_harness.dicom import DICOM_UTILS

    rows = slicer_sources.read(slicer_sources.LIST)
    lines = {row["name"]: row["line"] for row in rows if row["line"].startswith("def ")}
    compared = 0
    for name, function in DICOM_UTILS.items():
        line = lines.get(f"DICOMUtils.{name}")
        if line is not None:
            declared = ast.parse(f"{line} pass").body[0].args
            taken = inspect.signature(function).parameters.values()
            assert [arg.arg for arg in declared.args] == [arg.name for arg in taken]
            defaults = [arg.default for arg in taken if arg.default is not inspect.Parameter.empty]
            assert [ast.literal_eval(value) for value in declared.defaults] == defaults
            compared += 1
    assert compared == 4
