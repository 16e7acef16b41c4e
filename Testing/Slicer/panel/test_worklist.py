"""The panel of the case list: opening, keys, status, and a note that is never lost."""

import pytest

import slicer_harness as harness


@pytest.fixture
def worklist(tmp_path, slicer_app):
    from DeepRadScoreSlicer.cases.worklist import Worklist

    rows = "".join(f"{name},{name}.nrrd\n" for name in "abc")
    for name in "abc":
        (tmp_path / f"{name}.nrrd").write_bytes(b"NRRD0004\n")
    (tmp_path / "cases.csv").write_text(f"case_id,ct\n{rows}")
    return Worklist.from_cohort(tmp_path / "cases.csv")


class Shown:
    """A panel in a window, and what it asked to be opened."""

    def __init__(self):
        import qt

        from DeepRadScoreSlicer.panel.worklist import WorklistView

        self.opened, self.answer = [], True
        self.window = qt.QWidget()
        self.frame = qt.QFrame(self.window)
        outer = qt.QVBoxLayout(self.window)
        outer.addWidget(self.frame)
        self.panel = WorklistView(qt.QVBoxLayout(self.frame), self.open)
        self.window.show()
        harness.process_events(0)

    def open(self, case, then):
        self.opened.append(case.case_id)
        if self.answer:
            then()

    def row(self, number):
        return [self.panel.table.widget.item(number, column).text() for column in range(3)]

    def texts(self):
        return [self.row(number)[1] for number in range(self.panel.table.widget.rowCount)]


@pytest.fixture
def shown(worklist):
    shown = Shown()
    shown.panel.set_list(worklist)
    yield shown
    shown.window.close()
    shown.window.deleteLater()


def press(widget, key, control=False):
    """A key as from the keyboard, through Qt's shortcuts."""
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    from slicer_harness.pythonqt import unwrap

    QTest.keyClick(unwrap(widget), key, Qt.ControlModifier if control else Qt.NoModifier)
    harness.process_events(0)


def test_a_list_is_shown_and_nothing_is_opened(shown):
    assert shown.texts() == ["○ not started"] * 3
    assert shown.opened == []
    assert shown.panel.current is None
    assert (shown.panel.next_button.enabled, shown.panel.previous_button.enabled) == (True, False)
    assert shown.panel.note.edit.enabled is False
    assert "a.nrrd" in shown.panel.table.widget.item(0, 0).toolTip()


def test_next_and_previous(shown):
    shown.panel.previous()
    assert shown.opened == []
    for _ in range(5):
        shown.panel.next()
    assert shown.opened == ["a", "b", "c"]
    assert (shown.panel.next_button.enabled, shown.panel.previous_button.enabled) == (False, True)
    shown.panel.previous_button.click()
    assert shown.panel.current.case_id == "b"
    assert shown.texts() == ["◐ in progress"] * 3
    assert shown.panel.table.widget.currentRow() == 1


def test_a_refusal_leaves_everything_as_it_was(shown, worklist):
    from DeepRadScoreSlicer.cases.worklist import Status

    shown.panel.next()
    shown.answer = False
    shown.panel.next()
    assert shown.opened == ["a", "b"]
    assert shown.panel.current.case_id == "a"
    assert shown.panel.table.widget.currentRow() == 0
    assert worklist.status("b") is Status.NOT_STARTED
    harness.pythonqt.emit(shown.panel.table.widget, "cellDoubleClicked(int,int)", 2, 0)
    assert shown.opened[-1] == "c"
    assert shown.panel.table.widget.currentRow() == 0


