"""A trained model on disk: one zip of readable JSON, safetensors and skops files, each with its hash. No pickle."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
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
    """One endpoint's model: from a case's features and networks' outputs to a probability.

    Attributes
    ----------
    regions: the RadScores refitted on all training patients.
    fold_regions: the RadScores of each fold, for the spread; empty where the protocol has none.
    background: (m, d) training rows of the fused columns, for SHAP.
    """

    key: str
    regions: RegionScores
    fold_regions: tuple[RegionScores, ...]
    deep: DeepColumns
    fusion: FusionModel
    background: np.ndarray

    @classmethod
    def from_dict(cls, key: str, stored: dict[str, Any], fusion: FusionModel) -> EndpointModel:
        """The endpoint's model from the values of `to_dict` and its fused model."""
        return cls(
            key,
            regions=RegionScores.from_dict(stored["regions"]),
            fold_regions=tuple(RegionScores.from_dict(regions) for regions in stored["fold_regions"]),
            deep=DeepColumns.from_dict(stored["deep"]),
            fusion=fusion,
            background=np.array(stored["background"]),
        )

    def to_dict(self) -> dict[str, Any]:
        """All but the fused model, as values that JSON has."""
        return {
            "regions": self.regions.to_dict(),
            "fold_regions": [regions.to_dict() for regions in self.fold_regions],
            "deep": self.deep.to_dict(),
            "background": self.background.tolist(),
        }

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the fused model's columns."""
        return (*self.deep.names, *self.regions.names)

    def columns(self, features: pd.DataFrame, outputs: Sequence[NetworkOutputs]) -> np.ndarray:
        """The fused model's columns, (n, 3) or (n, 12)."""
        return np.hstack([self.deep.columns(outputs, self.key), self.regions.columns(features)])

    def probability(self, columns: np.ndarray) -> np.ndarray:
        """Calibrated probability of the positive class, (n,)."""
        return self.fusion.predict_proba(columns)[:, 1]

    def fold_probabilities(self, features: pd.DataFrame, outputs: Sequence[NetworkOutputs]) -> np.ndarray:
        """Calibrated probability by each fold's RadScores and network, (folds, n)."""
        rows = [
            self.probability(np.hstack([self.deep.of_network(outputs, self.key, fold), regions.columns(features)]))
            for fold, regions in enumerate(self.fold_regions)
        ]
        return np.array(rows).reshape(len(rows), len(features))


@dataclass(frozen=True)
class Bundle:
    """A trained model; `networks` has one dictionary per fold: "shared" or an endpoint key -> network."""

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
        `.attrs["label"]` is the synthetic label of the bundle, or None.

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
        """Write the bundle as one file, whole or not at all; the same bundle gives the same bytes.

        Raises
        ------
        OutputError: the file cannot be written.
        """
        path = as_path(path, "the bundle")
        from DeepRadScoreLib.deepct.network import network_to_bytes

        scores = {key: model.to_dict() for key, model in self.endpoints.items()}
        files = {SCORES: json.dumps(scores, indent=1).encode()}
        for number, member in enumerate(self.networks, start=1):
            for name, network in member.items():
                files[f"networks/{number}/{name}.safetensors"] = network_to_bytes(network)
        for key, model in self.endpoints.items():
            files[f"classifiers/{key}.skops"] = model.fusion.to_bytes()
        content = {
            "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
            "networks": [{name: asdict(network.spec) for name, network in member.items()} for member in self.networks],
        }
        manifest = self.manifest.model_copy(update=content).model_dump_json(by_alias=True, indent=1)
        try:
            with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
                for name, data in [(MANIFEST, manifest.encode()), *sorted(files.items())]:
                    archive.writestr(zipfile.ZipInfo(name, FIRST_ZIP_DATE), data)
        except OSError as error:
            raise OutputError(
                f"the bundle cannot be written ({error.strerror})", where=path, mend="choose a place you may write to"
            ) from error

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


def read_manifest(path: AnyPath) -> Manifest:
    """The manifest of a bundle, after every file in it was compared with its hash.

    Raises
    ------
    BundleError: no such file, not a bundle, another schema version, a missing or changed file in it (named).
    """
    return run_to_end(_file_steps(path))[0]


def read_bundle(path: AnyPath) -> Bundle:
    """A whole bundle; see `bundle_steps` for what is raised."""
    return run_to_end(bundle_steps(path))


def bundle_steps(path: AnyPath) -> Generator[str, None, Bundle]:
    """Read a whole bundle in short steps; each label is yielded before its work is done.

    Raises
    ------
    BundleError: as `read_manifest`, before any content is used; a classifier of a foreign type.
    """
    manifest, files, sha256 = yield from _file_steps(path)
    networks = yield from _network_steps(manifest, files)
    yield "reading the RadScores"
    scores = json.loads(files[SCORES])
    yield "loading the library of stored classifiers"
    import skops.io  # noqa: F401 - reading the first one would import it

    endpoints = {}
    for key in scores:
        yield f"reading the model of {key}"
        fusion = FusionModel.from_bytes(files[f"classifiers/{key}.skops"])
        endpoints[key] = EndpointModel.from_dict(key, scores[key], fusion)
    return Bundle(manifest, networks, endpoints, sha256)


def _network_steps(manifest: Manifest, files: dict[str, bytes]) -> Generator[str, None, tuple[dict[str, DeepCT], ...]]:
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
                files[f"networks/{number}/{name}.safetensors"],
                NetworkSpec(**{**spec, "endpoints": tuple(spec["endpoints"])}),
            )
        networks.append(member)
    return tuple(networks)


def _file_steps(path: AnyPath) -> Generator[str, None, tuple[Manifest, dict[str, bytes], str]]:
    """The manifest of a bundle, its files by name, each read and hashed in a step, and the manifest's SHA-256."""
    path = as_path(path, "the bundle")
    if not path.is_file():
        what = "this is a folder" if path.is_dir() else "the file does not exist"
        raise BundleError(what, where=path, mend='give the path of a bundle made by "deepradscore train"')
    files: dict[str, bytes] = {}
    hashes: dict[str, str] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            for number, name in enumerate(names, start=1):
                yield f"reading and checking the model, part {number} of {len(names)}"
                files[name] = archive.read(name)
                hashes[name] = hashlib.sha256(files[name]).hexdigest()
        text = files.pop(MANIFEST)
        raw = json.loads(text)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, OSError, KeyError, ValueError, EOFError) as error:
        reason = f" ({error})" if isinstance(error, zipfile.BadZipFile) else ""
        raise BundleError(
            f"this is not a whole bundle{reason}", where=path, mend="copy the bundle again from its source"
        ) from error
    manifest = _checked_manifest(raw, path)
    needed = {SCORES, *(f"classifiers/{key}.skops" for key, card in manifest.endpoints.items() if card.modelled)}
    for name in sorted(set(manifest.files) | set(files) | needed):
        if name not in files or hashes[name] != manifest.files.get(name):
            raise BundleError(f'its part "{name}" is not what was written', where=path, mend="copy the bundle again")
    return manifest, files, hashes[MANIFEST]


def _checked_manifest(raw: Any, path: Path) -> Manifest:
    """The manifest read from JSON. Raises BundleError for another schema version or a field that is not valid."""
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if schema != SCHEMA:
        raise BundleError(
            f'the bundle has the schema "{schema}", this program reads "{SCHEMA}"',
            where=path,
            mend="train it again, or use the program version that made it",
        )
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        field = ".".join(map(str, error.errors()[0]["loc"]))
        raise BundleError(
            f'the field "{field}" of its manifest is not valid', where=path, mend="train the model again"
        ) from error
