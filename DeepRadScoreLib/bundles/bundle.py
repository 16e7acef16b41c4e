"""A trained model on disk: one zip of readable JSON, safetensors and skops files, each with its hash. No pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import expit

from DeepRadScoreLib.archive import MEND
from DeepRadScoreLib.bundles.files import about, file_steps, read_files, write_files
from DeepRadScoreLib.bundles.fit import SCORES, check_limits, check_model, check_scores
from DeepRadScoreLib.bundles.manifest import SCHEMA, LimitsCard, Manifest
from DeepRadScoreLib.bundles.stored_manifest import NAME as MANIFEST
from DeepRadScoreLib.bundles.stored_manifest import SHARED, classifier_part, network_part
from DeepRadScoreLib.deepct.outputs import NetworkOutputs
from DeepRadScoreLib.display.notebook import table_html
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.errors import BundleError, InputError, Location
from DeepRadScoreLib.fusion.endpoint_model import EndpointModel
from DeepRadScoreLib.fusion.inputs import checked_features, checked_patches
from DeepRadScoreLib.fusion.model import FusionModel
from DeepRadScoreLib.fusion.stored_scores import read_scores
from DeepRadScoreLib.likeness import storage
from DeepRadScoreLib.likeness.evidence import Evidence
from DeepRadScoreLib.likeness.limits import TrainingLimits
from DeepRadScoreLib.paths import AnyPath, as_path
from DeepRadScoreLib.prevalence import NO_PREVALENCE, prevalence_shift
from DeepRadScoreLib.progress import run_to_end
from DeepRadScoreLib.radscore.rows import FeatureRows, Features, column_index

if TYPE_CHECKING:
    from DeepRadScoreLib.deepct.members import MemberOutputs
    from DeepRadScoreLib.deepct.network import DeepCT, NetworkSpec


@dataclass(frozen=True)
class Bundle:
    """A trained model.

    Attributes
    ----------
    networks: one dictionary per fold: "shared" or an endpoint key -> network.
    limits: those of its training data; None in a bundle of schema 1, or trained on too few cases to know them.

    Examples
    --------
    >>> from DeepRadScoreLib import read_bundle
    >>> read_bundle("model.zip").manifest.facts()["trained on"]
    '40 patients of cohort.csv; 20 held out; 0 cases left out'
    """

    manifest: Manifest
    networks: tuple[dict[str, DeepCT], ...]
    endpoints: dict[str, EndpointModel]
    sha256: str = ""
    limits: TrainingLimits | None = None

    def __repr__(self) -> str:
        manifest = self.manifest
        label = "" if manifest.label is None else f", {manifest.label}"
        return f"Bundle({manifest.name}, protocol {manifest.protocol}: {', '.join(self.endpoints)}{label})"

    def _repr_html_(self) -> str:
        facts = (f"{name}: {value}" for name, value in self.manifest.facts().items())
        table = pd.DataFrame(self.manifest.endpoint_rows()).set_index("endpoint")
        return table_html("Bundle", table, label=self.manifest.label, notes=facts)

    def predict_proba(
        self, features: pd.DataFrame, patches: np.ndarray, prevalence: Mapping[str, float] = NO_PREVALENCE
    ) -> pd.DataFrame:
        """Probability of each endpoint's positive class (cases x endpoints), as `analyze` gives it case by case.

        NaN where the model may give none: an endpoint that is not modelled, in which training found no signal, or that
        its rules withhold; a case beyond the limits of the training data, as far as features and patches tell
        (`analyze` sees the image too).
        `.attrs["label"]` is the synthetic label of the bundle, or None.

        Parameters
        ----------
        features: the 1702 columns of a feature table, one row per case, index or column case_id.
        patches: the deep patches of the same cases, (n, 160, 160), HU.
        prevalence: endpoint key -> share of positives, where it is not the training cohort's.

        Raises
        ------
        TypeError: `features` is no DataFrame.
        InputError: a column is missing, a cell holds no finite number, or the patches have another shape.
        """
        table = checked_features(features)
        outputs = self.outputs(checked_patches(patches, len(table)))
        columns = self.columns(FeatureRows(table.to_numpy(float)), outputs)
        given = {key: self._probabilities(key, len(table), columns, prevalence.get(key)) for key in KEYS}
        found = pd.DataFrame(given, index=table.index)
        if self.limits is not None:
            judged = self.limits.judge(self.evidence(table, outputs, columns))
            found = found.mask(pd.DataFrame({key: judged.unlike(key) for key in KEYS}, index=table.index))
        found.attrs["label"] = self.manifest.label
        return found

    def columns(self, features: Features, outputs: Sequence[NetworkOutputs]) -> dict[str, np.ndarray]:
        """Endpoint -> columns of its fused model, (members, n, d), see `EndpointModel.columns`."""
        return {key: model.columns(features, outputs) for key, model in self.endpoints.items()}

    def only(self, keys: Collection[str]) -> Bundle:
        """The same bundle with these endpoints and the networks that they need."""
        return replace(
            self,
            endpoints={key: model for key, model in self.endpoints.items() if key in keys},
            networks=tuple(
                {name: network for name, network in member.items() if name == SHARED or name in keys}
                for member in self.networks
            ),
        )

    def evidence(
        self,
        features: pd.DataFrame,
        outputs: Sequence[NetworkOutputs],
        columns: Mapping[str, np.ndarray],
        **of_images: Any,
    ) -> Evidence:
        """What is known of cases, to be compared with the training cases.

        Parameters
        ----------
        columns: of the same cases, as `columns` gives them.
        of_images: `measures` and `acquisitions` of `Evidence`, where the images are known.
        """
        means = {
            key: pd.DataFrame(columns[key].mean(axis=0), columns=column_index(model.names))
            for key, model in self.endpoints.items()
        }
        return Evidence(features, pooled=tuple(each.pooled for each in outputs), columns=means, **of_images)

    def with_limits(self, limits: TrainingLimits | None) -> Bundle:
        """The same bundle with these limits, whose rules its manifest states."""
        card = None if limits is None else LimitsCard.of(limits)
        return replace(self, limits=limits, manifest=self.manifest.model_copy(update={"limits": card}))

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
        if self.limits is not None:
            files |= storage.to_files(self.limits)
        for number, member in enumerate(self.networks, start=1):
            for name, network in member.items():
                files[network_part(number, name)] = network_to_bytes(network)
        for key, model in self.endpoints.items():
            files[classifier_part(key)] = model.fusion.to_bytes()
        content: dict[str, Any] = {
            "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
            "networks": [{name: asdict(network.spec) for name, network in member.items()} for member in self.networks],
        }
        content["schema_"] = SCHEMA
        manifest = self.manifest.model_copy(update=content).model_dump_json(by_alias=True, indent=1)
        write_files(path, {MANIFEST: manifest.encode(), **dict(sorted(files.items()))})

    def outputs(self, patches: np.ndarray) -> list[NetworkOutputs]:
        """Outputs of each fold's networks for patches (n, 160, 160) in HU, the same on every number of cores."""
        return run_to_end(self.network_steps(patches)).outputs

    def network_steps(self, patches: np.ndarray, *, maps: bool = False) -> Generator[str, None, MemberOutputs]:
        """Apply all networks to patches (n, 160, 160) in HU; if `maps`, with heat maps of the first patch."""
        from DeepRadScoreLib.deepct.members import member_steps

        mapped = tuple(self.endpoints) if maps else ()
        return (yield from member_steps(self.networks, patches, mapped, self.readouts or None))

    @property
    def readouts(self) -> dict[str, np.ndarray]:
        """Endpoint -> read-out on the pooled features that stands for the logit of networks that were not trained."""
        given = {key: model.deep.readout for key, model in self.endpoints.items()}
        return {key: readout for key, readout in given.items() if readout is not None}

    def _probabilities(
        self, key: str, n: int, columns: Mapping[str, np.ndarray], prevalence: float | None
    ) -> np.ndarray:
        model = self.endpoints.get(key)
        if model is None or model.fusion.no_signal_ or self.manifest.withheld(key):
            return np.full(n, np.nan)
        shift = prevalence_shift(prevalence, model.fusion.prevalence_)
        return expit(model.log_odds(columns[key]) + shift)


