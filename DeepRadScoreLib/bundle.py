"""A trained model on disk: one zip of readable JSON, safetensors and skops, every part under its hash. No pickle."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from DeepRadScoreLib.errors import BundleError, OutputError
from DeepRadScoreLib.fusion.columns import REGION_COLUMNS, DeepColumns, NetworkOutputs, RegionScores, Scale
from DeepRadScoreLib.fusion.model import FusionModel
from DeepRadScoreLib.radscore.names import REGIONS, region_columns
from DeepRadScoreLib.radscore.radscore import RadScore

if TYPE_CHECKING:
    from DeepRadScoreLib.deepct.network import DeepCT

SCHEMA = "deepradscore.bundle/1"
MODELS = ("radiomics-score", "deep-ct", "deep-radscore")
MANIFEST = "manifest.json"
SCORES = "radscores.json"
DEEP_ARRAYS = ("centre", "axes", "readout")
FIRST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


class ValidationCard(BaseModel):
    """A model on the held-out patients; AUC and interval are null with a flag where they cannot be given."""

    auc: float | None = None
    auc_ci: tuple[float, float] | None = None
    n: int
    positives: int
    flag: str | None = None


class EndpointCard(BaseModel):
    """One endpoint of a bundle: whether it is modelled, from how many patients, how, and how good it was."""

    modelled: bool
    reason: str | None = None
    n: int
    positives: int
    rule: str | None = None
    classifier: dict[str, str] = {}
    cv_auc: dict[str, float] = {}
    validation: dict[str, ValidationCard] = {}
    shift: dict[str, tuple[float, float]] = {}


class Manifest(BaseModel):
    """What a bundle says of itself."""

    model_config = ConfigDict(populate_by_name=True)
    schema_: str = Field(SCHEMA, alias="schema")
    name: str
    label: str | None
    protocol: Literal["strict", "paper"]
    network: Literal["shared", "per-endpoint", "frozen"]
    backbone: str
    weights: str
    pixels: int
    preprocessing: Literal["canonical", "pyradiomics"]
    shell_mm: float
    seed: int
    synthetic: bool
    settings: dict[str, Any]
    trained_on: dict[str, Any]
    endpoints: dict[str, EndpointCard]
    versions: dict[str, str]
    networks: list[dict[str, dict[str, Any]]] = []
    files: dict[str, str] = {}


@dataclass(frozen=True)
class EndpointModel:
    """Everything that turns the features and networks' outputs of a case into one endpoint's probability.

    Attributes
    ----------
    regions: the RadScores refitted on all training patients.
    fold_regions: those of each fold, for the spread; empty where the protocol has none.
    background: rows of the fused columns from the training part, for SHAP.
    """

    key: str
    regions: RegionScores
    fold_regions: tuple[RegionScores, ...]
    deep: DeepColumns
    fusion: FusionModel
    background: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.deep.names, *REGION_COLUMNS)

    def columns(self, features: pd.DataFrame, outputs: Sequence[NetworkOutputs]) -> np.ndarray:
        """The fused model's columns, (n, 3) or (n, 12)."""
        return np.hstack([self.deep.columns(outputs, self.key), self.regions.columns(features)])

    def probability(self, columns: np.ndarray) -> np.ndarray:
        """Calibrated probability of the positive class, (n,)."""
        return self.fusion.predict_proba(columns)[:, 1]

    def fold_probabilities(self, features: pd.DataFrame, outputs: Sequence[NetworkOutputs]) -> np.ndarray:
        """The same with each fold's own RadScores and network, (folds, n)."""
        rows = [
            self.probability(np.hstack([self.deep.of_network(outputs, self.key, fold), regions.columns(features)]))
            for fold, regions in enumerate(self.fold_regions)
        ]
        return np.array(rows).reshape(len(rows), len(features))


@dataclass(frozen=True)
class Bundle:
    """A trained model. `networks` holds one dictionary per fold: "shared" or an endpoint key -> network."""

    manifest: Manifest
    networks: tuple[dict[str, DeepCT], ...]
    endpoints: dict[str, EndpointModel]
    sha256: str = ""


