"""The panel's keys beside those of Slicer's main window and of the Segment Editor."""

from __future__ import annotations

from collections import Counter

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QShortcut
from PySide6.QtWidgets import QApplication

import slicer_harness as harness
from support.panel_tools import open_list, settle

FOCUS = Qt.ShortcutContext.WidgetShortcut


@pytest.fixture
def beside(slicer_app):
    """The panel inside the main window, as in Slicer, with the editor's keys installed."""
    with harness.main_window() as window:
        module = harness.load_module()
        harness.unwrap(window).setCentralWidget(harness.unwrap(module.panel))
        module.enter()
        yield module.widget
        harness.unwrap(window).takeCentralWidget()
        module.close()


def shortcuts():
    found = [child for widget in QApplication.topLevelWidgets() for child in widget.findChildren(QShortcut)]
    return [each for each in found if each.context() != FOCUS]


def test_no_key_is_taken_twice(beside):
    """A key that two have is ambiguous for Qt: it does nothing at all."""
    keys = Counter(each.key().toString() for each in shortcuts())
    assert keys["Space"] == keys["Z"] == keys["Ctrl+S"] == keys["Ctrl+PgDown"] == 1
    # Slicer's own: the editor takes over undo and redo from the main window
    assert {key for key, times in keys.items() if times > 1} <= {"Ctrl+Z", "Ctrl+Y"}


def test_every_key_is_installed_and_listed(beside):
    from DeepRadScoreSlicer.panel.keys import Key

    installed = {each.key().toString() for each in shortcuts()}
    assert {key.value for key in Key} <= installed
    assert all(key.value in beside.ui.keysLabel.text for key in Key)


def press(key):
    (one,) = [each for each in shortcuts() if each.key().toString() == key.value]
    one.activated.emit()
    harness.process_events(5)


def test_keys_do_what_the_line_says(beside, cohort, monkeypatch):
    from DeepRadScoreSlicer.cases.worklist import Status
    from DeepRadScoreSlicer.panel.keys import OF_STATUS, Key

    open_list(beside, cohort)
    press(Key.NEXT_CASE)
    settle(beside)
    for status, key in OF_STATUS.items():
        press(key)
        assert beside.cases.list.status("a") is status
    for key, case_id in ((Key.NEXT_CASE, "b"), (Key.PREVIOUS_CASE, "a")):
        press(key)
        settle(beside)
        assert beside.review.case_id == case_id
    press(Key.ANALYZE)
    assert beside.work.running
    press(Key.ANALYZE)
    settle(beside)
    assert not beside.work.running
    assert Status.FLAGGED is beside.cases.list.status("a")