def read_manifest(path: AnyPath) -> Manifest:
    """The manifest of a bundle, after every part was compared with its hash; see `file_steps` for what is raised."""
    return read_files(path).manifest


def read_bundle(path: AnyPath, trusted: AnyPath | None = None) -> Bundle:
    """Read a whole bundle.

    Parameters
    ----------
    path: a bundle's zip file or folder.
    trusted: a public key, or a folder of them, by one of which the bundle has to be signed.

    Raises
    ------
    BundleError: what it holds is not what its manifest says, or not what a bundle has to hold (the part is named).
    InputError, MissingPackageError: its signature cannot be checked, or is by none of the keys.

    Examples
    --------
    >>> from DeepRadScoreLib import read_bundle
    >>> read_bundle("model.zip")
    Bundle(made up, protocol strict: LVI, PI, ..., synthetic: not for patients)
    """
    return run_to_end(bundle_steps(path, trusted))


def bundle_steps(path: AnyPath, trusted: AnyPath | None = None) -> Generator[str, None, Bundle]:
    """Read a whole bundle in short steps; each label is yielded before its work is done.

    Parameters
    ----------
    trusted: a public key, or a folder of them, by one of which the bundle has to be signed.

    Raises
    ------
    BundleError, InputError, MissingPackageError: as `file_steps`, before any content is used.
    BundleError: a part that is not what its kind has to be, or that does not fit the others (named).
    """
    stored = yield from file_steps(path, trusted)
    manifest, files = stored.manifest, stored.parts
    path = as_path(path, "the bundle")
    networks = yield from _network_steps(manifest, files, path)
    yield "reading the RadScores"
    with about(path):
        scores = read_scores(files[SCORES], SCORES)
        check_scores(manifest, scores)
    yield "loading the library of stored classifiers"
    import skops.io  # noqa: F401 - reading the first one would import it

    endpoints = {}
    for key in scores:
        yield f"reading the model of {key}"
        name = classifier_part(key)
        with about(path, name):
            fusion = FusionModel.from_bytes(files[name])
            endpoints[key] = EndpointModel.from_dict(key, scores[key], fusion)
        with about(path):
            check_model(manifest, endpoints[key])
    with about(path):
        limits = None if manifest.limits is None else storage.from_files(files)
        check_limits(manifest, limits, {key: model.names for key, model in endpoints.items()}, networks)
    return Bundle(manifest, networks, endpoints, stored.sha256, limits)


