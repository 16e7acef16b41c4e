"""How far a finding can be trusted, in words: likeness to training, label sets, intervals, prevalence.

The page and the module's panel say the same sentences; all functions return plain text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from DeepRadScoreLib.endpoints import BY_KEY, Endpoint
from DeepRadScoreLib.likeness.carriers import BEYOND_ALL
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS
from DeepRadScoreLib.report.number_text import MINUS, decimals, measured, percent

NO_LIMITS = (
    "The model does not know the limits of its training data: how like this case is to the patients it was trained on "
    "cannot be said."
)
NO_INTERVAL = (
    "The line below the bar is the range over the fold models, not a confidence interval. No finding has an interval: "
    "no method for one has proved to cover what it claims."
)
LIKE_MOST = 50.0

_PLAIN = {
    "spacing_in_plane_mm": "pixel size (mm)",
    "spacing_between_slices_mm": "distance of slices (mm)",
    "tumour_volume_ml": "tumour volume on the 1 mm lattice (mL)",
    "tumour_pieces": "separate pieces of the tumour mask",
    "noise_hu": "noise of the image (HU)",
    "noise_total_hu": "noise of the image, all frequencies (HU)",
    "noise_lag1": "grain of the noise (reconstruction kernel)",
    "noise_lag2": "grain of the noise over two pixels (reconstruction kernel)",
    "edge_hu_per_mm": "sharpness of edges (HU per mm)",
    "roughness_hu": "roughness of the image (HU)",
    "roughness_along_z": "roughness between slices against that within them",
    "patch_lung_hu": "median HU of the lung around the tumour",
    "patch_soft_hu": "median HU of the soft tissue around the tumour",
    "patch_muscle_hu": "median HU of the muscle around the tumour",
    "network_features": "what the network sees (distance)",
}
_REGION = {"tumour": "tumour", "peritumoral": "peritumoral shell", "patch": "deep patch"}
_STATISTIC = {"mean": "mean HU", "sd": "standard deviation of HU", "p50": "median HU"}
_TISSUE = {"air": "air", "soft": "soft tissue", "bone": "bone"}
_HU = re.compile(r"(tumour|peritumoral|patch)_hu_(\w+)")
_SHARE = re.compile(r"(tumour|peritumoral|patch)_share_(air|soft|bone)")


def likeness_sentence(percentile: float) -> str:
    """How far a case lies from the training patients, by the share of them (percent) that lies nearer."""
    if percentile >= BEYOND_ALL:
        return "Further from the middle of the training patients than any of them."
    text = f"Further from the middle of the training patients than {decimals(percentile, 1)} % of them"
    return f"{text}: like most of them." if percentile < LIKE_MOST else f"{text}."


def measure_words(what: str) -> str:
    """A measure of a case in words; a radiomic feature keeps its name, and so does a measure that is not known."""
    if what in _PLAIN or what in FEATURE_COLUMNS:
        return _PLAIN.get(what, what)
    if found := _HU.fullmatch(what):
        region, statistic = found.groups()
        number = statistic.removeprefix("p").lstrip("0")
        return f"{_STATISTIC.get(statistic, f'{number} % quantile of HU')}, {_REGION[region]}"
    if found := _SHARE.fullmatch(what):
        region, tissue = found.groups()
        return f"share of {_TISSUE[tissue]}, {_REGION[region]}"
    key, _, column = what.rpartition("/")
    return f"{column.replace('_', ' ')} of {BY_KEY[key].name}" if key in BY_KEY else what


def number(value: float) -> str:
    """A measured value with a true minus sign."""
    return measured(value).replace("-", MINUS)


def reason_sentence(what: str, value: float, low: float, high: float) -> str:
    """One reason why a case is unlike training, with the range there."""
    return f"{measure_words(what)}: {number(value)} (training {number(low)} to {number(high)})"


def label_set_words(endpoint: Endpoint, labels: Sequence[str]) -> str:
    """What a finding's image is compatible with, by its label set."""
    if not labels:
        return f"neither {endpoint.positive} nor {endpoint.negative}"
    return " or ".join(labels)


def label_set_note(level: float) -> str:
    """What label sets promise, and to whom."""
    return (
        f"“Compatible with” names what cannot be ruled out: it is made so that {percent(level)} of the patients with "
        f"the finding, and {percent(level)} of those without it, keep their true label, if they are like the training "
        "patients."
    )


def interval_note(methods: Collection[str]) -> str:
    """What the line below the bar of a probability is, by the methods of the intervals that are given."""
    if not methods:
        return NO_INTERVAL
    return (
        f"The line below the bar is the interval of this patient’s own probability ({', '.join(methods)}). It is wide: "
        "a score tells how many patients like this are positive, not how they differ. The range over the fold models "
        "is not a confidence interval."
    )


def prevalence_sentence(prevalence: Mapping[str, float]) -> str:
    """For which share of positive patients the probabilities hold."""
    shares = ", ".join(f"{BY_KEY[key].name} {percent(share)}" for key, share in prevalence.items())
    return f"The probabilities hold for hospitals with these shares of positive patients, as given: {shares}."
