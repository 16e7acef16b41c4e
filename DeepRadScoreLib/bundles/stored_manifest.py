"""The manifest of a bundle read and checked, and what the other parts have to be by it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, TypeAdapter

from DeepRadScoreLib.archive import refused_field
from DeepRadScoreLib.bundles.manifest import READABLE, Manifest
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.errors import BundleError
from DeepRadScoreLib.imaging.origin import synthetic_label
from DeepRadScoreLib.json_text import parse_json, validated, validated_value
from DeepRadScoreLib.models import NetworkForm, Protocol

NAME = "manifest.json"
SHARED = "shared"
Count = NonNegativeInt
Sha256 = Annotated[str, Field(pattern="^([0-9a-f]{64})?$")]


class TrainedOn(BaseModel):
    """The field `trained_on`; older bundles lack those that have a default."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, str_max_length=10_000)
    cohort: str
    cohort_sha256: Sha256 = ""
    limits_features_sha256: Sha256 = ""
    training_patients: Count
    held_out_patients: Count
    held_out_by: str = ""
    duplicates: Count = 0
    lung_masks: Count = 0
    cases: Count
    left_out: dict[str, str]
    left_out_by_quality: dict[str, Count] = {}
    quality: dict[str, Count] = {}
    sites: dict[str, Count]
    pdl1_rules: dict[str, Count] = {}
    cd8a_cut: float | None = None


class NetworkCard(BaseModel):
    """The architecture of one network, see `NetworkSpec`."""

    model_config = ConfigDict(extra="forbid")
    backbone: str
    endpoints: list[str] = Field(min_length=1, max_length=len(KEYS))
    n_radscores: Annotated[int, Field(multiple_of=2, ge=0, le=2)] = 0
    pixels: int


MANIFEST = TypeAdapter(Manifest)
TRAINED_ON = TypeAdapter(TrainedOn)
NETWORKS = TypeAdapter(list[dict[str, NetworkCard]])


def parse_manifest(data: bytes) -> Manifest:
    """The manifest in `manifest.json`.

    Raises
    ------
    BundleError: another schema version; a field is missing, not known, of another type or range, or does not fit
        another.
    """
    raw = parse_json(data, NAME)
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if not isinstance(schema, str) or schema not in READABLE:
        raise BundleError(
            f'the bundle has the schema "{str(schema)[:100]}", this program reads {" and ".join(READABLE)}',
            mend="train it again, or use the program version that made it",
        )
    manifest = validated(MANIFEST, data, NAME)
    validated_value(TRAINED_ON, raw["trained_on"], NAME, "trained_on")
    if manifest.label != synthetic_label(manifest.synthetic):
        raise refused_field(NAME, "label", "it is not the label of what was trained on such cases")
    _check_networks(manifest, validated_value(NETWORKS, raw.get("networks", []), NAME, "networks"))
    return manifest


def parts_of(manifest: Manifest) -> set[str]:
    """Names of all parts that the bundle has besides its manifest and its limits."""
    networks = {
        network_part(number, name) for number, member in enumerate(manifest.networks, start=1) for name in member
    }
    return networks | {classifier_part(key) for key in modelled(manifest)}


def network_part(number: int, name: str) -> str:
    """The part of a network of the fold of that number, from 1."""
    return f"networks/{number}/{name}.safetensors"


def classifier_part(key: str) -> str:
    """The part of an endpoint's fused model."""
    return f"classifiers/{key}.skops"


def modelled(manifest: Manifest) -> tuple[str, ...]:
    """The modelled endpoints, in the order of `KEYS`."""
    return tuple(key for key in KEYS if key in manifest.endpoints and manifest.endpoints[key].modelled)


def _check_networks(manifest: Manifest, folds: list[dict[str, NetworkCard]]) -> None:
    keys = modelled(manifest)
    if bool(keys) != bool(folds):
        raise refused_field(
            NAME, "networks", f"it has networks of {len(folds)} folds and {len(keys)} modelled endpoints"
        )
    one_each = manifest.network == NetworkForm.PER_ENDPOINT or (
        manifest.network == NetworkForm.FROZEN and manifest.protocol == Protocol.PAPER
    )
    heads = {key: [key] for key in keys} if one_each else {SHARED: list(keys)}
    for number, member in enumerate(folds):
        if set(member) != set(heads):
            raise refused_field(NAME, f"networks.{number}", f"it does not have the networks {', '.join(heads)}")
        for name, card in member.items():
            wanted: dict[str, Any] = {
                "backbone": manifest.backbone,
                "pixels": manifest.pixels,
                "endpoints": heads[name],
                "n_radscores": folds[0][name].n_radscores,
            }
            for field, value in wanted.items():
                if getattr(card, field) != value:
                    raise refused_field(
                        NAME, f"networks.{number}.{name}.{field}", f"it is not {value}, as the manifest says"
                    )