def test_double_click_and_enter_open(shown):
    from PySide6.QtCore import Qt

    harness.pythonqt.emit(shown.panel.table.widget, "cellDoubleClicked(int,int)", 2, 1)
    assert shown.panel.current.case_id == "c"
    shown.panel.table.widget.setFocus()
    shown.panel.table.widget.setCurrentCell(0, 0)
    press(shown.panel.table.widget, Qt.Key_Return)
    assert shown.panel.current.case_id == "a"
    shown.panel.table.widget.setCurrentCell(1, 0)
    press(shown.panel.table.widget, Qt.Key_Enter)
    assert shown.opened == ["c", "a", "b"]
    press(shown.panel.table.widget, Qt.Key_Enter)
    assert shown.opened == ["c", "a", "b"]


def test_keys_work_everywhere_in_the_panel_also_while_a_note_is_written(shown):
    from PySide6.QtCore import Qt

    press(shown.window, Qt.Key_PageDown, control=True)
    assert shown.panel.current.case_id == "a"
    shown.panel.note.edit.setFocus()
    press(shown.panel.note.edit, Qt.Key_PageDown, control=True)
    assert shown.panel.current.case_id == "b"
    press(shown.panel.note.edit, Qt.Key_PageUp, control=True)
    assert shown.panel.current.case_id == "a"
    shown.frame.visible = False
    press(shown.window, Qt.Key_PageDown, control=True)
    assert shown.panel.current.case_id == "b"


def test_tab_leaves_the_table_and_the_note(shown):
    assert shown.panel.table.widget.tabKeyNavigation is False
    assert shown.panel.note.edit.tabChangesFocus is True


def test_status_by_button_is_kept(shown, worklist):
    from DeepRadScoreSlicer.cases.worklist import Status, Worklist

    shown.panel.next()
    assert shown.panel.status_buttons[Status.IN_PROGRESS].checked
    for status in (Status.REVIEWED, Status.FLAGGED, Status.NOT_STARTED, Status.REVIEWED):
        shown.panel.status_buttons[status].click()
        assert worklist.status("a") is status
        assert [s for s, button in shown.panel.status_buttons.items() if button.checked] == [status]
    assert shown.texts() == ["✔ reviewed", "○ not started", "○ not started"]
    shown.panel.status_buttons[Status.REVIEWED].click()
    assert shown.panel.status_buttons[Status.REVIEWED].checked
    assert Worklist.from_cohort(worklist.cases[0].ct.with_name("cases.csv")).status("a") is Status.REVIEWED
    shown.panel.previous()
    shown.panel.next()
    shown.panel.previous()
    assert worklist.status("a") is Status.REVIEWED


def test_symbols_and_words_tell_the_status_without_colour(shown):
    from DeepRadScoreSlicer.panel.case_table import SYMBOLS

    assert len(set(SYMBOLS.values())) == len(SYMBOLS) == 4
    texts = [button.text for button in shown.panel.status_buttons.values()]
    assert texts == ["○ not started", "◐ in progress", "✔ reviewed", "⚑ flagged"]


def test_a_note_is_saved_after_a_pause(shown, worklist, monkeypatch):
    from DeepRadScoreSlicer.panel import worklist as view

    monkeypatch.setattr(view, "PAUSE_MS", 20)
    shown.panel.next()
    shown.panel.note.edit.setPlainText("spiculated\n2 cm")
    assert worklist.note("a") == ""
    harness.process_events(200)
    assert worklist.note("a") == "spiculated\n2 cm"
    assert shown.row(0)[2] == "spiculated 2 cm"


def test_a_note_is_saved_when_the_case_is_left(shown, worklist):
    shown.panel.next()
    shown.panel.note.edit.setPlainText("mine")
    shown.panel.next()
    assert worklist.note("a") == "mine"
    assert shown.panel.note.edit.plainText == ""
    assert worklist.note("b") == ""
    shown.panel.previous()
    assert shown.panel.note.edit.plainText == "mine"
    shown.panel.note.edit.setPlainText("mine 2")
    shown.panel.close_case()
    assert worklist.note("a") == "mine 2"
    assert (shown.panel.current, shown.panel.note.edit.plainText) == (None, "")