def write_bundle(bundle: Bundle, path: Path) -> str:
    """Write a bundle under a temporary name, then rename it; returns the SHA-256 of its manifest.

    Raises
    ------
    OutputError: the place cannot be written.
    """
    from DeepRadScoreLib.deepct.network import network_to_bytes

    parts: dict[str, bytes] = {SCORES: _scores_to_json(bundle.endpoints)}
    specs: list[dict[str, dict[str, Any]]] = []
    for number, networks in enumerate(bundle.networks, start=1):
        specs.append({name: asdict(network.spec) for name, network in networks.items()})
        for name, network in networks.items():
            parts[f"networks/{number}/{name}.safetensors"] = network_to_bytes(network)
    for key, model in bundle.endpoints.items():
        parts[f"classifiers/{key}.skops"] = model.fusion.to_bytes()
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(parts.items())}
    manifest = bundle.manifest.model_copy(update={"files": hashes, "networks": specs})
    text = manifest.model_dump_json(by_alias=True, indent=1).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as stream:
            try:
                with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
                    for name, data in [(MANIFEST, text), *sorted(parts.items())]:
                        archive.writestr(zipfile.ZipInfo(name, FIRST_ZIP_DATE), data)
                stream.close()
                Path(stream.name).chmod(0o666 & ~_umask())
                Path(stream.name).replace(path)
            except BaseException:
                Path(stream.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise OutputError(
            f"the bundle cannot be written ({error.strerror})", where=str(path), mend="choose a place you may write to"
        ) from error
    return hashlib.sha256(text).hexdigest()


def read_manifest(path: Path) -> Manifest:
    """The manifest of a bundle, after every part was held against its hash.

    Raises
    ------
    BundleError: no such file, not a bundle, another schema version, a missing or changed part (named).
    """
    return _read_parts(path)[0]


def read_bundle(path: Path) -> Bundle:
    """Read a whole bundle; raises what `read_manifest` raises, and BundleError for a classifier of a foreign type."""
    from DeepRadScoreLib.deepct.network import NetworkSpec, network_from_bytes

    manifest, parts, sha256 = _read_parts(path)
    networks = tuple(
        {
            name: network_from_bytes(
                parts[f"networks/{number}/{name}.safetensors"],
                NetworkSpec(**{**spec, "endpoints": tuple(spec["endpoints"])}),
            )
            for name, spec in specs.items()
        }
        for number, specs in enumerate(manifest.networks, start=1)
    )
    scores = json.loads(parts[SCORES])
    endpoints = {key: _endpoint_from_json(key, scores[key], parts[f"classifiers/{key}.skops"]) for key in scores}
    return Bundle(manifest, networks, endpoints, sha256)


def _read_parts(path: Path) -> tuple[Manifest, dict[str, bytes], str]:
    if not path.is_file():
        what = "this is a folder" if path.is_dir() else "the file does not exist"
        raise BundleError(what, where=str(path), mend='give the path of a bundle made by "deepradscore train"')
    try:
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        text = parts.pop(MANIFEST)
        raw = json.loads(text)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, OSError, KeyError, ValueError, EOFError) as error:
        changed = f" ({error})" if isinstance(error, zipfile.BadZipFile) else ""
        raise BundleError(
            f"this is not a whole bundle{changed}", where=str(path), mend="copy the bundle again from its source"
        ) from error
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if schema != SCHEMA:
        raise BundleError(
            f'the bundle has the schema "{schema}", this program reads "{SCHEMA}"',
            where=str(path),
            mend="train it again, or use the program version that made it",
        )
    try:
        manifest = Manifest.model_validate(raw)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise BundleError(
            f'the field "{field}" of its manifest is not valid', where=str(path), mend="train the model again"
        ) from error
    needed = {SCORES, *(f"classifiers/{key}.skops" for key, card in manifest.endpoints.items() if card.modelled)}
    for name in sorted(set(manifest.files) | set(parts) | needed):
        if name not in manifest.files or hashlib.sha256(parts.get(name, b"")).hexdigest() != manifest.files[name]:
            raise BundleError(
                f'its part "{name}" is not what was written', where=str(path), mend="copy the bundle again"
            )
    return manifest, parts, hashlib.sha256(text).hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _scores_to_json(endpoints: dict[str, EndpointModel]) -> bytes:
    return json.dumps({key: _endpoint_to_json(model) for key, model in endpoints.items()}, indent=1).encode()


def _endpoint_to_json(model: EndpointModel) -> dict[str, Any]:
    deep = model.deep
    return {
        "regions": _regions_to_json(model.regions),
        "fold_regions": [_regions_to_json(regions) for regions in model.fold_regions],
        "deep": {
            "kind": deep.kind,
            "scales": [asdict(scale) for scale in deep.scales],
            **{name: None if getattr(deep, name) is None else getattr(deep, name).tolist() for name in DEEP_ARRAYS},
        },
        "background": model.background.tolist(),
    }


def _endpoint_from_json(key: str, stored: dict[str, Any], classifier: bytes) -> EndpointModel:
    deep = stored["deep"]
    return EndpointModel(
        key=key,
        regions=_regions_from_json(stored["regions"]),
        fold_regions=tuple(_regions_from_json(regions) for regions in stored["fold_regions"]),
        deep=DeepColumns(
            deep["kind"],
            tuple(Scale(**scale) for scale in deep["scales"]),
            *(None if deep[name] is None else np.array(deep[name]) for name in DEEP_ARRAYS),
        ),
        fusion=FusionModel.from_bytes(classifier),
        background=np.array(stored["background"]),
    )


def _regions_to_json(regions: RegionScores) -> dict[str, Any]:
    return {
        region: {
            "radscore": {**regions.radscores[region].to_dict(), "columns": None},
            "scale": asdict(regions.scales[region]),
        }
        for region in REGIONS
    }


def _regions_from_json(stored: dict[str, Any]) -> RegionScores:
    return RegionScores(
        {
            region: RadScore.from_dict({**stored[region]["radscore"], "columns": list(region_columns(region))})
            for region in REGIONS
        },
        {region: Scale(**stored[region]["scale"]) for region in REGIONS},
    )
