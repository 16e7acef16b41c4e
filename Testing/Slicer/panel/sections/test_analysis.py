"""The section "Analysis": run, cancelled, and overtaken by a change of the scene or of what is chosen."""

from __future__ import annotations

import json
import subprocess
import zipfile

import numpy as np

from support.panel_tools import draw, ours, settle
from support.scene_tools import PATIENT, count_items, count_nodes


def test_analysis_without_a_model_and_export(panel, ball, tmp_path):
    panel.ui.exportPathEdit.currentPath = str(tmp_path)
    panel.ui.analyzeButton.click()
    assert panel.ui.analyzeButton.text == "Cancel"
    assert not panel.ui.progressBar.isHidden()
    settle(panel, 120)
    assert panel.ui.analyzeButton.text == "Analyze"
    assert panel.ui.messageLabel.text == ""
    assert "regions, features and quality only" in panel.results.profile.head.text
    panel.ui.exportButton.click()
    folder = tmp_path / panel.review.case_id
    names = ["features.csv", "features.notes.csv", "profile.json", "report.html"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert json.loads((folder / "profile.json").read_text())["case_id"] == panel.review.case_id
    assert not any(PATIENT.encode() in path.read_bytes() for path in folder.iterdir())
    assert str(folder) in panel.ui.messageLabel.text


def test_cancelled_analysis_leaves_the_scene_as_it_was(panel, ball):
    import slicer_harness as harness

    before = count_nodes(), count_items()
    panel.ui.analyzeButton.click()
    harness.wait_for(lambda: "CT and mask" in panel.ui.stepLabel.text)
    panel.ui.analyzeButton.click()
    settle(panel)
    assert (count_nodes(), count_items()) == before
    assert panel.review.stored is None
    assert "Cancelled" in panel.ui.stepLabel.text
    assert panel.ui.analyzeButton.text == "Analyze" and panel.ui.analyzeButton.enabled


def test_scene_closed_during_analysis(panel, ball):
    import slicer

    import slicer_harness as harness

    panel.ui.analyzeButton.click()
    harness.wait_for(lambda: "CT and mask" in panel.ui.stepLabel.text)
    slicer.mrmlScene.Clear(0)
    harness.process_events(50)
    assert not panel.work.running
    assert ours() == []
    assert panel.review.chosen.volume_id == ""
    assert panel.ui.analyzeButton.text == "Analyze"


def test_volume_removed_during_analysis(panel, ball, quick_analysis):
    import slicer

    import slicer_harness as harness

    panel.ui.analyzeButton.click()
    harness.wait_for(lambda: panel.ui.stepLabel.text == "Second")
    slicer.mrmlScene.RemoveNode(ball[0])
    settle(panel)
    assert panel.ui.messageLabel.text.endswith(".")
    assert ours("profile_text") == []


def test_edit_during_analysis_makes_the_result_stale(panel, ball, quick_analysis):
    import slicer_harness as harness

    panel.ui.analyzeButton.click()
    harness.wait_for(lambda: panel.ui.stepLabel.text == "Second")
    draw(*ball)
    settle(panel)
    assert panel.review.stored.stale


def test_another_shell_chosen_during_analysis_makes_the_result_stale(panel, ball, quick_analysis):
    import slicer_harness as harness

    panel.ui.analyzeButton.click()
    harness.wait_for(lambda: panel.ui.stepLabel.text == "Second")
    panel.ui.shellSpinBox.value = 5
    settle(panel)
    assert panel.review.stored.stale


def test_dropped_work_ends_at_once_and_is_never_used(panel):
    import slicer_harness as harness
    from DeepRadScoreLib.progress import Progress, Stage

    seen = []

    def steps():
        try:
            for number in range(5):
                seen.append(number)
                yield Progress(Stage.ANALYSING, "step", number, 5)
        finally:
            seen.append("closed")

    panel.work.start(steps(), seen.append)
    harness.wait_for(lambda: 1 in seen)
    panel.work.drop()
    assert seen[-1] == "closed"
    done = len(seen)
    harness.process_events(30)
    assert len(seen) == done
    assert not panel.work.running


def test_damaged_model_is_one_sentence(panel, ball, tmp_path):
    path = tmp_path / "model.zip"
    path.write_bytes(b"no zip")
    panel.ui.bundlePathEdit.currentPath = str(path)
    assert "not a model" in panel.ui.modelLabel.text
    panel.ui.analyzeButton.click()
    settle(panel, 60)
    assert "not a whole bundle" in panel.ui.messageLabel.text
    assert ours("profile_text") == []


def test_a_model_that_no_trusted_key_signed_is_refused(panel, ball, tmp_path):
    import qt

    path, private, public = (tmp_path / name for name in ("model.zip", "key.pem", "public.pem"))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", "{}")
    for call in (
        ("genpkey", "-algorithm", "ed25519", "-out", private),
        ("pkey", "-in", private, "-pubout", "-out", public),
    ):
        subprocess.run(["openssl", *map(str, call)], check=True, capture_output=True)
    panel.ui.bundlePathEdit.currentPath = str(path)
    panel.ui.trustedKeysPathEdit.currentPath = str(public)
    assert qt.QSettings().value("DeepRadScore/trustedKeysPathEdit") == str(public)
    panel.ui.analyzeButton.click()
    settle(panel, 60)
    assert "the bundle is not signed; get a signed one" in panel.ui.messageLabel.text
    assert ours("profile_text") == []
    panel.ui.trustedKeysPathEdit.currentPath = ""
    assert not qt.QSettings().value("DeepRadScore/trustedKeysPathEdit")


def test_an_emptied_model_is_no_model(panel, tmp_path):
    """The field says nothing of an empty path: the sentence, the shell and the setting must not stay the model's."""
    import qt

    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        manifest = {"shell_mm": 5.0, "label": None, "name": "trial", "protocol": "strict"}
        archive.writestr("manifest.json", json.dumps(manifest))
    panel.ui.bundlePathEdit.currentPath = str(path)
    assert "shell 5 mm" in panel.ui.modelLabel.text and not panel.ui.shellSpinBox.enabled
    panel.ui.bundlePathEdit.currentPath = ""
    assert panel.ui.modelLabel.text == "" and panel.ui.shellSpinBox.enabled
    assert not qt.QSettings().value("DeepRadScore/bundlePathEdit")


def test_what_takes_longer_is_made_on_demand_and_kept(panel, ball, quick_analysis):
    import slicer

    extras = panel.ui.outlineButton, panel.ui.finerMapsButton
    assert all(button.isHidden() for button in extras)
    panel.ui.analyzeButton.click()
    settle(panel)
    finding = panel.results.profile.findings["EGFR"]
    assert "Over 8 masks" not in finding.numbers.text
    grad_cam = panel.review.stored.heat_map_ids["EGFR"]
    panel.ui.outlineButton.click()
    assert not panel.ui.finerMapsButton.enabled
    settle(panel)
    assert "Over 8 masks" in finding.numbers.text
    panel.ui.finerMapsButton.click()
    settle(panel)
    assert "Over 8 masks" in finding.numbers.text
    finding.button.click()
    shown = panel.results.overlay.heat_map_id
    assert shown not in (None, grad_cam)
    node = slicer.mrmlScene.GetNodeByID(shown)
    assert node.GetName().endswith("occlusion EGFR")
    values = slicer.util.arrayFromVolume(node)
    assert np.unique(values).tolist() == [0.0, 0.5]
    panel.ui.analyzeButton.click()
    settle(panel)
    assert "Over 8 masks" not in finding.numbers.text
    assert not ours("occlusion_map")


def test_with_every_finding_withheld_extras_say_that_there_is_nothing_to_add(panel, ball, quick_analysis, monkeypatch):
    """Results that are up to date say so at once; from others it is only known afterwards."""
    from dataclasses import replace

    from DeepRadScoreLib.analyses.findings import Finding
    from DeepRadScoreSlicer.scene import results

    store = results.store_steps

    def withheld(profile, *more):
        findings = {key: Finding(key, flags=("not_modelled",)) for key in profile.findings}
        return store(replace(profile, findings=findings, gradcam={}, occlusion={}), *more)

    monkeypatch.setattr(results, "store_steps", withheld)
    panel.ui.analyzeButton.click()
    settle(panel)
    for button in (panel.ui.outlineButton, panel.ui.finerMapsButton):
        button.click()
        assert not panel.work.running
        assert panel.ui.messageLabel.text == (
            "No finding has a probability: there is nothing to compare, and nothing to map."
        )
    draw(*ball)
    panel.ui.finerMapsButton.click()
    assert panel.work.running
    settle(panel)
    assert panel.ui.messageLabel.text == "There are no finer heat maps: no finding has a probability."


def test_extras_wait_for_results_of_a_model(panel, ball):
    panel.ui.analyzeButton.click()
    settle(panel, 120)
    assert panel.ui.outlineButton.isHidden() and panel.ui.finerMapsButton.isHidden()
