"""Pictures of the panel and of the slice view, drawn without a screen: `make screenshots`.

    python Testing/Slicer/screenshots.py --out Resources/screenshots
    python Testing/Slicer/screenshots.py --out FOLDER --ct CT.nrrd --mask MASK.nrrd

Without a CT the synthetic sample is drawn: those pictures, those of README and guides, may be published. With one,
whose pictures are to be looked at and not to be published, the synthetic model is used on it, and there are more of
them: the narrow panel, the shell without a heat map, results out of date. The slice view is drawn by Slicer's own
displayable managers, which need EGL; see `Testing/set-up` for the packages.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

import slicer_harness as harness  # noqa: E402

NARROW, WIDE = 380, 500
VIEW = 640
MAX_HEIGHT = 1200
"""Of a picture that is published; the panel is scrolled in Slicer."""
LUNG_WINDOW = (-1350.0, 150.0)
MAX_WAIT_S = 600.0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--ct", type=Path)
    options.add_argument("--mask", type=Path)
    chosen = options.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    harness.start()
    with harness.main_window():
        module = harness.load_module()
        module.enter()
        if chosen.ct is None:
            open_sample(module.widget)
        else:
            open_files(module.widget, chosen.ct, chosen.mask)
        draw_all(module, chosen.out, published=chosen.ct is None)
    if harness.slot_errors:
        raise SystemExit("\n".join(harness.slot_errors))


def settle(widget: Any) -> None:
    harness.process_events(20)
    harness.wait_for(lambda: not widget.work.running and not widget.review.watch.waiting, MAX_WAIT_S)
    harness.process_events(20)


def open_sample(widget: Any) -> None:
    widget.ui.sampleButton.click()
    settle(widget)


def open_files(widget: Any, ct: Path, mask: Path) -> None:
    import slicer

    from DeepRadScoreSlicer import sample_making
    from DeepRadScoreSlicer.cases.worklist import ListedCase
    from DeepRadScoreSlicer.scene.opening import open_case

    opened = open_case(ListedCase("case", ct, mask), mask)
    nodes = [slicer.mrmlScene.GetNodeByID(node_id) for node_id in (opened.volume_id, opened.segmentation_id)]
    widget.ui.bundlePathEdit.currentPath = str(sample_making.make_sample().bundle)
    widget.choice.choose(*nodes, opened.segment_id)
    settle(widget)


def draw_all(module: Any, out: Path, *, published: bool) -> None:
    widget, max_height = module.widget, MAX_HEIGHT if published else None
    widget.ui.casesSection.collapsed = True
    widget.ui.exportSection.collapsed = True
    prepare_view(widget)
    widget.results.overlay._go_to(widget.review.volume)
    look_at_tumour(widget)
    grab(module.panel, out / "review.png", 420, max_height)
    if not published:
        draw_view(out / "view_review.png")
    widget.ui.analyzeButton.click()
    settle(widget)
    if widget.review.stored is None:
        raise SystemExit(widget.ui.messageLabel.text)
    shown = next(iter(widget.review.stored.heat_map_ids), None)
    if shown is not None:
        widget.results.profile.findings[shown].button.click()
    for section in (widget.ui.reviewSection, widget.ui.analysisSection):
        section.collapsed = True
    grab(module.panel, out / f"profile_{WIDE}.png", WIDE, max_height)
    draw_view(out / "view_heat_map.png")
    if published:
        return
    grab(module.panel, out / f"profile_{NARROW}.png", NARROW, max_height)
    widget.review.volume.SetOrigin([value + 1 for value in widget.review.volume.GetOrigin()])
    grab(module.panel, out / "stale.png", NARROW, max_height)


def grab(panel: Any, path: Path, width: int, max_height: int | None) -> None:
    """The panel at a width, as high as it needs to be; the upper part of it where that is too high."""
    widget = harness.unwrap(panel)
    widget.show()
    widget.resize(width, 100)
    harness.process_events(20)
    widget.resize(width, max(widget.sizeHint().height(), widget.heightForWidth(width)))
    harness.process_events(20)
    picture = widget.grab()
    picture = picture.copy(0, 0, picture.width(), min(picture.height(), max_height or picture.height()))
    picture.save(str(path))
    print(path, picture.width(), picture.height())


def red_logic() -> Any:
    import slicer

    return slicer.app.layoutManager().sliceWidget("Red").sliceLogic()


def prepare_view(widget: Any) -> None:
    volume = widget.review.volume
    display = volume.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(*LUNG_WINDOW)
    logic = red_logic()
    logic.GetSliceNode().SetDimensions(VIEW, VIEW, 1)
    logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())


def look_at_tumour(widget: Any) -> None:
    """The tumour in the middle of the view, about a third of its width."""
    import numpy as np
    import SimpleITK as sitk

    from DeepRadScoreSlicer.scene import from_nodes

    segmentation, segment_id = widget.review.segmentation, widget.review.chosen.segment_id
    mask = from_nodes.segment_image(segmentation, segment_id)
    inside = np.argwhere(sitk.GetArrayViewFromImage(mask))
    size = (np.ptp(inside, axis=0) + 1)[::-1] * mask.GetSpacing()
    width = 3.0 * max(size[0], size[1])
    node = red_logic().GetSliceNode()
    node.SetFieldOfView(width, width, 1.0)
    node.JumpSliceByCentering(*segmentation.GetSegmentCenterRAS(segment_id))


def draw_view(path: Path) -> None:
    """What Slicer's axial slice view shows: the blended slice, and above it what the displayable managers draw."""
    import slicer
    import vtk

    logic = red_logic()
    logic.UpdatePipeline()
    window, below, above = vtk.vtkRenderWindow(), vtk.vtkRenderer(), vtk.vtkRenderer()
    window.OffScreenRenderingOn()
    window.SetSize(VIEW, VIEW)
    window.SetMultiSamples(0)
    window.SetNumberOfLayers(2)
    above.SetLayer(1)
    window.AddRenderer(below)
    window.AddRenderer(above)
    interactor = vtk.vtkGenericRenderWindowInteractor()
    interactor.SetRenderWindow(window)
    factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
    factory.SetMRMLApplicationLogic(slicer.app.applicationLogic())
    manager = "vtkMRMLSegmentationsDisplayableManager2D"
    if not factory.IsDisplayableManagerRegistered(manager):
        factory.RegisterDisplayableManager(manager)
    group = factory.InstantiateDisplayableManagers(above)
    group.SetMRMLDisplayableNode(logic.GetSliceNode())
    mapper = vtk.vtkImageMapper()
    mapper.SetInputConnection(logic.GetImageDataConnection())
    mapper.SetColorWindow(255)
    mapper.SetColorLevel(127.5)
    picture = vtk.vtkActor2D()
    picture.SetMapper(mapper)
    below.AddViewProp(picture)
    window.Render()
    grabbed = vtk.vtkWindowToImageFilter()
    grabbed.SetInput(window)
    grabbed.ReadFrontBufferOff()
    writer = vtk.vtkPNGWriter()
    writer.SetInputConnection(grabbed.GetOutputPort())
    writer.SetFileName(str(path))
    writer.Write()
    group.SetMRMLDisplayableNode(None)
    print(path)


if __name__ == "__main__":
    main()
