"""Features of any engine against pyradiomics': its values, and the rule by which two are equal.

Two values are equal if both are NaN or if they differ by at most 1e-6 of the greater. Where exact arithmetic gives 0
both engines have rounding noise: a feature of `ZERO_SCALES`, and no other, may instead be off by 1e-9 of its scale, and
the comparison lists it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import pytest
import SimpleITK as sitk

from DeepRadScoreLib.imaging.carriers import PreparedCase
from DeepRadScoreLib.radscore.names import FEATURES_OF_CLASS, REGIONS, Region
from DeepRadScoreLib.radscore.pyradiomics_engine import quiet_pyradiomics

RELATIVE = 1e-6
OF_SCALE = 1e-9
Features = Mapping[str, float]
SETTINGS = {"binWidth": 25, "voxelArrayShift": 1000, "label": 1, "additionalInfo": False}


@dataclass(frozen=True)
class ZeroScale:
    """What the rounding noise of a zero is measured by: a feature of the same image to a power, or 1.

    A value that is a root is compared as its square: the noise of a zero under a root is 1e-8, not 1e-16.
    """

    feature: str = ""
    power: float = 1
    is_root: bool = False

    def holds(self, value: float, reference: float, features: Features, image_type: str) -> bool:
        """Whether two values differ by at most 1e-9 of the scale; `features` are all of the region."""
        scale = abs(self._of(features, image_type)) ** self.power
        if self.is_root:
            value, reference, scale = value**2, reference**2, scale**2
        return abs(value - reference) <= OF_SCALE * scale

    def _of(self, features: Features, image_type: str) -> float:
        return features[f"{image_type}_{self.feature}"] if self.feature else 1.0


class HounsfieldScale(ZeroScale):
    """The greatest absolute value of the original image in the region, to a power: sub-bands' noise grows with it."""

    def _of(self, features: Features, image_type: str) -> float:
        return max(abs(features[f"original_firstorder_{end}"]) for end in ("Minimum", "Maximum"))


ZERO_SCALES = {
    "shape_LeastAxisLength": ZeroScale("shape_MajorAxisLength", is_root=True),
    "shape_MinorAxisLength": ZeroScale("shape_MajorAxisLength", is_root=True),
    "shape_Flatness": ZeroScale(is_root=True),
    "shape_Elongation": ZeroScale(is_root=True),
    "firstorder_Mean": HounsfieldScale(),
    "firstorder_MeanAbsoluteDeviation": HounsfieldScale(),
    "firstorder_RobustMeanAbsoluteDeviation": HounsfieldScale(),
    "firstorder_Variance": HounsfieldScale(power=2),
    "firstorder_Skewness": ZeroScale(),
    "glcm_ClusterShade": ZeroScale("glcm_ClusterProminence", 0.75),
    "glcm_Correlation": ZeroScale(),
    "glcm_DifferenceEntropy": ZeroScale(),
    "glcm_DifferenceVariance": ZeroScale("glcm_Contrast"),
    "glcm_Imc1": ZeroScale(),
    "glcm_Imc2": ZeroScale(is_root=True),
    "glcm_MCC": ZeroScale(is_root=True),
}
"""Features that are zero in exact arithmetic for some region, or differences that cancel."""


@dataclass
class Comparison:
    """What came of comparing the features of many regions.

    Attributes
    ----------
    compared: number of values.
    worst: class -> greatest relative difference of two values, with case and feature.
    zeros: `class_feature` -> number of values that are equal by their scale alone.
    failures: a line for each pair of values that is not equal.
    """

    compared: int = 0
    worst: dict[str, tuple[float, str]] = field(default_factory=dict)
    zeros: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def add(self, found: Features, expected: Features, where: str) -> None:
        """Compare a region's features, named as pyradiomics names them (`original_shape_Elongation`)."""
        if set(found) != set(expected):
            self.failures.append(f"{where}: other features, {sorted(set(found) ^ set(expected))[:5]}")
        for name in expected.keys() & found.keys():
            self._add_value(name, found[name], expected, where)

    def _add_value(self, name: str, value: float, expected: Features, where: str) -> None:
        self.compared += 1
        reference = expected[name]
        if value == reference or (math.isnan(value) and math.isnan(reference)):
            return
        image_type, feature = name.split("_", 1)
        error = abs(value - reference) / max(abs(value), abs(reference))
        scale = ZERO_SCALES.get(feature)
        if error <= RELATIVE:
            feature_class = feature.split("_")[0]
            self.worst[feature_class] = max(self.worst.get(feature_class, (0.0, "")), (error, f"{where}: {name}"))
        elif scale is not None and scale.holds(value, reference, expected, image_type):
            self.zeros[feature] = self.zeros.get(feature, 0) + 1
        else:
            self.failures.append(f"{where}: {name} is {value!r} instead of {reference!r}")

    def report(self) -> str:
        """The number of values, the worst difference of each class, and the features equal by their scale alone."""
        lines = [f"{self.compared} values, {len(self.failures)} not equal"]
        lines += [f"  {name}: worst {error:.1e}, {where}" for name, (error, where) in sorted(self.worst.items())]
        zeros = ", ".join(f"{feature} ({count})" for feature, count in sorted(self.zeros.items()))
        return "\n".join([*lines, f"  zero in exact arithmetic: {zeros or 'none'}"])


def compared(
    extract: Callable[[PreparedCase], Mapping[Region, Features]],
    reference: Callable[[sitk.Image, sitk.Image], Features],
    cases: Iterable[PreparedCase],
) -> Comparison:
    """Compare what an engine extracts from both regions of some cases with the reference of each image and mask."""
    comparison = Comparison()
    for prepared in cases:
        found = extract(prepared)
        for region in REGIONS:
            with quiet_pyradiomics():
                expected = reference(prepared.image, getattr(prepared, region))
            comparison.add(found[region], expected, f"{prepared.case_id}, {region}")
    return comparison


def plain_pyradiomics(image: sitk.Image, mask: sitk.Image) -> dict[str, float]:
    """The 851 features of a region by pyradiomics' own `execute`, NaN where it has none."""
    extractor = _extractor(FEATURES_OF_CLASS)
    extractor.enableImageTypes(Original={}, Wavelet={})
    return {name: float(value) for name, value in extractor.execute(image, mask).items()}


def pyradiomics_shape(image: sitk.Image, mask: sitk.Image) -> dict[str, float]:
    """The 14 shape features of a region by pyradiomics' own `execute`."""
    return {name: float(value) for name, value in _extractor(("shape",)).execute(image, mask).items()}


def _extractor(classes: Iterable[str]):
    extractor = pytest.importorskip("radiomics.featureextractor").RadiomicsFeatureExtractor(**SETTINGS)
    extractor.disableAllImageTypes()
    extractor.enableImageTypes(Original={})
    extractor.disableAllFeatures()
    for name in classes:
        extractor.enableFeatureClassByName(name)
    return extractor
