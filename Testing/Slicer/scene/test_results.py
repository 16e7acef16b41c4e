"""Results in the scene: whole or not at all, saved and restored, exported to the byte, without the patient's name."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from vtk.util.numpy_support import vtk_to_numpy

from support.scene_tools import (
    PATIENT,
    ball_case,
    count_items,
    count_nodes,
    hierarchy,
    made_up_profile,
    segment_ids,
    texts_of,
    under_patient,
)

FILES = ("features.csv", "features.notes.csv", "profile.json", "report.html")


@pytest.fixture
def nodes(nodes):
    """The ball case under a patient's study; the patient's name wherever Slicer puts it."""
    volume, segmentation, segment_id = nodes
    volume.SetAttribute("DICOM.PatientName", PATIENT)
    volume.SetDescription(PATIENT)
    under_patient(volume)
    return volume, segmentation, segment_id


@pytest.fixture
def profile(nodes):
    from DeepRadScoreSlicer.scene.from_nodes import anonymous_case_id, case_from_nodes

    return made_up_profile(case_from_nodes(*nodes, anonymous_case_id(nodes[0])))


@pytest.fixture(autouse=True)
def quick_report(request, monkeypatch):
    """A page that is not drawn, but in the tests that ask for the `real_report`: drawing takes most of their time."""
    from DeepRadScoreLib.report import html

    def page(profile):
        yield "drawing"
        return f"<html>{profile.case_id}</html>\n"

    if "real_report" not in request.fixturenames:
        monkeypatch.setattr(html, "report_steps", page)


@pytest.fixture
def real_report():
    """The report is drawn in this test."""


def steps(profile, nodes):
    from DeepRadScoreSlicer.scene.from_nodes import Chosen, images_of
    from DeepRadScoreSlicer.scene.results import store_steps

    volume, segmentation, segment = nodes
    return store_steps(profile, Chosen(volume.GetID(), segmentation.GetID(), segment), images_of(*nodes).fingerprint())


def store(profile, nodes):
    from DeepRadScoreLib.progress import run_to_end

    return run_to_end(steps(profile, nodes))


def ids() -> set[str]:
    import slicer

    return {slicer.mrmlScene.GetNthNode(index).GetID() for index in range(count_nodes())}


def written(profile, folder) -> dict[str, bytes]:
    from DeepRadScoreLib.report.writing import write_profile

    write_profile(profile, folder)
    return {name: (folder / name).read_bytes() for name in FILES}


def exported(volume, folder) -> dict[str, bytes]:
    from DeepRadScoreSlicer.scene.results import export

    paths = export(volume, folder)
    assert sorted(path.name for path in paths) == sorted(FILES)
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    return {path.name: path.read_bytes() for path in paths}


def test_results_of_an_earlier_version_have_no_notes_and_are_exported_without(nodes, profile, tmp_path):
    import slicer

    from DeepRadScoreSlicer.scene.ownership import ours
    from DeepRadScoreSlicer.scene.results import export

    store(profile, nodes)
    (notes,) = ours("notes_text", nodes[0])
    slicer.mrmlScene.RemoveNode(notes)
    paths = export(nodes[0], tmp_path / "out")
    assert sorted(path.name for path in paths) == sorted({*FILES} - {"features.notes.csv"})


def test_what_is_stored(nodes, profile):
    import slicer

    from DeepRadScoreLib.report.profile import to_profile_json
    from DeepRadScoreSlicer.scene.from_nodes import volume_image
    from DeepRadScoreSlicer.scene.ownership import ours
    from DeepRadScoreSlicer.scene.results import find

    assert find(nodes[0]) is None
    stored = store(profile, nodes)
    assert stored == find(nodes[0])
    assert stored.document == json.loads(to_profile_json(profile))
    assert (stored.case_id, stored.volume_id, stored.stale) == (profile.case_id, nodes[0].GetID(), False)
    assert set(stored.heat_map_ids) == {"LVI", "EGFR"}
    for key, node_id in stored.heat_map_ids.items():
        image = volume_image(slicer.mrmlScene.GetNodeByID(node_id))
        np.testing.assert_array_equal(sitk.GetArrayViewFromImage(image)[0], profile.gradcam[key])
        patch = profile.prepared.patch.image
        for part in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
            np.testing.assert_allclose(getattr(image, part)(), getattr(patch, part)(), rtol=0, atol=1e-9)
    (table,) = ours("profile_table", nodes[0])
    columns = {table.GetColumnName(index): index for index in range(table.GetNumberOfColumns())}
    assert table.GetNumberOfRows() == len(profile.findings)
    row = list(profile.findings).index("EGFR")
    assert table.GetCellText(row, columns["finding"]) == "EGFR"
    assert float(table.GetCellText(row, columns["probability"])) == profile.findings["EGFR"].probability
    absent = next(i for i, one in enumerate(profile.findings.values()) if one.probability is None)
    assert table.GetCellText(absent, columns["probability"]) == ""
    assert table.GetCellText(absent, columns["flags"]) == "not_modelled"
    (shell,) = ours("shell", nodes[0])
    data = shell.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
    voxels = sitk.GetArrayViewFromImage(profile.prepared.peritumoral)
    assert data.GetPointData().GetScalars().GetNumberOfValues() == voxels.size
    assert vtk_to_numpy(data.GetPointData().GetScalars()).sum() == voxels.sum()


def test_without_a_model(nodes):
    from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes

    stored = store(made_up_profile(case_from_nodes(*nodes, "case-1"), model=False), nodes)
    assert stored.heat_map_ids == {}
    assert stored.document["model"] is None


def test_all_of_it_lies_under_the_cts_study(nodes, profile):

    from DeepRadScoreSlicer.scene.ownership import ours

    tree = hierarchy()
    study = tree.GetItemParent(tree.GetItemByDataNode(nodes[0]))
    store(profile, nodes)
    ours = ours()
    assert sorted(node.GetAttribute("DeepRadScore.Role") for node in ours) == sorted(
        ["profile_text", "features_text", "notes_text", "report_text", "profile_table", "shell", "heat_map", "heat_map"]
    )
    assert {tree.GetItemParent(tree.GetItemByDataNode(node)) for node in ours} == {study}
    assert all(node.GetNodeReferenceID("DeepRadScore.Volume") == nodes[0].GetID() for node in ours)


def test_no_patients_name_in_a_node_or_an_export(nodes, profile, tmp_path, real_report):
    import slicer

    from DeepRadScoreSlicer.scene.ownership import ours

    before = ids()
    store(profile, nodes)
    made = [slicer.mrmlScene.GetNodeByID(one) for one in ids() - before]
    assert len(made) > 7
    assert {node.GetID() for node in ours()} <= {node.GetID() for node in made}
    for node in made:
        assert PATIENT not in texts_of(node), node.GetClassName()
    for content in exported(nodes[0], tmp_path / "out").values():
        assert PATIENT.encode() not in content


def test_export_is_to_the_byte_what_analyze_writes(nodes, profile, tmp_path, real_report):
    store(profile, nodes)
    assert exported(nodes[0], tmp_path / "out") == written(profile, tmp_path / "library")


def test_export_over_an_old_one_keeps_other_files(nodes, profile, tmp_path):
    from DeepRadScoreSlicer.scene.results import export

    store(profile, nodes)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "profile.json").write_text("old")
    export(nodes[0], tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert json.loads((tmp_path / "profile.json").read_text())["case_id"] == profile.case_id


def test_export_that_cannot_be(nodes, profile, tmp_path):
    from DeepRadScoreLib.errors import InputError, OutputError
    from DeepRadScoreSlicer.scene.results import export, mark_stale

    with pytest.raises(InputError, match="no results of this case; press Analyze"):
        export(nodes[0], tmp_path / "out")
    store(profile, nodes)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="a file, not a folder"):
        export(nodes[0], tmp_path / "file")
    mark_stale(nodes[0])
    with pytest.raises(InputError, match="out of date"):
        export(nodes[0], tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_full_disk_at_export_leaves_what_was_there(nodes, profile, tmp_path, monkeypatch):
    from pathlib import Path

    from DeepRadScoreLib.errors import OutputError
    from DeepRadScoreSlicer.scene.results import export

    store(profile, nodes)
    old = {name: f"old {name}" for name in FILES}
    for name, text in old.items():
        (tmp_path / name).write_text(text)
    plain = Path.replace

    def full(self, target):
        if Path(target).name == "report.html" and ".part" not in Path(target).parts[-3]:
            raise OSError(28, "No space left on device")
        return plain(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="No space left on device"):
        export(nodes[0], tmp_path)
    monkeypatch.undo()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == old


def test_removed_without_a_trace(nodes, profile):
    from DeepRadScoreSlicer.scene.display.shell import remove_shell
    from DeepRadScoreSlicer.scene.results import find, remove

    before, items = ids(), count_items()
    store(profile, nodes)
    remove(nodes[0])
    assert find(nodes[0]) is None
    remove_shell(nodes[0])
    assert (ids(), count_items()) == (before, items)
    remove(nodes[0])


def test_a_new_one_takes_the_place_of_the_old_one(nodes, profile):
    from dataclasses import replace

    store(profile, nodes)
    count, items = count_nodes(), count_items()
    fewer = replace(profile, gradcam={"EGFR": profile.gradcam["EGFR"]})
    stored = store(fewer, nodes)
    assert set(stored.heat_map_ids) == {"EGFR"}
    store(profile, nodes)
    assert (count_nodes(), count_items()) == (count, items)


def test_two_cts_do_not_mix(nodes, profile):
    from dataclasses import replace

    from DeepRadScoreSlicer.scene.results import find, mark_stale, remove
    from DeepRadScoreSlicer.scene.voxels import image_to_volume

    second = image_to_volume(ball_case()[0], "second")
    store(profile, nodes)
    store(replace(profile, case_id="case-2"), (second, *nodes[1:]))
    mark_stale(second)
    assert (find(nodes[0]).stale, find(second).stale) == (False, True)
    remove(nodes[0])
    assert find(second).case_id == "case-2"
    assert len(find(second).heat_map_ids) == 2


class TestAllOrNothing:
    """Wherever it fails, the scene is as it was: with nothing in it, and with an older result in it."""

    PLACES = (
        "results._text_node",
        "results._table_node",
        "results._map_node",
        "ownership.mark",
        "ownership.file_with",
        "display.shell.show_shell",
        "voxels.fill_segmentation",
    )

    @pytest.mark.parametrize("older", [False, True])
    @pytest.mark.parametrize("call", [1, 2])
    @pytest.mark.parametrize("place", PLACES)
    def test_failure_at(self, nodes, profile, monkeypatch, place, call, older):
        import importlib

        from DeepRadScoreSlicer.scene.results import find

        if older:
            store(profile, nodes)
        before = (ids(), count_items(), find(nodes[0]), self.shell(nodes[0]))
        module, _, name = place.rpartition(".")
        module = importlib.import_module(f"DeepRadScoreSlicer.scene.{module}")
        plain, calls = getattr(module, name), []

        def failing(*arguments):
            calls.append(arguments)
            if len(calls) == call:
                raise MemoryError("no more memory")
            return plain(*arguments)

        monkeypatch.setattr(module, name, failing)
        if call == 2 and place in {"results._table_node", "display.shell.show_shell", "voxels.fill_segmentation"}:
            store(profile, nodes)
            assert len(calls) == 1
            return
        with pytest.raises(MemoryError):
            store(profile, nodes)
        monkeypatch.undo()
        assert (ids(), count_items(), find(nodes[0]), self.shell(nodes[0])) == before

    @staticmethod
    def shell(volume):

        from DeepRadScoreSlicer.scene.ownership import ours

        return [
            (node.GetID(), node.GetName(), node.GetSegmentation().GetNumberOfSegments())
            for node in ours("shell", volume)
        ]

    def test_nothing_before_the_last_step(self, nodes, profile):
        before = ids()
        work = steps(profile, nodes)
        labels = [next(work)]
        while labels[-1] != "putting the results into the scene":
            assert ids() == before
            labels.append(next(work))
        assert ids() == before
        work.close()
        assert ids() == before

    @pytest.mark.parametrize("which", [0, 1])
    def test_a_node_deleted_meanwhile(self, nodes, profile, scene, which):
        from DeepRadScoreLib.errors import InputError

        work = steps(profile, nodes)
        next(work)
        scene.RemoveNode(nodes[which])
        before = ids()
        with pytest.raises(InputError, match="removed during the analysis"):
            for _ in work:
                pass
        assert ids() == before

    def test_the_scene_closed_meanwhile(self, nodes, profile, scene):
        from DeepRadScoreLib.errors import InputError

        work = steps(profile, nodes)
        next(work)
        scene.Clear(False)
        before = ids()
        with pytest.raises(InputError, match="load the case again"):
            for _ in work:
                pass
        assert ids() == before


class TestStale:
    def test_marked(self, nodes, profile):

        from DeepRadScoreSlicer.scene.ownership import ours
        from DeepRadScoreSlicer.scene.results import find, mark_stale

        mark_stale(nodes[0])
        store(profile, nodes)
        assert not find(nodes[0]).stale
        mark_stale(nodes[0])
        mark_stale(nodes[0])
        assert find(nodes[0]).stale
        (table,) = ours("profile_table")
        assert table.GetName() == f"{profile.case_id} findings (out of date)"
        store(profile, nodes)
        assert not find(nodes[0]).stale

    def test_noticed_though_nobody_watched(self, nodes, profile):
        from slicer.util import arrayFromVolume

        from DeepRadScoreSlicer.scene.results import find

        store(profile, nodes)
        assert not find(nodes[0]).stale
        arrayFromVolume(nodes[0])[0, 0, 0] += 1
        assert find(nodes[0]).stale

    def test_analysed_before_the_last_edit(self, nodes, profile):
        """The mask changed between the beginning of the analysis and its end: what is stored is out of date at once."""
        work = steps(profile, nodes)
        next(work)
        data = nodes[1].GetSegmentation().GetSegment(nodes[2]).GetRepresentation("Binary labelmap")
        vtk_to_numpy(data.GetPointData().GetScalars())[:] |= 1
        data.Modified()
        try:
            while True:
                next(work)
        except StopIteration as end:
            assert end.value.stale

    def test_of_a_mask_that_was_deleted(self, nodes, profile, scene):
        from DeepRadScoreSlicer.scene.results import find

        store(profile, nodes)
        scene.RemoveNode(nodes[1])
        assert find(nodes[0]).stale


class TestSavedWithTheScene:
    @pytest.fixture(params=["mrb", "mrml"])
    def reopen(self, scene, tmp_path, request):
        """Save the scene, close it, load it again; the restored CT."""

        def save_and_load():
            import slicer

            if request.param == "mrb":
                cache, manager = slicer.vtkCacheManager(), slicer.vtkDataIOManager()
                cache.SetRemoteCacheDirectory(str(tmp_path))
                manager.SetCacheManager(cache)
                scene.SetDataIOManager(manager)
                path = tmp_path / "scene.mrb"
                assert scene.WriteToMRB(str(path))
                scene.Clear(False)
                assert scene.ReadFromMRB(str(path))
            else:
                folder = tmp_path / "scene"
                folder.mkdir()
                assert scene.SaveSceneToSlicerDataBundleDirectory(str(folder))
                scene.Clear(False)
                (path,) = folder.glob("*.mrml")
                scene.SetURL(str(path))
                assert scene.Connect()
            volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
            return next(node for node in volumes if node.GetName() == PATIENT)

        return save_and_load

    @pytest.mark.parametrize("stale", [False, True])
    def test_restored(self, nodes, profile, reopen, tmp_path, stale, real_report):
        import slicer

        from DeepRadScoreSlicer.scene.ownership import ours
        from DeepRadScoreSlicer.scene.results import find, mark_stale

        stored = store(profile, nodes)
        if stale:
            mark_stale(nodes[0])
        volume = reopen()
        again = find(volume)
        assert again.stale == stale
        assert (again.case_id, again.document) == (stored.case_id, stored.document)
        assert set(again.heat_map_ids) == set(stored.heat_map_ids)
        for key, node_id in again.heat_map_ids.items():
            values = slicer.util.arrayFromVolume(slicer.mrmlScene.GetNodeByID(node_id))
            np.testing.assert_array_equal(values[0], profile.gradcam[key])
        (shell,) = ours("shell", volume)
        data = shell.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
        voxels = vtk_to_numpy(data.GetPointData().GetScalars())
        assert np.count_nonzero(voxels) == sitk.GetArrayViewFromImage(profile.prepared.peritumoral).sum()
        (table,) = ours("profile_table", volume)
        assert table.GetNumberOfRows() == len(profile.findings)
        tree = hierarchy()
        study = tree.GetItemParent(tree.GetItemByDataNode(volume))
        assert {tree.GetItemParent(tree.GetItemByDataNode(node)) for node in ours()} == {study}
        if not stale:
            assert exported(volume, tmp_path / "out") == written(profile, tmp_path / "library")

    def test_results_can_be_removed_and_replaced_after_it(self, nodes, profile, reopen):
        import slicer

        from DeepRadScoreSlicer.scene.ownership import ours
        from DeepRadScoreSlicer.scene.results import find, remove

        store(profile, nodes)
        volume = reopen()
        (segmentation,) = (
            node
            for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
            if node.GetAttribute("DeepRadScore.Role") is None
        )
        store(profile, (volume, segmentation, segment_ids(segmentation)[0]))
        assert len(ours(None, volume)) == 8
        assert not find(volume).stale
        remove(volume)
        assert [node.GetAttribute("DeepRadScore.Role") for node in ours()] == ["shell"]
        files = slicer.util.getNodesByClass("vtkMRMLTextStorageNode") + slicer.util.getNodesByClass(
            "vtkMRMLTableStorageNode"
        )
        assert files == [], "storage nodes go with what they stored"


def test_memory_nodes_and_observers_do_not_grow(nodes, profile):
    import resource

    from DeepRadScoreSlicer.scene.display.shell import remove_shell
    from DeepRadScoreSlicer.scene.results import find, remove

    def turn(times):
        for _ in range(times):
            store(profile, nodes)
            find(nodes[0])
            remove(nodes[0])
            remove_shell(nodes[0])
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    turn(3)
    before, count, items = turn(2), count_nodes(), count_items()
    assert turn(10) < before * 1.05
    assert (count_nodes(), count_items()) == (count, items)
