"""`profile.json`: a molecular profile as JSON that programs can rely on, without any time, host or path."""

from __future__ import annotations

import math
from typing import Annotated, Any, Final, Literal, TypeVar

import SimpleITK as sitk
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, field_validator

from DeepRadScoreLib.analyses.findings import Finding, MolecularProfile
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.errors import InputError, Where
from DeepRadScoreLib.imaging.carriers import PATCH_PIXELS, PreparedCase, Severity
from DeepRadScoreLib.models import Engine, Flag, Preprocessing

SCHEMA: Final = "deepradscore.profile/2"
EntryType = TypeVar("EntryType", bound="_Entry")
Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
Amount = Annotated[FiniteFloat, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]


class _Entry(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, json_schema_serialization_defaults_required=True
    )


class ModelEntry(_Entry):
    """The bundle that gave the findings; `sha256` is that of its manifest.

    `engine` computed its training features; `limits`: whether it knows the limits of its training data.
    """

    name: str
    sha256: str
    protocol: str
    weights: str
    network: str
    backbone: str
    synthetic: bool
    engine: str = "pyradiomics"
    limits: bool = False


class TumourEntry(_Entry):
    """The tumour: `volume_ml` of the mask on its own grid; volume and voxels on the 1 mm lattice of the features.

    Long axis: the longest diameter in a slice; short axis: the longest one at right angles to it in that slice. Older
    profiles lack the axes. Without `lattice_volume_ml`, in older profiles too, `volume_ml` is that of the lattice.
    """

    volume_ml: Amount
    lattice_volume_ml: Amount | None = None
    voxels: Count
    long_axis_mm: Amount | None = None
    short_axis_mm: Amount | None = None

    @property
    def on_lattice_ml(self) -> float:
        """Volume on the 1 mm lattice, in mL."""
        return self.volume_ml if self.lattice_volume_ml is None else self.lattice_volume_ml


class PeritumoralEntry(_Entry):
    """The peritumoral shell on the 1 mm lattice."""

    volume_ml: Amount
    voxels: Count
    thickness_mm: Amount


class PatchEntry(_Entry):
    """The deep patch: `centre_ijk` in the LPS-ordered CT (from 0; `slice` is its k), the same point in LPS mm."""

    slice: int
    centre_ijk: tuple[int, int, int]
    centre_lps_mm: tuple[FiniteFloat, FiniteFloat, FiniteFloat]
    area_mm2: Amount
    cut_off_share: Share


class RegionsEntry(_Entry):
    """The three regions of interest."""

    tumour: TumourEntry
    peritumoral: PeritumoralEntry
    patch: PatchEntry


class QualityEntry(_Entry):
    """One remark on the case."""

    code: str
    severity: Severity
    message: str


class ReasonEntry(_Entry):
    """One measure that is unlike training, and its range there."""

    what: str
    value: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat


class LikenessEntry(_Entry):
    """The share of training patients, in percent, that lie nearer to their middle than this case, and why."""

    percentile: Annotated[FiniteFloat, Field(ge=0, le=100)]
    reasons: tuple[ReasonEntry, ...]


class LabelSetEntry(_Entry):
    """The words for the endpoint that cannot be ruled out at `level` (class-conditional conformal prediction)."""

    labels: tuple[str, ...]
    level: Share


class VariantsEntry(_Entry):
    """Lowest and highest probability over `n` plausible masks of the tumour."""

    low: Share
    high: Share
    n: Count


class EndpointEntry(_Entry):
    """One finding. Whatever may not be given is null, and `flags` say why.

    `spread` is the lowest and highest probability over the fold models, not an interval. `shap` holds the contribution
    of each column to the model's score before calibration; `shap_base` and they add up to that score.
    """

    probability: Share | None
    interval: tuple[Share, Share] | None
    interval_method: str | None
    decision: str | None
    threshold: Share | None
    spread: tuple[Share, Share] | None
    flags: tuple[str, ...]
    radscore_tumour: FiniteFloat | None
    radscore_peritumoral: FiniteFloat | None
    shap: dict[str, FiniteFloat] | None
    shap_base: FiniteFloat | None
    validation_auc: Share | None
    validation_auc_ci: tuple[Share, Share] | None
    validation_n: Count | None
    validation_positives: Count | None
    label_set: LabelSetEntry | None = None
    variants: VariantsEntry | None = None


Endpoints = Annotated[
    dict[str, EndpointEntry],
    Field(json_schema_extra={"required": list(KEYS), "propertyNames": {"enum": list(KEYS)}}),
]


class ProvenanceEntry(_Entry):
    """What a profile was made from, and by what: the version of the program and of the packages that decide the values,
    the SHA-256 of each image as it was read (voxels and geometry), and the settings. No time, host or path."""

    program: str
    versions: dict[str, str]
    inputs: dict[str, str]
    settings: dict[str, str | FiniteFloat]


class ProfileDocument(_Entry):
    """The whole of `profile.json`; a `label` that is not null stays in view wherever numbers are shown.

    `engine` computed the features of this case; without the field it was pyradiomics. Schema 1 has neither `likeness`
    nor `prevalence`, no `engine` and `limits` of the model, no `label_set` and `variants` of an endpoint, and no
    `interval`.
    """

    schema_: Literal["deepradscore.profile/1", "deepradscore.profile/2"] = Field(alias="schema")
    case_id: str
    preprocessing: Preprocessing
    engine: Engine = Engine.PYRADIOMICS
    label: str | None
    model: ModelEntry | None
    regions: RegionsEntry
    quality: tuple[QualityEntry, ...]
    likeness: LikenessEntry | None = None
    prevalence: dict[str, Share] | None = None
    provenance: ProvenanceEntry | None = None
    endpoints: Endpoints

    @field_validator("endpoints")
    @classmethod
    def _exactly_the_keys(cls, endpoints: dict[str, EndpointEntry]) -> dict[str, EndpointEntry]:
        if set(endpoints) != set(KEYS):
            raise ValueError("needs exactly the keys " + " ".join(KEYS))
        return {key: endpoints[key] for key in KEYS}


