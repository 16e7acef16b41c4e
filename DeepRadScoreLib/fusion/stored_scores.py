"""The schema of `radscores.json` in a bundle: RadScores, deep columns and SHAP background of each endpoint."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, TypeAdapter, model_validator

from DeepRadScoreLib.deepct.outputs import N_DEEP
from DeepRadScoreLib.json_text import checked_values
from DeepRadScoreLib.radscore.names import FEATURE_NAMES, REGIONS, Region
from DeepRadScoreLib.radscore.selection import Rule

Positive = Annotated[float, Field(gt=0)]
MAX_ROWS = 10_000
MAX_FOLDS = 100


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, str_max_length=200)


class StoredScale(_Stored):
    """A z-score's mean and standard deviation."""

    mean: float
    sd: Positive


class StoredFeature(_Stored):
    """A selected feature."""

    name: str
    column: int = Field(ge=0, lt=len(FEATURE_NAMES))
    mean: float
    sd: Positive
    coefficient: float


class StoredRadScore(_Stored):
    """A region's RadScore."""

    features: list[StoredFeature] = Field(min_length=1, max_length=len(FEATURE_NAMES))
    rule: Rule
    lasso_empty: bool
    funnel: dict[str, NonNegativeInt]
    n_columns: int = Field(ge=len(FEATURE_NAMES), le=len(FEATURE_NAMES))
    columns: None


class StoredRegion(_Stored):
    """A region's RadScore and its scale."""

    radscore: StoredRadScore
    scale: StoredScale


class StoredRegions(_Stored):
    """The RadScores of both regions."""

    tumour: StoredRegion
    peritumoral: StoredRegion

    @model_validator(mode="after")
    def _names_are_those_of_columns(self) -> Self:
        for region in REGIONS:
            _check_features(region, getattr(self, region).radscore.features)
        return self


def _check_features(region: Region, features: list[StoredFeature]) -> None:
    columns = [feature.column for feature in features]
    if sorted(set(columns)) != columns:
        raise ValueError(f"the columns of its {region} features do not ascend")
    for feature in features:
        named = f"{region}_{FEATURE_NAMES[feature.column]}"
        if feature.name != named:
            raise ValueError(f'the column {feature.column} is "{named}", not "{feature.name}"')


class StoredDeep(_Stored):
    """How the deep columns are made of the networks' outputs."""

    kind: Literal["logit", "units", "pca"]
    scales: list[StoredScale] = Field(max_length=MAX_FOLDS)
    centre: list[float] | None
    axes: list[list[float]] | None
    readout: list[float] | None

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        if bool(self.scales) != (self.kind == "logit"):
            raise ValueError(f'scales do not belong to deep columns of the kind "{self.kind}", or are missing')
        arrays = (self.centre, self.axes, self.readout)
        if any((array is None) == (self.kind == "pca") for array in arrays):
            raise ValueError(f'centre, axes and readout do not belong to the kind "{self.kind}", or are missing')
        if self.centre is not None and self.axes is not None and self.readout is not None:
            lengths = {len(self.centre), len(self.readout), *map(len, self.axes)}
            if len(self.axes) != N_DEEP or len(lengths) != 1 or 0 in lengths:
                raise ValueError(f"centre, {N_DEEP} axes and readout do not have one length")
        return self

    @property
    def columns(self) -> int:
        """Number of deep columns."""
        return 1 if self.kind == "logit" else N_DEEP


class StoredEndpoint(_Stored):
    """One endpoint; bundles of schema 1 do not say how scores are averaged, older ones of schema 2 not whose it is."""

    endpoint: str | None = None
    regions: StoredRegions
    fold_regions: list[StoredRegions] = Field(max_length=MAX_FOLDS)
    deep: StoredDeep
    background: list[list[float]] = Field(min_length=1, max_length=MAX_ROWS)
    averaged: bool = False

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if {len(row) for row in self.background} != {self.deep.columns + len(REGIONS)}:
            raise ValueError(f"the rows of its background do not have {self.deep.columns + len(REGIONS)} columns")
        if self.deep.scales and self.fold_regions and len(self.deep.scales) != len(self.fold_regions):
            raise ValueError(
                f"it has scales of {len(self.deep.scales)} networks and {len(self.fold_regions)} fold_regions"
            )
        return self


SCORES = TypeAdapter(dict[str, StoredEndpoint])


def read_scores(data: bytes, name: str) -> dict[str, dict[str, Any]]:
    """Endpoint -> the values of `EndpointModel.to_dict`, checked.

    Raises
    ------
    BundleError: a field is missing, not known, of another type or range, or does not fit another.
    """
    return checked_values(SCORES, data, name)
