"""The section "Packages": what is missing, and what an old package hinders."""

from __future__ import annotations


def test_missing_packages_are_named_with_a_button(slicer_app, monkeypatch):
    import slicer_harness as harness
    from DeepRadScoreSlicer import requirements

    monkeypatch.setattr(
        requirements, "missing", lambda: [requirements.Missing("torch", "deep features", "PyTorch extension")]
    )
    module = harness.load_module()
    ui = module.widget.ui
    assert "torch" in ui.packagesLabel.text
    assert not ui.packagesSection.collapsed
    assert not ui.installButton.isHidden()
    assert not ui.analyzeButton.enabled
    assert "Packages" in ui.analyzeButton.toolTip
    module.close()


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
