"""When a finding is withheld: rules that a bundle holds as numbers and codes, and that `inspect` shows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeInt

from DeepRadScoreLib.imaging.checks.quality_codes import ABSTAIN_CODES, QUALITY_CODES
from DeepRadScoreLib.models import Flag
from DeepRadScoreLib.radscore.selection import MIN_POSITIVES


def _known(code: str) -> str:
    if code not in QUALITY_CODES:
        raise ValueError("it is no quality code")
    return code


class AbstentionRules(BaseModel):
    """A finding has no probability where one of these is broken.

    They hold for bundles of schema 1 too, which have the cards that the rules look at.

    Attributes
    ----------
    min_training_positives: training patients of the rarer label.
    auc_above: the 95 % interval of the AUC on held-out patients has to lie above; an endpoint whose AUC could not be
        validated is shown with the flag that says so.
    quality_failures: codes of quality notes of a case.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    min_training_positives: NonNegativeInt = MIN_POSITIVES
    auc_above: Annotated[float, Field(ge=0, le=1)] = 0.5
    quality_failures: tuple[Annotated[str, AfterValidator(_known)], ...] = ABSTAIN_CODES

    def broken_by(
        self, rarer: int, auc_ci: tuple[float, float] | None, codes: Collection[str] = ()
    ) -> tuple[Flag, ...]:
        """Flags of the broken rules.

        Parameters
        ----------
        rarer: training patients of the endpoint's rarer label.
        auc_ci: interval of its validated AUC, None where it could not be validated.
        codes: those of a case's quality notes.
        """
        flags = []
        if rarer < self.min_training_positives:
            flags.append(Flag.NOT_MODELLED)
        if auc_ci is not None and not auc_ci[0] > self.auc_above:
            flags.append(Flag.NOT_BETTER_THAN_CHANCE)
        if not set(self.quality_failures).isdisjoint(codes):
            flags.append(Flag.QUALITY_FAILURE)
        return tuple(flags)

    def sentences(self) -> dict[str, str]:
        """Each rule in words."""
        return {
            "no probability below": f"{self.min_training_positives} training patients of the rarer label",
            "no probability unless": f"the 95 % interval of the held-out AUC lies above {self.auc_above:g}",
            "no probability with": "the quality notes " + ", ".join(self.quality_failures),
        }