def to_profile_json(profile: MolecularProfile) -> str:
    """The text of `profile.json`: the same profile gives the same text, to the last byte."""
    return to_document(profile).model_dump_json(by_alias=True, indent=1) + "\n"


def from_profile_json(text: str | bytes, *, where: Where = "profile.json") -> ProfileDocument:
    """Read a profile that `to_profile_json` wrote; bytes are UTF-8.

    Raises
    ------
    InputError: not JSON, another schema version, or a field that is missing or not valid; `where` is named.
    """
    try:
        return ProfileDocument.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(name) for name in first["loc"]) or "the file"
        reason = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise InputError(
            f'"{field}" is not valid ({reason[:1].lower()}{reason[1:]})',
            where=where,
            mend=f'give a file of the schema "{SCHEMA}", as `analyze` writes it',
        ) from error


def profile_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of `profile.json`, as this program writes it."""
    return ProfileDocument.model_json_schema(by_alias=True, mode="serialization")


def to_document(profile: MolecularProfile) -> ProfileDocument:
    """The profile as the pydantic model of its JSON; numbers that are not finite become null."""
    findings = {key: Finding(key, flags=(Flag.NOT_MODELLED,)) for key in KEYS} | profile.findings
    return ProfileDocument(
        schema=SCHEMA,
        case_id=profile.case_id,
        preprocessing=profile.prepared.preprocessing,
        engine=profile.engine,
        label=profile.label,
        model=_entry(ModelEntry, profile.model),
        regions=_regions(profile.prepared),
        quality=tuple(QualityEntry.model_validate(note, from_attributes=True) for note in profile.quality),
        likeness=_entry(LikenessEntry, profile.likeness),
        prevalence=profile.prevalence or None,
        provenance=_entry(ProvenanceEntry, profile.provenance),
        endpoints={key: _endpoint(findings[key]) for key in KEYS},
    )


def _regions(prepared: PreparedCase) -> RegionsEntry:
    patch = prepared.patch
    middle = PATCH_PIXELS // 2
    lattice_ml = prepared.volume_ml("tumour")
    long_axis, short_axis = prepared.axes_mm or (None, None)
    return RegionsEntry(
        tumour=TumourEntry(
            volume_ml=lattice_ml if prepared.mask_ml is None else prepared.mask_ml,
            lattice_volume_ml=lattice_ml,
            voxels=_voxels(prepared.tumour),
            long_axis_mm=long_axis,
            short_axis_mm=short_axis,
        ),
        peritumoral=PeritumoralEntry(
            volume_ml=prepared.volume_ml("peritumoral"),
            voxels=_voxels(prepared.peritumoral),
            thickness_mm=prepared.shell_mm,
        ),
        patch=PatchEntry(
            slice=patch.centre_ijk[2],
            centre_ijk=patch.centre_ijk,
            centre_lps_mm=patch.image.TransformIndexToPhysicalPoint((middle, middle, 0)),
            area_mm2=patch.area_mm2,
            cut_off_share=min(max(patch.cut_off_share, 0.0), 1.0),
        ),
    )


def _voxels(mask: sitk.Image) -> int:
    return int((sitk.GetArrayViewFromImage(mask) != 0).sum())


def _endpoint(finding: Finding) -> EndpointEntry:
    probability = _finite(finding.probability)
    given = probability is not None
    not_finite = (Flag.NOT_FINITE,) if finding.probability is not None and not given else ()
    validation = finding.validation
    return EndpointEntry(
        probability=probability,
        interval=_finite_pair(finding.interval) if given else None,
        interval_method=finding.interval_method if given else None,
        decision=finding.decision if given else None,
        threshold=_finite(finding.threshold),
        spread=_finite_pair(finding.spread) if given else None,
        flags=(*finding.flags, *not_finite),
        radscore_tumour=_finite(finding.radscore_tumour),
        radscore_peritumoral=_finite(finding.radscore_peritumoral),
        shap=_finite_values(finding.shap) if given else None,
        shap_base=_finite(finding.shap_base) if given else None,
        validation_auc=None if validation is None else _finite(validation.auc),
        validation_auc_ci=None if validation is None else _finite_pair(validation.auc_ci),
        validation_n=None if validation is None else validation.n,
        validation_positives=None if validation is None else validation.positives,
        label_set=_entry(LabelSetEntry, finding.label_set) if given else None,
        variants=_entry(VariantsEntry, finding.variants) if given else None,
    )


def _entry(entry: type[EntryType], value: object | None) -> EntryType | None:
    return None if value is None else entry.model_validate(value, from_attributes=True)


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _finite_pair(pair: tuple[float, float] | None) -> tuple[float, float] | None:
    """The pair, None unless both are finite."""
    low, high = (None, None) if pair is None else map(_finite, pair)
    return None if low is None or high is None else (low, high)


def _finite_values(values: dict[str, float]) -> dict[str, float] | None:
    """The values, None where there are none or one is not finite."""
    finite = {name: float(value) for name, value in values.items() if math.isfinite(value)}
    return finite if finite and len(finite) == len(values) else None
