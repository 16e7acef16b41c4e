"""What the program says of a case, and of a shifted case beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from DeepRadScoreLib.analyses.analysis import finding_steps
from DeepRadScoreLib.analyses.findings import Finding, MolecularProfile
from DeepRadScoreLib.bundles.bundle import Bundle
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging import Case, prepare
from DeepRadScoreLib.models import Flag
from DeepRadScoreLib.progress import run_to_end
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS
from support.shifts import NotApplicableError, Shift, Volume
from support.shifts.store import FeatureStore

LARGE = 0.25
"""A change of a probability that may not happen without a word."""
NO_WORD = frozenset({Flag.OUTSIDE_SPREAD})
"""Flags of a finding that are no warning about the case."""
Kind = Literal["refused", "abstained", "warned", "silent"]


@dataclass(frozen=True)
class Outcome:
    """What the program says of one case.

    Attributes
    ----------
    refused: the sentence, or empty.
    warnings: codes of the quality notes that are warnings.
    """

    refused: str = ""
    warnings: frozenset[str] = frozenset()
    findings: dict[str, Finding] = field(default_factory=dict)

    @property
    def shown(self) -> dict[str, Finding]:
        """The findings with a probability."""
        return {key: finding for key, finding in self.findings.items() if finding.probability is not None}

    def without_a_word(self, before: Outcome) -> dict[str, Finding]:
        """The shown findings with no flag, in a case with no warning, that the unshifted case lacks."""
        if self.warnings - before.warnings:
            return {}
        return {
            key: finding
            for key, finding in self.shown.items()
            if not set(finding.flags) - set(before.findings[key].flags) - NO_WORD
        }

    def kind(self, before: Outcome) -> Kind:
        """Refused; abstained where no finding is left; silent where one is shown without a word; else warned."""
        if self.refused:
            return "refused"
        if not self.shown:
            return "abstained"
        return "silent" if self.without_a_word(before) else "warned"

    def largest_change(self, before: Outcome) -> float:
        """Largest change of a probability that is shown without a word; 0 where there is none."""
        changes = [
            abs(finding.probability - before.shown[key].probability)
            for key, finding in self.without_a_word(before).items()
            if key in before.shown
        ]
        return max(changes, default=0.0)


@dataclass(frozen=True)
class Judge:
    """A bundle, and the features that were computed before."""

    bundle: Bundle
    store: FeatureStore

    def outcome(self, case: Case) -> Outcome:
        """What `analyze` says of a case, without explanations and heat maps."""
        try:
            prepared = prepare(
                case, preprocessing=self.bundle.manifest.preprocessing, shell_mm=self.bundle.manifest.shell_mm
            )
            values = self.store.features(prepared)
        except InputError as error:
            return Outcome(refused=str(error))
        known = MolecularProfile(
            case_id=case.case_id,
            prepared=prepared,
            features=dict(zip(FEATURE_COLUMNS, values.tolist(), strict=True)),
            quality=prepared.quality,
            findings={},
            model=None,
            synthetic_case=True,
        )
        profile = run_to_end(finding_steps(self.bundle, known, explained=False))
        warnings = frozenset(note.code for note in profile.quality if note.severity == "warning")
        return Outcome(warnings=warnings, findings=profile.findings)

    def shifted(self, volume: Volume, case_id: str, shift: Shift) -> Outcome | None:
        """The outcome of a shifted case; None where the shift does not apply to it."""
        try:
            return self.outcome(shift.apply(volume, case_id))
        except NotApplicableError:
            return None
        except InputError as error:
            return Outcome(refused=str(error))


@dataclass(frozen=True)
class Row:
    """One shift on all its cases: shares, and changes of a probability among those shown without a word."""

    shift: Shift
    n: int
    shares: dict[Kind, float]
    largest: float
    large_and_silent: float

    @classmethod
    def of(cls, shift: Shift, pairs: Sequence[tuple[Outcome, Outcome]]) -> Row:
        """The row of (unshifted, shifted) outcomes."""
        kinds = [after.kind(before) for before, after in pairs]
        changes = np.array([after.largest_change(before) for before, after in pairs])
        shares = {kind: kinds.count(kind) / max(len(kinds), 1) for kind in ("refused", "abstained", "warned", "silent")}
        return cls(shift, len(pairs), shares, float(changes.max(initial=0)), float((changes >= LARGE).mean()))
