"""How much the findings of a case depend on the tumour's outline: the same analysis over plausible other masks."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import numpy as np
import pandas as pd

from DeepRadScoreLib.analyses.findings import Finding, MolecularProfile, Variants
from DeepRadScoreLib.bundles.bundle import Bundle
from DeepRadScoreLib.errors import InputError, RegionError
from DeepRadScoreLib.imaging import Case, prepare_steps
from DeepRadScoreLib.imaging.masks.mask_variants import mask_variants
from DeepRadScoreLib.progress import Progress, Stage, in_stage
from DeepRadScoreLib.radscore.extraction import cores, feature_steps

MIN_VARIANTS, MAX_VARIANTS = 2, 50


def check_variants(n: int, bundle: Bundle | None) -> None:
    """Refuse a number of masks that cannot be worked on.

    Raises
    ------
    InputError: fewer than 2 or more than 50, or no model whose findings could change.
    """
    if not MIN_VARIANTS <= n <= MAX_VARIANTS:
        raise InputError(
            f"{n} masks cannot be made", where="--mask-variants", mend=f"give {MIN_VARIANTS} to {MAX_VARIANTS}"
        )
    if bundle is None:
        raise InputError(
            "without a model there are no findings that could change", where="--mask-variants", mend="add --model"
        )


def variant_steps(
    case: Case, bundle: Bundle, profile: MolecularProfile, n: int, seed: int = 0
) -> Generator[Progress, None, MolecularProfile]:
    """Repeat regions, features and probabilities over `n` other masks, in short steps; see `mask_variants`.

    The value is the profile in which each finding that has a probability has its lowest and highest one over the masks,
    the outlined one included. A mask of which no region is left does not count. `profile` is that of `case` by
    `bundle`.
    """
    if profile.provenance is not None:
        seeded = profile.provenance.with_settings(mask_variants=n, mask_variants_seed=seed)
        profile = replace(profile, provenance=seeded)
    kept = {key: finding for key, finding in profile.findings.items() if finding.probability is not None}
    if not kept:
        return profile
    features, patches = [], []
    for number, variant in enumerate(mask_variants(case, n, seed), start=1):
        begin, end = (round(100 * done / n) for done in (number - 1, number))
        try:
            work = _measured(variant, profile)
            found = yield from in_stage(work, Stage.MASK_VARIANTS, begin, end, expected=130)
        except RegionError:
            continue
        features.append(found[0])
        patches.append(found[1])
    if not features:
        return profile
    yield Progress(Stage.MASK_VARIANTS, "findings", 100, 100)
    probabilities = bundle.predict_proba(pd.DataFrame(features), np.stack(patches), profile.prevalence)
    ranges = {key: _with_range(finding, probabilities[key].to_numpy()) for key, finding in kept.items()}
    return replace(profile, findings=profile.findings | ranges)


def _measured(case: Case, like: MolecularProfile) -> Generator[str, None, tuple[dict[str, float], np.ndarray]]:
    """The features (1702) and the deep patch (160, 160) of a case prepared and measured like another one."""
    first = like.prepared
    prepared = yield from prepare_steps(case, preprocessing=first.preprocessing, shell_mm=first.shell_mm)
    features = yield from feature_steps(prepared, like.engine, threads=cores())
    return features, prepared.patch.hu


def _with_range(finding: Finding, probabilities: np.ndarray) -> Finding:
    given = probabilities[np.isfinite(probabilities)]
    if not given.size or finding.probability is None:
        return finding
    low, high = float(min(given.min(), finding.probability)), float(max(given.max(), finding.probability))
    return replace(finding, variants=Variants(low, high, int(given.size)))
