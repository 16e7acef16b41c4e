"""The section "Packages": what is missing, and what an old package hinders."""

from __future__ import annotations

import sys

from support.panel_tools import settle


def test_missing_packages_are_named_with_a_button(slicer_app, monkeypatch):
    import slicer_harness as harness
    from DeepRadScoreSlicer import requirements

    monkeypatch.setattr(requirements, "missing", lambda: [requirements.Missing("pandas>=2.2", "tables", "pip")])
    module = harness.load_module()
    ui = module.widget.ui
    assert "pandas" in ui.packagesLabel.text
    assert not ui.packagesSection.collapsed
    assert not ui.installButton.isHidden()
    assert not ui.analyzeButton.enabled
    assert "Packages" in ui.analyzeButton.toolTip
    module.close()


def test_without_torch_a_case_is_analysed_without_a_model(panel, ball, quick_analysis, monkeypatch, tmp_path):
    """As in Slicer on macOS; noticed when the module is entered, since packages come and go elsewhere."""
    from DeepRadScoreSlicer import requirements

    true = requirements.installed_version
    monkeypatch.setattr(requirements, "installed_version", lambda name: None if name == "torch" else true(name))
    monkeypatch.setattr(requirements.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(requirements.platform, "machine", lambda: "x86_64")
    panel.ui.bundlePathEdit.currentPath = str(tmp_path / "model.zip")
    assert panel.ui.analyzeButton.enabled
    panel.exit()
    panel.enter()
    assert "torch>=2.3: findings of a model; PyTorch is not offered any more" in panel.ui.packagesLabel.text
    assert not panel.ui.analyzeButton.enabled and not panel.ui.sampleButton.enabled
    assert panel.ui.analysisHintLabel.text.startswith("Packages for the model are missing")
    panel.ui.bundlePathEdit.currentPath = ""
    panel.ui.analyzeButton.click()
    settle(panel)
    assert panel.review.stored is not None


def test_an_old_pydicom_is_said_and_hinders_nothing_else(slicer_app, monkeypatch):
    import slicer_harness as harness
    from DeepRadScoreSlicer import requirements

    true = requirements.installed_version
    monkeypatch.setattr(requirements, "installed_version", lambda name: "2.4.4" if name == "pydicom" else true(name))
    module = harness.load_module()
    ui = module.widget.ui
    assert ui.packagesLabel.text.startswith("pydicom 2.4.4 is too old for DICOM segmentations; 3.0 or newer is needed")
    assert ui.packagesSection.collapsed
    assert ui.installButton.isHidden()
    assert "Packages" not in ui.analyzeButton.toolTip
    assert ui.sampleButton.enabled
    module.close()


def test_the_features_are_checked_in_steps_that_can_be_cancelled(panel, monkeypatch):
    from DeepRadScoreLib.progress import Progress, Stage
    from DeepRadScoreLib.synthetic import engine_check

    ended = []

    def steps():
        try:
            yield Progress(Stage.ENGINE_CHECK, "first", 0, 100)
            assert not panel.ui.verifyButton.enabled
            yield Progress(Stage.ENGINE_CHECK, "second", 50, 100)
        finally:
            ended.append(True)
        return engine_check.EngineCheck((engine_check.ClassDifference("tumour", "glcm", 3, 2, 0.5, "MCC"),))

    monkeypatch.setattr(engine_check, "engine_check_steps", steps)
    panel.ui.verifyButton.click()
    settle(panel)
    assert panel.ui.messageLabel.text == (
        "2 of 3 features have pyradiomics' value within 1e-06; worst difference 5.0e-01 (tumour, MCC)."
    )
    assert panel.ui.verifyButton.enabled
    panel.ui.verifyButton.click()
    panel.ui.analyzeButton.click()
    settle(panel)
    assert panel.ui.stepLabel.text.startswith("Cancelled")
    assert panel.ui.messageLabel.text == ""
    assert ended == [True]


def test_a_check_without_pyradiomics_says_how_to_get_it(panel, monkeypatch):
    monkeypatch.setitem(sys.modules, "radiomics", None)
    panel.ui.verifyButton.click()
    settle(panel)
    assert panel.ui.messageLabel.text.startswith("pyradiomics cannot be imported")
    assert "install the extension SlicerRadiomics" in panel.ui.messageLabel.text