def _network_steps(
    manifest: Manifest, files: dict[str, bytes], path: Path
) -> Generator[str, None, tuple[dict[str, DeepCT], ...]]:
    if not manifest.networks:
        return ()
    yield "loading the network library"
    from DeepRadScoreLib.deepct.backbones import BACKBONES
    from DeepRadScoreLib.deepct.network import network_from_bytes

    architectures = _architectures(manifest, path)
    if BACKBONES[manifest.backbone].from_torchvision:
        yield "loading the library of backbones"
        from DeepRadScoreLib.deepct.torchvision_import import import_torchvision

        import_torchvision()
    networks: list[dict[str, DeepCT]] = []
    for number, specs in enumerate(architectures, start=1):
        member = {}
        for name, spec in specs.items():
            yield f"reading network {number} of {len(manifest.networks)} ({name})"
            part = network_part(number, name)
            with about(path, part):
                member[name] = network_from_bytes(files[part], spec)
        networks.append(member)
    return tuple(networks)


def _architectures(manifest: Manifest, path: Path) -> list[dict[str, NetworkSpec]]:
    """Those of each fold's networks, by name. Raises BundleError for a backbone or pixels that there are not."""
    from DeepRadScoreLib.deepct.network import NetworkSpec

    try:
        return [
            {name: NetworkSpec(**{**spec, "endpoints": tuple(spec["endpoints"])}) for name, spec in specs.items()}
            for specs in manifest.networks
        ]
    except InputError as error:
        field = f"{MANIFEST}, {error.field.removeprefix('--')}"
        raise BundleError(error.what, where=Location(path, field), mend=MEND) from error
