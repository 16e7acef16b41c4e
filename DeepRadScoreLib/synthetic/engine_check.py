"""Comparison of our own engine with pyradiomics on this machine, on a synthetic case."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass

from DeepRadScoreLib.imaging import case_from_images, prepare_steps
from DeepRadScoreLib.models import Engine
from DeepRadScoreLib.progress import Progress, Stage, in_stage
from DeepRadScoreLib.radscore.extraction import FEATURE_STEPS, feature_steps
from DeepRadScoreLib.radscore.names import FEATURES_OF_CLASS, REGIONS, Region, region_columns
from DeepRadScoreLib.synthetic.anatomy import SITES
from DeepRadScoreLib.synthetic.causes import LATENTS
from DeepRadScoreLib.synthetic.phantom import make_case

TOLERANCE = 1e-6
SEED = 3


@dataclass(frozen=True)
class ClassDifference:
    """How far the values of one class of features in one region are apart.

    Attributes
    ----------
    features, equal: how many there are, and how many differ by at most `TOLERANCE` of the greater value.
    worst: the greatest relative difference, and `feature`, the one that has it.
    """

    region: Region
    feature_class: str
    features: int
    equal: int
    worst: float
    feature: str

    def __str__(self) -> str:
        name = f"{self.region} {self.feature_class}"
        return f"{name:22s} {self.equal} of {self.features} equal, worst difference {self.worst:.1e} ({self.feature})"


@dataclass(frozen=True)
class EngineCheck:
    """Outcome of the comparison, one row for each region and class."""

    rows: tuple[ClassDifference, ...]

    @property
    def passed(self) -> bool:
        """Whether all values are equal within `TOLERANCE`."""
        return all(row.equal == row.features for row in self.rows)

    @property
    def sentence(self) -> str:
        """The verdict."""
        equal, features = (sum(getattr(row, name) for row in self.rows) for name in ("equal", "features"))
        worst = max(self.rows, key=lambda row: row.worst)
        return (
            f"{equal} of {features} features have pyradiomics' value within {TOLERANCE:.0e}; "
            f"worst difference {worst.worst:.1e} ({worst.region}, {worst.feature})."
        )


def engine_check_steps() -> Generator[Progress, None, EngineCheck]:
    """Compute the features of a synthetic case by both engines and compare them, in short steps.

    Raises
    ------
    MissingPackageError: pyradiomics cannot be imported, or numba is missing or cannot compile our engine.
    """
    yield Progress(Stage.ENGINE_CHECK, "making a synthetic case", 0, 100)
    ct, mask = make_case(dict.fromkeys(LATENTS, 0.0), next(iter(SITES)), SEED)
    preparing = prepare_steps(case_from_images(ct, mask, case_id="synthetic"))
    prepared = yield from in_stage(preparing, Stage.ENGINE_CHECK, 5, 15, expected=8)
    values: list[Mapping[str, float]] = []
    for engine, begin, end in ((Engine.PYRADIOMICS, 15, 80), (Engine.OWN, 80, 100)):
        steps = feature_steps(prepared, engine)
        values.append((yield from in_stage(steps, Stage.ENGINE_CHECK, begin, end, expected=FEATURE_STEPS[engine])))
    return compare_engines(*values)


def compare_engines(theirs: Mapping[str, float], ours: Mapping[str, float]) -> EngineCheck:
    """Compare the 1702 columns by pyradiomics with those by our engine."""
    return EngineCheck(tuple(_rows(theirs, ours)))


def _rows(theirs: Mapping[str, float], ours: Mapping[str, float]) -> Iterator[ClassDifference]:
    for region in REGIONS:
        for feature_class in FEATURES_OF_CLASS:
            columns = [name for name in region_columns(region) if f"_{feature_class}_" in name]
            differences = {name.removeprefix(f"{region}_"): _difference(theirs[name], ours[name]) for name in columns}
            equal = sum(difference <= TOLERANCE for difference in differences.values())
            worst = max(differences, key=differences.__getitem__)
            yield ClassDifference(region, feature_class, len(columns), equal, differences[worst], worst)


def _difference(one: float, other: float) -> float:
    """The difference of two finite values relative to the greater one; 0 where they are equal."""
    return 0.0 if one == other else abs(one - other) / max(abs(one), abs(other))
