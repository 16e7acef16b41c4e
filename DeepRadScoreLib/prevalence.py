"""Another share of positives than the training cohort's: the shift of calibrated log-odds, and checks of what is given.

Where the patients of a hospital differ from those of the training in their share of positives alone, not in how each
class looks, the log-odds move by the difference of the log-odds of the shares (Saerens, Latinne and Decaestecker 2002,
"Adjusting the outputs of a classifier to new a priori probabilities", Neural Computation 14, 21). The order of patients
does not change, nor who is positive: the threshold moves with the probabilities.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from DeepRadScoreLib.errors import InputError

OPTION = "--prevalence"
NO_PREVALENCE: Mapping[str, float] = MappingProxyType({})


def prevalence_shift(prevalence: float | None, of_training: float) -> float:
    """What is added to the log-odds of a model whose training patients had the share `of_training` of positives."""
    if prevalence is None:
        return 0.0
    from scipy.special import logit

    return float(logit(prevalence) - logit(of_training))


def parse_prevalence(options: Iterable[str]) -> dict[str, float]:
    """KEY=P of each option as endpoint -> share.

    Raises
    ------
    InputError: no KEY=P, or a key that stands twice.
    """
    found: dict[str, float] = {}
    for option in options:
        key, _, text = option.partition("=")
        try:
            share = float(text)
        except ValueError as error:
            raise InputError(f'"{option}" is no key and share', where=OPTION, mend="write it as EGFR=0.15") from error
        if key in found:
            raise InputError(f"{key} is given twice", where=OPTION, mend="give one share for each key")
        found[key] = share
    return found


def checked_prevalence(prevalence: Mapping[str, float], modelled: Collection[str]) -> Mapping[str, float]:
    """The shares, if each is one of an endpoint that the bundle models.

    Raises
    ------
    InputError: an endpoint that is not `modelled`, or a share that is not above 0 and below 1.
    """
    for key, share in prevalence.items():
        if key not in modelled:
            covered = f"name one of {', '.join(modelled)}" if modelled else "give a model that has findings"
            raise InputError(f'the model gives no finding "{key}"', where=OPTION, mend=covered)
        if not 0 < share < 1:
            raise InputError(
                f"the share {share:g} of {key} does not lie between 0 and 1", where=OPTION, mend="write it as EGFR=0.15"
            )
    return prevalence
