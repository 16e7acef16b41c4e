"""DeepRadScore: review of a lung tumour's outline, its peritumoral shell, and its molecular profile, in 3D Slicer."""

import importlib.util
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import slicer
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
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
    from DeepRadScoreSlicer.scene.from_nodes import Chosen

OWN_PACKAGES = ("DeepRadScoreLib", "DeepRadScoreSlicer")
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
            "Review a lung tumour's outline on CT, see its peritumoral shell, and read statistical findings with "
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
    """The user's choices, saved with the scene."""

    inputVolume: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    segmentId: str = ""
    shellMm: Annotated[float, WithinRange(0.5, 20)] = 3.0
    otherLabels: Annotated[str, Choice(["auto", "tumours", "ignore"])] = "auto"
    showShell: bool = True
    heatMapOpacity: Annotated[float, WithinRange(0, 1)] = 0.6
    heatMapThreshold: Annotated[float, WithinRange(0, 1)] = 0.3


class DeepRadScoreLogic(ScriptedLoadableModuleLogic):
    """The module's work without its panel."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        from DeepRadScoreSlicer.scene.analysis import LastModel

        self._model = LastModel()

    def getParameterNode(self) -> DeepRadScoreParameterNode:
        """The choices of the scene, made where there are none yet."""
        return DeepRadScoreParameterNode(super().getParameterNode())

    def analysis_steps(self, chosen: "Chosen", case_id: str, *options: Any) -> Generator[Any, None, Any]:
        """The analysis of a case of the scene in short steps, see `scene.analysis`; the value is its StoredProfile."""
        from DeepRadScoreSlicer.scene.analysis import analysis_steps

        return analysis_steps(chosen, case_id, self._model, *options)


class DeepRadScoreWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: its sections, connected with each other and with what Slicer does to the module and the scene."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None

    def setup(self) -> None:
        """Called once, when the module is first shown."""
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/DeepRadScore.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = DeepRadScoreLogic()
        self._makeSections()
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        self._clearPanel()
        self.initializeParameterNode()

    def _makeSections(self) -> None:
        from DeepRadScoreSlicer.panel import keys
        from DeepRadScoreSlicer.panel.band import Band
        from DeepRadScoreSlicer.panel.editor import Editor
        from DeepRadScoreSlicer.panel.messages import Messages
        from DeepRadScoreSlicer.panel.patient import PatientLine
        from DeepRadScoreSlicer.panel.review import Review
        from DeepRadScoreSlicer.panel.sections.analysis import AnalysisSection
        from DeepRadScoreSlicer.panel.sections.cases import CasesSection
        from DeepRadScoreSlicer.panel.sections.filing import FilingSection
        from DeepRadScoreSlicer.panel.sections.handover import HandoverSection
        from DeepRadScoreSlicer.panel.sections.packages import PackagesSection
        from DeepRadScoreSlicer.panel.sections.results import ResultsSection
        from DeepRadScoreSlicer.panel.sections.review import ReviewSection
        from DeepRadScoreSlicer.panel.sections.view import ViewSection
        from DeepRadScoreSlicer.panel.work import Work, WorkRow

        ui = self.ui
        self.messages = messages = Messages(ui.messageLabel)
        self.review = review = Review(self._showQuality, self._showResults)
        self.work = Work(ui.progressBar, ui.stepLabel, messages, self._showState)
        self.reading = row = WorkRow(self.work, messages, ui.readingLabel, ui.readingBar, ui.cancelReadingButton)
        self.editor = Editor(ui.editorFrame.layout())
        reviewing, analyzing = messages.at(ui.reviewMessageLabel), messages.at(ui.analysisMessageLabel)
        reading, filing = messages.at(ui.profileMessageLabel), messages.at(ui.exportMessageLabel)
        self.packages = PackagesSection(ui, messages.at(ui.packagesMessageLabel), self.work, self._showState)
        self.choice = choice = ReviewSection(ui, review, self.editor, row, reviewing, self._onChoice)
        self.analysis = AnalysisSection(
            ui, self.logic, review, choice, self.packages, self.work, analyzing, below_profile=reading
        )
        self.results = ResultsSection(ui, review, choice, reading, filing)
        self.filing = FilingSection(ui, review, self.work, filing)
        self.band, self.patient = Band(), PatientLine(ui)
        self.view = ViewSection(ui, review, reviewing)
        self.handover = HandoverSection(ui, review, choice, row, reviewing, self.view.go_to_tumour)
        self.cases = CasesSection(ui, review, row, messages, choice.choose, self.view.show_case, self._leaveCase)
        ui.sampleButton.connect("clicked(bool)", self.onSample)
        ui.keysLabel.text = keys.help_line()
        handlers = {
            keys.Key.GO_TO_TUMOUR: ui.goToTumourButton.click,
            keys.Key.ANALYZE: ui.analyzeButton.click,
            keys.Key.NEXT_FINDING: lambda: self.results.profile.step(1),
            keys.Key.PREVIOUS_FINDING: lambda: self.results.profile.step(-1),
        }
        self._shortcuts = keys.install(ui.keysLabel.parentWidget(), handlers)

    # Slicer's life cycle

    def cleanup(self) -> None:
        """Stop all work and let go of the scene: the application ends, or the module is reloaded."""
        if self.logic is None:
            return
        self.work.drop()
        self.cases.save_quietly()
        self.results.overlay.hide()
        self.band.exit()
        self.editor.exit()
        self.choice.bind(None)
        self.review.stop()
        self.view.restore_layout()
        self.removeObservers()

    def enter(self) -> None:
        """Called when the module is shown: packages may have been installed or removed elsewhere since."""
        self.packages.show()
        self.initializeParameterNode()
        self.editor.enter()
        self.band.enter()
        self._showState()

    def exit(self) -> None:
        """Called when another module is shown; CT and mask stay observed, so that edits made there are noticed.

        The widgets stay bound to the parameter node: each `connectGui` leaves an observer that `disconnectGui` does not
        take away.
        """
        self.editor.exit()
        self.band.exit()
        self.cases.view.leave()

    def onSceneStartClose(self, caller: Any, event: Any) -> None:
        """Stop all work, save corrections and let go of all nodes before the scene is closed."""
        self.work.drop()
        self.cases.save_quietly()
        self.editor.close()
        self.results.overlay.forget()
        self.choice.bind(None)
        self.review.forget()
        self.cases.view.close_case()
        self._clearPanel()

    def onSceneEndClose(self, caller: Any, event: Any) -> None:
        """Give the empty scene its parameter node at once if the module is shown."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneEndImport(self, caller: Any, event: Any) -> None:
        """Show the choices and results of a scene that was loaded."""
        if self.parent.isEntered:
            self.initializeParameterNode()
            self.choice.follow()
            self.review.find_results()

    def onReload(self) -> None:
        """Reload helpers and library as well; Slicer itself reloads only this file."""
        for name in [name for name in sys.modules if name.partition(".")[0] in OWN_PACKAGES]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def initializeParameterNode(self) -> None:
        """Bind the scene's parameter node, and choose CT and segmentation where the scene has only one."""
        if self.choice.node is None:
            self.choice.bind(self.logic.getParameterNode())
        self.choice.choose_only_ones()

    # From one section to the others

    def _onChoice(self) -> None:
        self.patient.show(self.review.volume, self.review.first_file)
        self.results.update_overlay()
        self._showState()

    def _leaveCase(self) -> None:
        self.work.drop()
        self.results.profile.close_finding()
        self.editor.set_nodes(None, None)

    def onSample(self, checked: bool = False) -> None:
        """Put the synthetic case under review with its model; it is made on first use."""
        from DeepRadScoreSlicer import sample_data, sample_making

        def use(sample: Any) -> None:
            opened, scene = sample_data.load(sample), slicer.mrmlScene
            self.ui.bundlePathEdit.currentPath = str(sample.bundle)
            nodes = (scene.GetNodeByID(node_id) for node_id in (opened.volume_id, opened.segmentation_id))
            self.choice.choose(*nodes, opened.segment_id)
            self.view.show_case()

        if self.cases.close_case():
            self.cases.view.close_case()
            self.work.start(sample_making.sample_steps(), use)

    def _showQuality(self, line: str) -> None:
        self.ui.qualityLabel.text = line
        self._showState()

    def _showResults(self, stored: Any) -> None:
        self.results.show(stored)
        self.band.say(stored.document["label"] if stored is not None else None)
        self._showState()

    def _showState(self) -> None:
        running = self.work.running
        self.reading.update()
        self.cases.update()
        self.choice.update()
        self.view.update()
        self.handover.update()
        self.analysis.update()
        self.packages.update()
        self.results.update(running)
        self.filing.update()
        self.ui.sampleButton.enabled = not running and not self.packages.missing_for_models

    def _clearPanel(self) -> None:
        self.ui.stepLabel.text = ""
        self.patient.show(None)
        self._showQuality(_("Choose a CT and its tumour."))
        self._showResults(None)
