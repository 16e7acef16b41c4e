"""The panel, what is under review in it, an analysis of three steps, lists of cases, and a small disk."""

from __future__ import annotations

import subprocess

import pytest

from support.panel_tools import settle, write_cohort
from support.scene_tools import PATIENT, ball_case, made_up_profile, segment_ids

FAST_PAUSE_MS = 30


@pytest.fixture
def loaded(slicer_app, monkeypatch):
    """The module, loaded and entered."""
    import slicer_harness as harness
    from DeepRadScoreSlicer.panel import watching

    monkeypatch.setattr(watching, "PAUSE_MS", FAST_PAUSE_MS)
    module = harness.load_module()
    module.enter()
    yield module
    module.close()


@pytest.fixture
def panel(loaded):
    return loaded.widget


@pytest.fixture
def ball(panel):
    """The ball case under review: volume, segmentation, segment; quality and shell are there."""
    from DeepRadScoreSlicer.scene import voxels

    ct, tumour = ball_case()
    volume = voxels.image_to_volume(ct, PATIENT)
    segmentation = voxels.image_to_segmentation(tumour, PATIENT, "tumour", (1, 0, 0))
    segment_id = segment_ids(segmentation)[0]
    panel.choice.choose(volume, segmentation, segment_id)
    settle(panel)
    return volume, segmentation, segment_id


@pytest.fixture
def quick_analysis(panel, monkeypatch):
    """An analysis of three steps that gives a made-up profile, with the extras that are asked for."""
    from dataclasses import replace

    import numpy as np

    from DeepRadScoreLib.analyses.findings import Variants
    from DeepRadScoreLib.progress import Progress, Stage, in_stage
    from DeepRadScoreSlicer.scene import results
    from DeepRadScoreSlicer.scene.from_nodes import images_of

    def steps(chosen, case_id, _bundle, _lung_mask, _trusted, extras):
        yield Progress(Stage.ANALYSING, "first")
        images = images_of(chosen.volume, chosen.segmentation, chosen.segment_id)
        fingerprint = images.fingerprint()
        yield Progress(Stage.ANALYSING, "second", 50, 100)
        profile = made_up_profile(images.case(case_id))
        if n := extras.mask_variants:
            egfr = replace(profile.findings["EGFR"], variants=Variants(0.55, 0.75, n))
            profile = replace(profile, findings=profile.findings | {"EGFR": egfr})
        if extras.occlusion:
            change = np.full((160, 160), -0.5, np.float32)
            change[80, 80] = 0.25
            profile = replace(profile, occlusion={"EGFR": change})
        return (yield from in_stage(results.store_steps(profile, chosen, fingerprint), Stage.ANALYSING, 90, 90))

    monkeypatch.setattr(panel.logic, "analysis_steps", steps)


@pytest.fixture
def cohort(tmp_path):
    """Three cases on disk with a table."""
    return write_cohort(tmp_path)


@pytest.fixture
def disk(tmp_path):
    """A disk of 8 MB that can really be filled."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)
