"""A profile in the module's panel: the findings in their groups, each a button with its numbers below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from DeepRadScoreLib.endpoints import ENDPOINTS, GROUP_TITLES
from DeepRadScoreSlicer.cases import profile_text as text


class ProfileView:
    """Shows a `profile.json`; a finding's button (click or Enter) opens and closes its evidence.

    Parameters
    ----------
    layout: where the widgets are put.
    on_finding: called with the key of the finding that was opened, or with None when it was closed or has no
        probability.

    Attributes
    ----------
    head: the label with case, model and validity.
    findings: endpoint -> its button, line, numbers and evidence.
    selected: endpoint of the open finding, or None.
    """

    def __init__(self, layout: Any, on_finding: Callable[[str | None], None]) -> None:
        self._on_finding = on_finding
        self.selected: str | None = None
        self._reason, self.head, self._regions = _label(), _label(), _label()
        self.how = _Explanation()
        for widget in (self._reason, self.head, self._regions, self.how.button, self.how.label):
            layout.addWidget(widget)
        self._titles: list[Any] = []
        self.findings: dict[str, _Finding] = {}
        for group, title in GROUP_TITLES.items():
            heading = _label()
            heading.text = f"<p><b>{title}</b></p>"
            heading.accessibleName = _("Group of findings: {title}").format(title=title)
            layout.addWidget(heading)
            self._titles.append(heading)
            for endpoint in ENDPOINTS:
                if endpoint.group == group:
                    self.findings[endpoint.key] = _Finding(endpoint, layout, self._toggle)
        self.clear(_("Not analyzed yet."))

    def show(self, document: dict[str, Any], stale: bool) -> None:
        """Show a profile; where it is out of date, every number is struck out and says so."""
        try:
            self._show(document, stale)
        except ImportError as error:
            self.clear(
                _("The profile of this case is in the scene, but {name} is missing to show it: see Packages.").format(
                    name=error.name
                )
            )

    def _show(self, document: dict[str, Any], stale: bool) -> None:
        numbers = text.Numbers(stale)
        with_model = document["model"] is not None
        head, regions = text.head_text(document, stale), text.regions_text(document, numbers)
        entries = document["endpoints"]
        if not with_model or entries.get(self.selected, {}).get("probability") is None:
            self.close_finding()
        for key, finding in self.findings.items():
            if key in entries:
                finding.show(entries[key], numbers, with_model)
            else:
                finding.hide()
        self._reason.visible = False
        self.how.show(text.how_to_read_text(document) if with_model else "")
        self.head.text, self._regions.text = head, regions
        self.head.visible = self._regions.visible = True
        for heading in self._titles:
            heading.visible = with_model

    def clear(self, reason: str) -> None:
        """Show no profile, and why."""
        self.close_finding()
        self._reason.text = reason
        self._reason.visible = True
        self.how.show("")
        for widget in (self.head, self._regions, *self._titles):
            widget.visible = False
        for finding in self.findings.values():
            finding.hide()

    def close_finding(self) -> None:
        """Close the open finding, as a second click on it does."""
        if self.selected is not None:
            key, self.selected = self.selected, None
            self.findings[key].open(False)
            self._on_finding(None)

    def step(self, by: int) -> None:
        """Open the finding after (1) or before (-1) the open one; the first or the last where none is open."""
        keys = [key for key, finding in self.findings.items() if not finding.button.isHidden()]
        if not keys:
            return
        at = keys.index(self.selected) + by if self.selected in keys else (0 if by > 0 else len(keys) - 1)
        if 0 <= at < len(keys):
            self._toggle(keys[at])
            self.findings[keys[at]].button.setFocus()

    def _toggle(self, key: str) -> None:
        if self.selected == key:
            self.close_finding()
            return
        if self.selected is not None:
            self.findings[self.selected].open(False)
        self.selected = key
        self.findings[key].open(True)
        self._on_finding(key if self.findings[key].given else None)


class _Explanation:
    """A button that shows and hides how the findings are read."""

    def __init__(self) -> None:
        self.button, self.label = qt.QPushButton(), _label()
        self.button.objectName = "howToReadButton"
        self.button.checkable = True
        self.button.flat = True
        self.button.styleSheet = "text-align: left; padding: 2px;"
        self.button.connect("clicked(bool)", self._open)

    def show(self, explanation: str) -> None:
        """Offer an explanation, opened if the last one was; none if it is empty."""
        self.label.text = explanation
        self.button.visible = bool(explanation)
        self._open(self.button.checked)

    def _open(self, opened: bool) -> None:
        self.button.text = ("▾ " if opened else "▸ ") + _("How to read the findings")
        self.label.visible = opened and bool(self.label.text)


class _Finding:
    """One finding in a line: a checkable button with name and decision, beside it its bar; below, once opened, details.

    A finding without a probability has the reason in place of the bar, in few words; opened, in sentences.

    Attributes
    ----------
    given: whether it has a probability.
    """

    def __init__(self, endpoint: Any, layout: Any, on_click: Callable[[str], None]) -> None:
        self._endpoint, self._on_click = endpoint, on_click
        self._title: Callable[[bool], str] = lambda opened: endpoint.name
        self.given = False
        self.button = qt.QPushButton()
        self.button.objectName = f"finding{endpoint.key}"
        self.button.checkable = True
        self.button.autoDefault = True
        self.button.styleSheet = "text-align: left; font-weight: bold; padding: 4px 6px;"
        self.button.toolTip = _("Show its heat map on the CT and what the model weighed; once more to remove them.")
        self.button.connect("clicked(bool)", self._clicked)
        self.line, self.numbers, self.evidence = _label(), _label(), _label()
        self.line.toolTip = _(
            "Probability; the tick is the model's threshold, the line below the interval. ⚠: remarks."
        )
        self.numbers.setContentsMargins(8, 0, 0, 8)
        self.evidence.setContentsMargins(8, 0, 0, 8)
        self.evidence.styleSheet = f"border-left: 3px solid {text.BLUE};"
        row = qt.QHBoxLayout()
        row.addWidget(self.button, 3)
        row.addWidget(self.line, 2)
        layout.addLayout(row)
        for widget in (self.numbers, self.evidence):
            layout.addWidget(widget)

    def show(self, entry: dict[str, Any], numbers: text.Numbers, visible: bool) -> None:
        """Show the finding's entry of `profile.json`."""
        endpoint = self._endpoint
        self.given = entry["probability"] is not None
        self._title = lambda opened: text.title_text(endpoint.name, entry, numbers.stale, opened)
        self.line.text = text.line_text(entry, numbers)
        self.numbers.text = text.finding_text(endpoint, entry, numbers)
        if self.given:
            self.evidence.text = text.evidence_text(endpoint.positive, endpoint.negative, entry, numbers)
        self.button.visible = self.line.visible = visible
        self.open(self.button.checked and visible)

    def open(self, opened: bool) -> None:
        """Show or hide the details."""
        self.button.checked = opened
        self.button.text = self._title(opened)
        self.button.accessibleName = self._title(opened)[2:]
        self.numbers.visible = opened
        self.evidence.visible = opened and self.given

    def hide(self) -> None:
        """Show nothing of the finding."""
        for widget in (self.button, self.line, self.numbers, self.evidence):
            widget.visible = False

    def _clicked(self, _checked: bool = False) -> None:
        self._on_click(self._endpoint.key)


def _label() -> Any:
    label = qt.QLabel()
    label.textFormat = qt.Qt.RichText
    label.wordWrap = True
    return label
