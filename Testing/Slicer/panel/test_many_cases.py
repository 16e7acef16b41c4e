"""Two hundred cases in a row: no node, no observer and no memory is left behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from support.panel_tools import settle
from support.scene_tools import ball_case, count_items, count_nodes

CASES = 200


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_memory_and_scene_are_flat(slicer_app, tmp_path, monkeypatch):
    import slicer_harness as harness
    from DeepRadScoreSlicer.panel import watching

    monkeypatch.setattr(watching, "PAUSE_MS", 1)
    module = harness.load_module()
    module.enter()
    panel = module.widget
    ct, tumour = ball_case()
    sitk.WriteImage(ct, str(tmp_path / "ct.nrrd"))
    sitk.WriteImage(tumour, str(tmp_path / "mask.nrrd"))
    table = tmp_path / "cases.csv"
    table.write_text("case_id,ct,mask\n" + "".join(f"c{number},ct.nrrd,mask.nrrd\n" for number in range(CASES)))
    panel.ui.listPathEdit.currentPath = str(table)
    panel.ui.openListButton.click()
    before = count_nodes(), count_items()
    megabytes = []
    for number in range(CASES):
        panel.cases.view.next()
        settle(panel)
        assert panel.review.case_id == f"c{number}"
        megabytes.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6)
    panel.ui.closeCaseButton.click()
    harness.process_events(10)
    assert (count_nodes(), count_items()) == before
    assert np.mean(megabytes[-50:]) < 1.05 * np.mean(megabytes[:50])
    assert megabytes[-1] - megabytes[50] < 20, "MB over 150 cases: a CT of this case has 0.14"
    module.close()
