"""A message stands where the press was made, and any other one replaces it."""

from __future__ import annotations

import pytest

from support.panel_tools import open_list, settle

PLACES = ("reviewMessageLabel", "analysisMessageLabel", "profileMessageLabel", "exportMessageLabel")


def shown(panel):
    labels = {name: getattr(panel.ui, name) for name in ("messageLabel", "packagesMessageLabel", *PLACES)}
    return {name: label.text for name, label in labels.items() if not label.isHidden()}


def test_each_section_has_its_own_message(panel, ball, quick_analysis):
    ui = panel.ui
    ui.analyzeButton.click()
    settle(panel)
    assert shown(panel) == {}
    finding = panel.results.profile.findings["T4"]
    ui.exportButton.click()
    assert shown(panel) == {"exportMessageLabel": "Choose a folder for the results first."}
    finding.button.click()
    assert shown(panel) == {"profileMessageLabel": "There is no heat map for this finding."}
    assert ui.messageLabel.text == "There is no heat map for this finding.", "what a screen reader finds at the top"
    ui.windowBox.setCurrentIndex(3)
    panel.view._on_window(3)
    assert list(shown(panel)) == ["reviewMessageLabel"]
    ui.listPathEdit.currentPath = ""
    ui.openListButton.click()
    assert list(shown(panel)) == ["messageLabel"], "the section Cases is right below it"


@pytest.mark.parametrize(("button", "place"), [("analyzeButton", "analysis"), ("finerMapsButton", "profile")])
def test_work_that_fails_says_so_where_it_was_begun(panel, ball, quick_analysis, monkeypatch, button, place):
    from DeepRadScoreLib.errors import InputError

    panel.ui.analyzeButton.click()
    settle(panel)

    def fails(*_given):
        raise InputError("nothing works", mend="try again")
        yield

    monkeypatch.setattr(panel.logic, "analysis_steps", fails)
    getattr(panel.ui, button).click()
    settle(panel)
    assert shown(panel) == {f"{place}MessageLabel": "nothing works; try again."}


def test_a_case_that_opens_takes_the_message_away(panel, cohort):
    panel.ui.exportButton.enabled = True
    panel.results.export()
    assert list(shown(panel)) == ["exportMessageLabel"]
    open_list(panel, cohort)
    panel.cases.view.next()
    settle(panel)
    assert shown(panel) == {}
