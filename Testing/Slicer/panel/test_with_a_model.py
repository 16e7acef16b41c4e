"""An analysis with a model: read in steps, and the same decisions from the scene as from the files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support.scene_tools import load_segmentation, load_volume, segment_ids
from support.small_models import trained

KEYS = ("LVI", "EGFR", "KRAS", "PDL1")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("bundle"), 1, KEYS)


def test_the_same_decisions_from_the_scene_as_from_the_files(scene, shared, model):
    from DeepRadScoreLib.api import analyze
    from DeepRadScoreLib.bundles.bundle import read_bundle
    from DeepRadScoreLib.imaging import read_case
    from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes

    ct, mask = (shared / "data/pyradiomics" / f"lung1_{kind}.nrrd" for kind in ("image", "label"))
    segmentation, bundle = load_segmentation(mask), read_bundle(model)
    case = case_from_nodes(load_volume(ct), segmentation, segment_ids(segmentation)[0], "lung1")
    here, file = analyze(case, bundle), analyze(read_case(ct, mask, case_id="lung1"), bundle)
    np.testing.assert_allclose(list(here.features.values()), list(file.features.values()), rtol=1e-9, atol=0)
    given = 0
    for key, found in file.findings.items():
        ours = here.findings[key]
        assert (ours.decision, ours.flags, ours.threshold) == (found.decision, found.flags, found.threshold)
        assert (ours.probability is None) == (found.probability is None)
        if found.probability is not None:
            given += 1
            assert ours.probability == pytest.approx(found.probability, abs=1e-9, rel=0)
            assert ours.spread == pytest.approx(found.spread, abs=1e-9, rel=0)
            assert ours.shap == pytest.approx(found.shap, abs=1e-9, rel=0)
    assert given >= 1
    assert here.gradcam.keys() == file.gradcam.keys() >= set(KEYS)
    for key, heat in file.gradcam.items():
        np.testing.assert_allclose(here.gradcam[key], heat, rtol=0, atol=1e-6)


def test_a_model_that_is_kept_is_read_again_for_other_keys(model, tmp_path):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from DeepRadScoreLib.errors import BundleError
    from DeepRadScoreLib.progress import run_to_end
    from DeepRadScoreSlicer.scene.analysis import LastModel

    key = Ed25519PrivateKey.generate().public_key()
    (tmp_path / "key.pem").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    last = LastModel()
    kept = run_to_end(last.steps(model))
    assert run_to_end(last.steps(model)) is kept
    with pytest.raises(BundleError, match="not signed"):
        run_to_end(last.steps(model, tmp_path / "key.pem"))


def test_the_panel_reads_the_model_in_steps_and_keeps_it(nodes, model):
    import slicer_harness as harness
    from DeepRadScoreLib.bundles.bundle import bundle_steps
    from DeepRadScoreSlicer.scene.from_nodes import Chosen

    module = harness.load_module()
    logic = module.widget.logic
    chosen = Chosen(nodes[0].GetID(), nodes[1].GetID(), nodes[2])

    def reading(count: int = 100) -> list[str]:
        """What is said of the steps that read the model, `count` of them; the analysis is left then."""
        labels = []
        for step in logic.analysis_steps(chosen, "ball", model):
            if step.fraction > 0 or len(labels) == count + 3:
                break
            labels.append(step.detail)
        assert labels[:3] == ["loading the library", "reading CT and mask from the scene", "noting what is analysed"]
        return labels[3:]

    begun = "loading the library of models"
    whole = [begun, *bundle_steps(model), "Putting the CT in order"]
    assert len(whole) > 15
    assert reading(5) == whole[:5]
    assert reading() == whole, "what was left half-way is read from its beginning"
    assert reading() == [begun, whole[-1]]
    model.touch()
    assert reading() == whole, "another file is read anew"
    module.close()


def test_additions_are_those_of_the_library(nodes, model, monkeypatch):
    import slicer_harness as harness
    from DeepRadScoreLib.analyses import occlusion
    from DeepRadScoreLib.analyses.additions import Additions
    from DeepRadScoreLib.api import analyze
    from DeepRadScoreLib.progress import run_to_end
    from DeepRadScoreSlicer.scene.from_nodes import Chosen, images_of

    monkeypatch.setattr(occlusion, "SQUARE", 80)
    monkeypatch.setattr(occlusion, "STEP", 80)
    chosen = Chosen(nodes[0].GetID(), nodes[1].GetID(), nodes[2])
    module = harness.load_module()
    logic = module.widget.logic
    stored = run_to_end(logic.analysis_steps(chosen, "ball", model, None, None, Additions(2, occlusion=True)))
    module.close()
    case = images_of(chosen.volume, chosen.segmentation, chosen.segment_id).case("ball")
    expected = analyze(case, model, mask_variants=2, occlusion=True)
    given = {key: finding for key, finding in expected.findings.items() if finding.variants is not None}
    assert given and stored.finer and stored.mask_variants == 2
    for key, finding in given.items():
        assert stored.document["endpoints"][key]["variants"]["low"] == pytest.approx(finding.variants.low)