def test_a_note_that_cannot_be_saved_stays_where_it_is(shown, worklist, monkeypatch):
    from DeepRadScoreLib.errors import OutputError

    def full(case_id, note):
        if note != worklist.note(case_id):
            raise OutputError("the reader's notes cannot be saved (No space left on device)", where="cases.review.json")

    shown.panel.next()
    monkeypatch.setattr(worklist, "set_note", full)
    shown.panel.note.edit.setPlainText("important")
    shown.panel.next()
    assert shown.panel.current.case_id == "a"
    assert shown.opened == ["a"]
    assert shown.panel.note.edit.plainText == "important"
    assert shown.panel.message_label.visible
    assert "No space left on device" in shown.panel.message_label.text
    shown.panel.set_list(worklist)
    assert shown.panel.note.edit.plainText == "important"
    monkeypatch.undo()
    shown.panel.next()
    assert (worklist.note("a"), shown.panel.current.case_id) == ("important", "b")
    assert not shown.panel.message_label.visible


def test_a_list_in_a_read_only_folder_can_be_read(shown, worklist, monkeypatch):
    from DeepRadScoreLib.errors import OutputError

    def read_only(*_, **__):
        raise OutputError("the reader's notes cannot be saved (Permission denied)", where="cases.review.json")

    monkeypatch.setattr(worklist._review, "put", read_only)
    shown.panel.next()
    assert "Permission denied" in shown.panel.message_label.text
    shown.panel.next()
    assert shown.opened == ["a", "b"]


def test_remarks_are_shown_as_text(shown, tmp_path):
    from DeepRadScoreSlicer.cases.worklist import Worklist

    folder = tmp_path / "many"
    folder.mkdir()
    (folder / "x.nrrd").write_bytes(b"NRRD0004\n")
    for number in range(8):
        (folder / f"<b>{number}_mask.nrrd").write_bytes(b"NRRD0004\n")
    shown.panel.set_list(Worklist.from_folder(folder))
    lines = shown.panel.message_label.text.splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("many/<b>0_mask.nrrd: no CT belongs")
    assert lines[-1] == "and 3 more remarks."


def test_a_shorter_list_replaces_a_longer_one(shown, tmp_path):
    from DeepRadScoreSlicer.cases.worklist import Worklist

    shown.panel.next()
    shown.panel.next()
    (tmp_path / "short.csv").write_text("case_id,ct\nz,a.nrrd\n")
    shown.panel.set_list(Worklist.from_cohort(tmp_path / "short.csv"))
    assert shown.panel.table.widget.rowCount == 1
    assert shown.panel.current is None
    shown.panel.next()
    assert shown.opened[-1] == "z"


def test_no_exception_was_left_in_a_slot(shown):
    for _ in range(3):
        shown.panel.next_button.click()
    assert harness.pythonqt.slot_errors == []


def visible(shown):
    table = shown.panel.table.widget
    return [row for row in range(table.rowCount) if not table.isRowHidden(row)]


def test_the_list_can_be_filtered_by_status(shown, worklist):
    """Next and previous keep to what is listed; the open case is listed whatever its status."""
    from DeepRadScoreSlicer.cases.worklist import Status

    worklist.set_status("b", Status.REVIEWED)
    shown.panel.show_only(Status.NOT_STARTED)
    assert visible(shown) == [0, 2]
    shown.panel.next()
    assert visible(shown) == [0, 2]  # "a" is in progress now, and open
    shown.panel.next()
    assert (shown.opened, visible(shown)) == (["a", "c"], [2])
    assert not shown.panel.next_button.enabled
    shown.panel.show_only(Status.FLAGGED)
    assert visible(shown) == [2]
    shown.panel.show_only(None)
    assert visible(shown) == [0, 1, 2]
    shown.panel.show_only(Status.REVIEWED)
    shown.panel.set_list(worklist)
    assert visible(shown) == [0, 1, 2]
