"""A trained model on disk: one zip of readable JSON, safetensors and skops, every part under its hash. No pickle."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from DeepRadScoreLib.deepct.outputs import NetworkOutputs, merge_outputs
from DeepRadScoreLib.display.notebook import table_html
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.errors import BundleError, OutputError
from DeepRadScoreLib.fusion.columns import DeepColumns, RegionScores
from DeepRadScoreLib.fusion.inputs import checked_features, checked_patches
from DeepRadScoreLib.fusion.model import FusionModel
from DeepRadScoreLib.manifest import SCHEMA, Manifest
from DeepRadScoreLib.paths import AnyPath, as_path
from DeepRadScoreLib.progress import run_to_end
from DeepRadScoreLib.writing import replacing

if TYPE_CHECKING:
    from DeepRadScoreLib.deepct.network import DeepCT

MANIFEST = "manifest.json"
SCORES = "radscores.json"
FIRST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


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
        return (*self.deep.names, *self.regions.names)

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

    def __repr__(self) -> str:
        manifest = self.manifest
        label = "" if manifest.label is None else f", {manifest.label}"
        return f"Bundle({manifest.name}, protocol {manifest.protocol}: {', '.join(self.endpoints)}{label})"

    def _repr_html_(self) -> str:
        facts = (f"{name}: {value}" for name, value in self.manifest.facts().items())
        table = pd.DataFrame(self.manifest.endpoint_rows()).set_index("endpoint")
        return table_html("Bundle", table, label=self.manifest.label, notes=facts)

    def predict_proba(self, features: pd.DataFrame, patches: np.ndarray) -> pd.DataFrame:
        """Probability of each endpoint's positive class (cases x endpoints), as `analyze` gives it case by case.

        NaN where the model may give none: an endpoint that is not modelled, or in which training found no signal.
        `.attrs["label"]` is that of the bundle.

        Parameters
        ----------
        features: the 1702 columns of a feature table, one row per case, index or column case_id.
        patches: the deep patches of the same cases, (n, 160, 160), HU.

        Raises
        ------
        TypeError: `features` is no DataFrame.
        InputError: a column is missing, a cell holds no finite number, or the patches have another shape.
        """
        table = checked_features(features)
        outputs = self._outputs(checked_patches(patches, len(table)))
        columns = {key: self._probabilities(key, table, outputs) for key in KEYS}
        found = pd.DataFrame(columns, index=table.index)
        found.attrs["label"] = self.manifest.label
        return found

    def save(self, path: AnyPath) -> None:
        """Write the bundle as one file, see `write_bundle`."""
        write_bundle(self, path)

    def _outputs(self, patches: np.ndarray) -> list[NetworkOutputs]:
        from DeepRadScoreLib.deepct.device import one_thread
        from DeepRadScoreLib.deepct.network import deep_outputs

        with one_thread():
            return [
                merge_outputs([deep_outputs(network, patches, batch=1) for network in member.values()])
                for member in self.networks
            ]

    def _probabilities(self, key: str, features: pd.DataFrame, outputs: Sequence[NetworkOutputs]) -> np.ndarray:
        model = self.endpoints.get(key)
        if model is None or model.fusion.no_signal_:
            return np.full(len(features), np.nan)
        return model.probability(model.columns(features, outputs))


def write_bundle(bundle: Bundle, path: AnyPath) -> str:
    """Write a bundle in a folder of its own, then move it to its place; returns the SHA-256 of its manifest.

    Raises
    ------
    OutputError: the place cannot be written.
    """
    path = as_path(path, "the bundle")
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
        with replacing(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            for name, data in [(MANIFEST, text), *sorted(parts.items())]:
                archive.writestr(zipfile.ZipInfo(name, FIRST_ZIP_DATE), data)
    except OSError as error:
        raise OutputError(
            f"the bundle cannot be written ({error.strerror})", where=path, mend="choose a place you may write to"
        ) from error
    return hashlib.sha256(text).hexdigest()


def read_manifest(path: AnyPath) -> Manifest:
    """The manifest of a bundle, after every part was held against its hash.

    Raises
    ------
    BundleError: no such file, not a bundle, another schema version, a missing or changed part (named).
    """
    return run_to_end(_part_steps(path))[0]


def read_bundle(path: AnyPath) -> Bundle:
    """A whole bundle; see `bundle_steps` for what is raised."""
    return run_to_end(bundle_steps(path))


def bundle_steps(path: AnyPath) -> Generator[str, None, Bundle]:
    """Read a whole bundle in short steps; each label is yielded before its work is done.

    Raises
    ------
    BundleError: as `read_manifest`, before anything is made of what was read; a classifier of a foreign type.
    """
    manifest, parts, sha256 = yield from _part_steps(path)
    networks = yield from _network_steps(manifest, parts)
    yield "reading the RadScores"
    scores = json.loads(parts[SCORES])
    yield "loading the library of stored classifiers"
    import skops.io  # noqa: F401 - reading the first one would import it

    endpoints = {}
    for key in scores:
        yield f"reading the model of {key}"
        endpoints[key] = _endpoint_from_json(key, scores[key], parts[f"classifiers/{key}.skops"])
    return Bundle(manifest, networks, endpoints, sha256)


def _network_steps(manifest: Manifest, parts: dict[str, bytes]) -> Generator[str, None, tuple[dict[str, DeepCT], ...]]:
    if not manifest.networks:
        return ()
    yield "loading the network library"
    from DeepRadScoreLib.deepct.network import NetworkSpec, network_from_bytes

    yield "loading the library of backbones"
    from DeepRadScoreLib.deepct.torchvision_import import import_torchvision

    import_torchvision()
    networks: list[dict[str, DeepCT]] = []
    for number, specs in enumerate(manifest.networks, start=1):
        member = {}
        for name, spec in specs.items():
            yield f"reading network {number} of {len(manifest.networks)} ({name})"
            member[name] = network_from_bytes(
                parts[f"networks/{number}/{name}.safetensors"],
                NetworkSpec(**{**spec, "endpoints": tuple(spec["endpoints"])}),
            )
        networks.append(member)
    return tuple(networks)


def _part_steps(path: AnyPath) -> Generator[str, None, tuple[Manifest, dict[str, bytes], str]]:
    """The parts of a bundle, each read and hashed in a step, and the manifest that they were held against."""
    path = as_path(path, "the bundle")
    if not path.is_file():
        what = "this is a folder" if path.is_dir() else "the file does not exist"
        raise BundleError(what, where=path, mend='give the path of a bundle made by "deepradscore train"')
    parts: dict[str, bytes] = {}
    hashes: dict[str, str] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            for number, name in enumerate(names, start=1):
                yield f"reading and checking the model, part {number} of {len(names)}"
                parts[name] = archive.read(name)
                hashes[name] = hashlib.sha256(parts[name]).hexdigest()
        text = parts.pop(MANIFEST)
        raw = json.loads(text)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, OSError, KeyError, ValueError, EOFError) as error:
        changed = f" ({error})" if isinstance(error, zipfile.BadZipFile) else ""
        raise BundleError(
            f"this is not a whole bundle{changed}", where=path, mend="copy the bundle again from its source"
        ) from error
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if schema != SCHEMA:
        raise BundleError(
            f'the bundle has the schema "{schema}", this program reads "{SCHEMA}"',
            where=path,
            mend="train it again, or use the program version that made it",
        )
    try:
        manifest = Manifest.model_validate(raw)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise BundleError(
            f'the field "{field}" of its manifest is not valid', where=path, mend="train the model again"
        ) from error
    needed = {SCORES, *(f"classifiers/{key}.skops" for key, card in manifest.endpoints.items() if card.modelled)}
    for name in sorted(set(manifest.files) | set(parts) | needed):
        if name not in parts or hashes[name] != manifest.files.get(name):
            raise BundleError(f'its part "{name}" is not what was written', where=path, mend="copy the bundle again")
    return manifest, parts, hashes[MANIFEST]


def _scores_to_json(endpoints: dict[str, EndpointModel]) -> bytes:
    return json.dumps({key: _endpoint_to_json(model) for key, model in endpoints.items()}, indent=1).encode()


def _endpoint_to_json(model: EndpointModel) -> dict[str, Any]:
    return {
        "regions": model.regions.to_dict(),
        "fold_regions": [regions.to_dict() for regions in model.fold_regions],
        "deep": model.deep.to_dict(),
        "background": model.background.tolist(),
    }


def _endpoint_from_json(key: str, stored: dict[str, Any], classifier: bytes) -> EndpointModel:
    return EndpointModel(
        key=key,
        regions=RegionScores.from_dict(stored["regions"]),
        fold_regions=tuple(RegionScores.from_dict(regions) for regions in stored["fold_regions"]),
        deep=DeepColumns.from_dict(stored["deep"]),
        fusion=FusionModel.from_bytes(classifier),
        background=np.array(stored["background"]),
    )
