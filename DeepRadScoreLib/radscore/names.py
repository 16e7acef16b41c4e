"""The 851 features of a region, named and ordered as by pyradiomics, and the 1702 columns of a case."""

from __future__ import annotations

from typing import Literal

Region = Literal["tumour", "peritumoral"]
REGIONS: tuple[Region, ...] = ("tumour", "peritumoral")

SHAPE = "shape"
FEATURES_OF_CLASS: dict[str, tuple[str, ...]] = {
    name: tuple(features.split())
    for name, features in {
        "shape": (
            "Elongation Flatness LeastAxisLength MajorAxisLength Maximum2DDiameterColumn Maximum2DDiameterRow "
            "Maximum2DDiameterSlice Maximum3DDiameter MeshVolume MinorAxisLength Sphericity SurfaceArea "
            "SurfaceVolumeRatio VoxelVolume"
        ),
        "firstorder": (
            "10Percentile 90Percentile Energy Entropy InterquartileRange Kurtosis Maximum MeanAbsoluteDeviation "
            "Mean Median Minimum Range RobustMeanAbsoluteDeviation RootMeanSquared Skewness TotalEnergy "
            "Uniformity Variance"
        ),
        "glcm": (
            "Autocorrelation ClusterProminence ClusterShade ClusterTendency Contrast Correlation "
            "DifferenceAverage DifferenceEntropy DifferenceVariance Id Idm Idmn Idn Imc1 Imc2 InverseVariance "
            "JointAverage JointEnergy JointEntropy MCC MaximumProbability SumAverage SumEntropy SumSquares"
        ),
        "glrlm": (
            "GrayLevelNonUniformity GrayLevelNonUniformityNormalized GrayLevelVariance HighGrayLevelRunEmphasis "
            "LongRunEmphasis LongRunHighGrayLevelEmphasis LongRunLowGrayLevelEmphasis LowGrayLevelRunEmphasis "
            "RunEntropy RunLengthNonUniformity RunLengthNonUniformityNormalized RunPercentage RunVariance "
            "ShortRunEmphasis ShortRunHighGrayLevelEmphasis ShortRunLowGrayLevelEmphasis"
        ),
        "glszm": (
            "GrayLevelNonUniformity GrayLevelNonUniformityNormalized GrayLevelVariance HighGrayLevelZoneEmphasis "
            "LargeAreaEmphasis LargeAreaHighGrayLevelEmphasis LargeAreaLowGrayLevelEmphasis "
            "LowGrayLevelZoneEmphasis SizeZoneNonUniformity SizeZoneNonUniformityNormalized SmallAreaEmphasis "
            "SmallAreaHighGrayLevelEmphasis SmallAreaLowGrayLevelEmphasis ZoneEntropy ZonePercentage ZoneVariance"
        ),
        "ngtdm": "Busyness Coarseness Complexity Contrast Strength",
        "gldm": (
            "DependenceEntropy DependenceNonUniformity DependenceNonUniformityNormalized DependenceVariance "
            "GrayLevelNonUniformity GrayLevelVariance HighGrayLevelEmphasis LargeDependenceEmphasis "
            "LargeDependenceHighGrayLevelEmphasis LargeDependenceLowGrayLevelEmphasis LowGrayLevelEmphasis "
            "SmallDependenceEmphasis SmallDependenceHighGrayLevelEmphasis SmallDependenceLowGrayLevelEmphasis"
        ),
    }.items()
}
SUB_BANDS: tuple[str, ...] = tuple(
    f"wavelet-{band}" for band in ("LLH", "LHL", "LHH", "HLL", "HLH", "HHL", "HHH", "LLL")
)
IMAGE_TYPES: tuple[str, ...] = ("original", *SUB_BANDS)
INTENSITY_CLASSES: tuple[str, ...] = tuple(name for name in FEATURES_OF_CLASS if name != SHAPE)

FEATURE_NAMES: tuple[str, ...] = (
    *(f"original_{SHAPE}_{feature}" for feature in FEATURES_OF_CLASS[SHAPE]),
    *(
        f"{image_type}_{name}_{feature}"
        for image_type in IMAGE_TYPES
        for name in INTENSITY_CLASSES
        for feature in FEATURES_OF_CLASS[name]
    ),
)


def region_columns(region: Region) -> tuple[str, ...]:
    """The 851 columns of one region in a feature table: pyradiomics' names prefixed with the region's."""
    return tuple(f"{region}_{name}" for name in FEATURE_NAMES)


FEATURE_COLUMNS: tuple[str, ...] = tuple(column for region in REGIONS for column in region_columns(region))
