"""DeepRadScore: review of a lung tumour's outline, its peritumoral shell, and its molecular profile, in 3D Slicer."""

import importlib.util
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import ctk
import qt
import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.append(str(HERE))
if importlib.util.find_spec("DeepRadScoreLib") is None:  # run from source; installed, it lies beside the module
    sys.path.append(str(HERE.parent))

from DeepRadScoreSlicer.self_test import DeepRadScoreTest  # noqa: E402, F401 - Slicer looks for it here

if TYPE_CHECKING:
    from DeepRadScoreSlicer.scene.chosen import Chosen

OWN_PACKAGES = ("DeepRadScoreLib", "DeepRadScoreSlicer")
BUNDLE, EXPORT = "DeepRadScore/bundlePathEdit", "DeepRadScore/exportPathEdit"
"""Settings."""
HOMEPAGE = "https://github.com/DeepRadScore/SlicerDeepRadScore"


class DeepRadScore(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("DeepRadScore")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Quantification")]
        self.parent.dependencies = ["Segmentations", "SubjectHierarchy"]
        self.parent.contributors = ["DeepRadScore contributors"]
        self.parent.helpText = _(
            "Review a lung tumour's outline on CT, see its peritumoral shell, and read ten statistical findings with "
            'the evidence for them. Not a medical device. <a href="{url}">Tutorial and documentation</a>.'
        ).format(url=HOMEPAGE)
        self.parent.acknowledgementText = _("The method is that of the Deep-RadScore paper.")
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData() -> None:
    """Offer the synthetic case in the Sample Data module."""
    from DeepRadScoreSlicer import sample_data

    sample_data.register()


@parameterNodeWrapper
class DeepRadScoreParameterNode:
    """What is chosen in the panel and saved with the scene."""

    inputVolume: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    segmentId: str = ""
    shellMm: Annotated[float, WithinRange(0.5, 20)] = 3.0
    showShell: bool = True
    heatMapOpacity: Annotated[float, WithinRange(0, 1)] = 0.6
    heatMapThreshold: Annotated[float, WithinRange(0, 1)] = 0.3


class DeepRadScoreLogic(ScriptedLoadableModuleLogic):
    """What can be done without the panel."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        from DeepRadScoreSlicer.scene.analysis import LastModel

        self._model = LastModel()

    def getParameterNode(self) -> DeepRadScoreParameterNode:
        """The choices of the scene, made where there are none yet."""
        return DeepRadScoreParameterNode(super().getParameterNode())

    def analysis_steps(
        self, chosen: "Chosen", case_id: str, bundle_path: Path | None = None, lung_mask: Path | None = None
    ) -> Generator[Any, None, Any]:
        """The analysis of a case of the scene in short steps; the value is its StoredProfile."""
        from DeepRadScoreSlicer.scene.analysis import analysis_steps

        return analysis_steps(chosen, case_id, self._model, bundle_path, lung_mask)


class DeepRadScoreWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: it wires the parts in `DeepRadScoreSlicer` to the widgets of the .ui file."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self._syncing = False

    def setup(self) -> None:
        """Called once, when the module is first shown."""
        ScriptedLoadableModuleWidget.setup(self)
        from DeepRadScoreSlicer.panel.case_desk import CaseDesk
        from DeepRadScoreSlicer.panel.editor import Editor
        from DeepRadScoreSlicer.panel.messages import Messages
        from DeepRadScoreSlicer.panel.profile_panel import ProfilePanel
        from DeepRadScoreSlicer.panel.review import Review
        from DeepRadScoreSlicer.panel.running import Run
        from DeepRadScoreSlicer.scene.overlay import HeatMapOverlay

        panel = slicer.util.loadUI(self.resourcePath("UI/DeepRadScore.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = DeepRadScoreLogic()
        self.messages = Messages(self.ui.messageLabel)
        self.overlay = HeatMapOverlay()
        self.review = Review(self._showQuality, self._showResults)
        self.run = Run(self.ui.progressBar, self.ui.stepLabel, self.messages, self._showButtons)
        self.editor = Editor(self.ui.editorFrame.layout())
        self.profilePanel = ProfilePanel(self.ui.profileFrame.layout(), self._onFinding)
        self.desk = CaseDesk(self.ui, self.review, self.messages, self._choose, self._leaveCase)
        self._connect()
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        self._showPackages()
        self._clearPanel()
        self.initializeParameterNode()

    def _connect(self) -> None:
        ui, settings = self.ui, qt.QSettings()
        for button, action in (
            (ui.sampleButton, self.onSample),
            (ui.saveMaskButton, self.onSaveMask),
            (ui.restoreMaskButton, self.onRestoreMask),
            (ui.analyzeButton, self.onAnalyze),
            (ui.exportButton, self.onExport),
            (ui.installButton, self.onInstall),
        ):
            button.connect("clicked(bool)", action)
        ui.segmentSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._onSegmentation)
        ui.segmentSelector.connect("currentSegmentChanged(QString)", self._onSegment)
        ui.bundlePathEdit.filters = ctk.ctkPathLineEdit.Files
        ui.exportPathEdit.filters = ctk.ctkPathLineEdit.Dirs
        ui.bundlePathEdit.connect("currentPathChanged(QString)", self._onBundlePath)
        ui.bundlePathEdit.currentPath = settings.value(BUNDLE, "") or ""
        ui.exportPathEdit.currentPath = settings.value(EXPORT, "") or ""

    # Slicer's life cycle

    def cleanup(self) -> None:
        """The application ends, or the module is reloaded."""
        if self.logic is None:
            return
        self.run.drop()
        self.desk.save_quietly()
        self.overlay.hide()
        self.editor.exit()
        self.setParameterNode(None)
        self.review.stop()
        self.removeObservers()

    def enter(self) -> None:
        """The module is shown."""
        self.initializeParameterNode()
        self.editor.enter()

    def exit(self) -> None:
        """Another module is shown. CT and mask are observed on, so that results go stale wherever they are edited.

        The widgets stay bound to the parameter node: each `connectGui` leaves an observer that `disconnectGui` does not
        take away.
        """
        self.editor.exit()
        self.desk.panel.leave()

    def onSceneStartClose(self, caller: Any, event: Any) -> None:
        """The scene is being closed: stop, save what is unsaved, let go of its nodes."""
        self.run.drop()
        self.desk.save_quietly()
        self.editor.close()
        self.overlay.forget()
        self.setParameterNode(None)
        self.review.forget()
        self.desk.panel.close_case()
        self._clearPanel()

    def onSceneEndClose(self, caller: Any, event: Any) -> None:
        """An empty scene gets its parameter node at once if the module is shown."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneEndImport(self, caller: Any, event: Any) -> None:
        """A scene was read: its choices and results are shown."""
        if self.parent.isEntered:
            self.initializeParameterNode()
            self._applyParameters()
            self.review.find_results()

    def onReload(self) -> None:
        """Reload helpers and library as well; Slicer itself reloads only this file."""
        for name in [name for name in sys.modules if name.partition(".")[0] in OWN_PACKAGES]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    # What is under review

    def initializeParameterNode(self) -> None:
        """Make sure that the scene has the parameter node, and choose what there is only one of."""
        if self._parameterNode is None:
            self.setParameterNode(self.logic.getParameterNode())
        node = self._parameterNode
        if node.inputVolume is None:
            volumes = [v for v in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if _isCt(v)]
            if len(volumes) == 1:
                node.inputVolume = volumes[0]
        if node.segmentation is None:
            masks = [s for s in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if _isForeign(s)]
            if len(masks) == 1:
                self._choose(node.inputVolume, masks[0], None)

    def setParameterNode(self, node: DeepRadScoreParameterNode | None) -> None:
        """Bind the widgets to a parameter node, or to none."""
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._applyParameters)
        self._parameterNode = node
        if node is not None:
            self._parameterNodeGuiTag = node.connectGui(self.ui)
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self._applyParameters)
            self._onBundlePath(self.ui.bundlePathEdit.currentPath)
            self._applyParameters()

    def _applyParameters(self, caller: Any = None, event: Any = None) -> None:
        node = self._parameterNode
        if node is None or self._syncing:
            return
        if node.inputVolume is not None and not _isForeign(node.inputVolume):
            self.messages.say(_("A heat map is no CT: choose the CT volume."))
            node.inputVolume = None
            return
        self._syncing = True
        try:
            self._follow(node)
        finally:
            self._syncing = False
        self._showButtons()

    def _follow(self, node: DeepRadScoreParameterNode) -> None:
        from DeepRadScoreSlicer.scene.chosen import Chosen

        selector, volume, segmentation = self.ui.segmentSelector, node.inputVolume, node.segmentation
        if selector.currentNode() != segmentation:
            selector.setCurrentNode(segmentation)
        if segmentation is not None and selector.currentSegmentID() != node.segmentId:
            selector.setCurrentSegmentID(node.segmentId)
        ids = [each.GetID() if each is not None else "" for each in (volume, segmentation)]
        if ids[0] != self.review.chosen.volume_id:
            self.profilePanel.close_finding()
        segment_id = node.segmentId if segmentation is not None else ""
        self.review.choose(Chosen(*ids, segment_id, node.shellMm))
        self.review.show_shell(node.showShell)
        self.editor.set_nodes(segmentation, volume, segment_id)
        if self.overlay.shown is not None:
            self.messages.guarded(lambda: self._layOver(self.overlay.shown))

    def _choose(self, volume: Any, segmentation: Any, segmentId: str | None) -> None:
        """Put these under review; None for the only segment that there is."""
        from DeepRadScoreSlicer.scene.opening import choose_segment

        if segmentId is None:
            segmentId = choose_segment(segmentation, None) if segmentation is not None else ""
        node = self._parameterNode
        with slicer.util.NodeModify(node):
            node.inputVolume, node.segmentation, node.segmentId = volume, segmentation, segmentId

    def _onSegmentation(self, segmentation: Any = None) -> None:
        node = self._parameterNode
        if node is None or self._syncing or segmentation == node.segmentation:
            return
        if segmentation is None or _isForeign(segmentation):
            self._choose(node.inputVolume, segmentation, None)
            return
        text = _("{name} was made by this module: choose the segmentation with the tumour.")
        self.messages.say(text.format(name=segmentation.GetName()))
        self._applyParameters()

    def _onSegment(self, segmentId: str) -> None:
        node = self._parameterNode
        if node is not None and not self._syncing and self.ui.segmentSelector.currentNode() == node.segmentation:
            node.segmentId = segmentId

    def _leaveCase(self) -> None:
        self.run.drop()
        self.profilePanel.close_finding()
        self.editor.set_nodes(None, None)

    def onSaveMask(self, checked: bool = False) -> None:
        """Write the correction beside the list."""

        def work() -> None:
            path = self.review.save()
            if path is not None:
                self.messages.say(_("The corrected mask is saved: {path}").format(path=path))

        self.messages.guarded(work)
        self._showButtons()

    def onRestoreMask(self, checked: bool = False) -> None:
        """Put the mask back as it was."""
        self.messages.guarded(self.review.restore_original)

    def onSample(self, checked: bool = False) -> None:
        """Make the synthetic case, or take the one that is there, and put it under review with its model."""
        from DeepRadScoreSlicer import sample_data

        def use(sample: Any) -> None:
            opened, scene = sample_data.load(sample), slicer.mrmlScene
            self.ui.bundlePathEdit.currentPath = str(sample.bundle)
            nodes = (scene.GetNodeByID(node_id) for node_id in (opened.volume_id, opened.segmentation_id))
            self._choose(*nodes, opened.segment_id)

        if self.desk.close_case():
            self.desk.panel.close_case()
            self.run.start(sample_data.sample_steps(), use)

    # Analysis and results

    def _onBundlePath(self, path: str) -> None:
        from DeepRadScoreSlicer.cases.model_text import model_text

        said = model_text(Path(path)) if path else None
        self.ui.modelLabel.text = said.sentence if said is not None else ""
        self.ui.modelLabel.visible = said is not None
        shell = said.shell_mm if said is not None else None
        self.ui.shellSpinBox.enabled = shell is None
        if shell is not None and self._parameterNode is not None:
            self._parameterNode.shellMm = shell
        qt.QSettings().setValue(BUNDLE, path)

    def onAnalyze(self, checked: bool = False) -> None:
        """Analyze, or cancel what runs."""
        if self.run.running:
            self.ui.analyzeButton.enabled = False
            self.run.cancel()
            return
        self.messages.guarded(self._analyze)

    def _analyze(self) -> None:
        chosen, bundle = self.review.chosen, self.ui.bundlePathEdit.currentPath
        steps = self.logic.analysis_steps(
            chosen, self.review.case_id, Path(bundle) if bundle else None, self.review.lung_mask()
        )
        self.run.start(steps, lambda stored: self.review.take_results(stored, chosen))

    def _onFinding(self, key: str | None) -> None:
        """Lay the finding's heat map over the CT, or take it away."""
        stored = self.review.stored if key is not None else None
        heat_map = stored.heat_map_ids.get(key) if stored is not None else None
        self.messages.say("")
        if heat_map is not None:
            self.messages.guarded(lambda: self._layOver(heat_map))
            return
        self.overlay.hide()
        if key is not None:
            self.messages.say(_("There is no heat map for this finding."))

    def _layOver(self, heatMapId: str) -> None:
        node = self._parameterNode
        self.overlay.show(heatMapId, self.review.chosen.volume_id, node.heatMapOpacity, node.heatMapThreshold)

    def onExport(self, checked: bool = False) -> None:
        """Write the results into a folder of the case's name."""
        folder = self.ui.exportPathEdit.currentPath
        if not folder:
            self.messages.say(_("Choose a folder for the results first."))
            return
        self.messages.guarded(lambda: self._export(Path(folder) / self.review.case_id))

    def _export(self, folder: Path) -> None:
        from DeepRadScoreSlicer.scene import results

        written = results.export(self.review.volume, folder)
        self.review.exported = True
        qt.QSettings().setValue(EXPORT, str(folder.parent))
        names = ", ".join(path.name for path in written)
        self.messages.say(_("Written to {folder}: {names}").format(folder=folder, names=names))

    # Packages

    def onInstall(self, checked: bool = False) -> None:
        """Get what is missing, after asking."""
        from DeepRadScoreSlicer import packages

        def confirm(text: str) -> bool:
            return bool(slicer.util.confirmOkCancelDisplay(text, windowTitle=_("Get packages")))

        def work() -> None:
            self.messages.say(packages.install([each.name for each in packages.hindering()], confirm))

        self.messages.guarded(work)
        self._showPackages()
        self._showButtons()

    def _showPackages(self) -> None:
        from DeepRadScoreSlicer import packages

        missing = packages.missing()
        self._missing = any(each.hinders for each in missing)
        head = [_("The analysis is not possible yet. Missing:")] if self._missing else []
        self.ui.packagesLabel.text = "\n".join([*head, *(each.said for each in missing), packages.information()])
        self.ui.installButton.visible = self._missing
        self.ui.packagesSection.collapsed = not self._missing

    # What the panel says

    def _showQuality(self, line: str) -> None:
        self.ui.qualityLabel.text = line
        self._showButtons()

    def _showResults(self, stored: Any) -> None:
        if stored is None:
            self.profilePanel.clear(_("Not analyzed yet.") if self.review.chosen.volume_id else _("No CT is chosen."))
        else:
            self.profilePanel.show(stored.document, stored.stale)
        self._showButtons()

    def _showButtons(self) -> None:
        ui, stored, running = self.ui, self.review.stored, self.run.running
        hindrance = ""
        if self._missing:
            hindrance = _("Packages are missing: see Packages below.")
        elif not self.review.chosen.complete:
            hindrance = _("Choose a CT, its segmentation and the tumour's segment first.")
        ui.analyzeButton.text = _("Cancel") if running else _("Analyze")
        ui.analyzeButton.enabled = running or not hindrance
        ui.analyzeButton.toolTip = hindrance or _("Compute regions, features and, with a model, the findings.")
        ui.analysisHintLabel.text = hindrance
        ui.analysisHintLabel.visible = bool(hindrance) and not running
        ui.progressBar.visible = running
        ui.exportButton.enabled = stored is not None and not stored.stale and not running
        ui.exportButton.toolTip = _("Write the profile into the folder.") if stored is not None else _("Analyze first.")
        for widget in (ui.opacityLabel, ui.opacitySlider, ui.thresholdLabel, ui.thresholdSlider):
            widget.visible = stored is not None and bool(stored.heat_map_ids)
        ui.closeCaseButton.enabled = self.review.opened is not None
        ui.saveMaskButton.enabled = self.review.unsaved
        ui.restoreMaskButton.enabled = self.review.has_original
        ui.sampleButton.enabled = not running and not self._missing

    def _clearPanel(self) -> None:
        self.ui.stepLabel.text = ""
        self._showQuality(_("Choose a CT and its tumour."))
        self._showResults(None)


def _isForeign(node: Any) -> bool:
    """Whether a node was not made by this module."""
    return node.GetAttribute("DeepRadScore.Role") is None and not node.GetHideFromEditors()


def _isCt(volume: Any) -> bool:
    return _isForeign(volume) and not volume.IsA("vtkMRMLLabelMapVolumeNode")
