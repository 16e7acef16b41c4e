"""What is added to a profile beyond its findings, because it takes longer than they do."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from DeepRadScoreLib.progress import Progress

if TYPE_CHECKING:
    from DeepRadScoreLib.analyses.findings import MolecularProfile
    from DeepRadScoreLib.bundles.bundle import Bundle
    from DeepRadScoreLib.imaging import Case


@dataclass(frozen=True)
class Additions:
    """What is added to the profile of a case by a bundle.

    Attributes
    ----------
    mask_variants: over how many other masks the range of each finding is computed (see `variant_steps`); 0: none.
    occlusion: whether occlusion maps are computed (see `occlusion_steps`).
    seed: of the other masks.
    """

    mask_variants: int = 0
    occlusion: bool = False
    seed: int = 0

    def check(self, bundle: Bundle | None) -> None:
        """Refuse what the bundle cannot give.

        Raises
        ------
        InputError: see `check_variants` and `check_occlusion`.
        """
        from DeepRadScoreLib.analyses.occlusion import check_occlusion
        from DeepRadScoreLib.analyses.sensitivity import check_variants

        if self.mask_variants:
            check_variants(self.mask_variants, bundle)
        if self.occlusion:
            check_occlusion(bundle)

    def steps(
        self, case: Case, bundle: Bundle | None, profile: MolecularProfile
    ) -> Generator[Progress, None, MolecularProfile]:
        """Add it in short steps; the value is the profile with it, as far as the bundle can give it.

        `profile` is that of `case` by `bundle`. Nothing is added without a bundle, and no map without a network.
        """
        from DeepRadScoreLib.analyses.occlusion import occlusion_steps
        from DeepRadScoreLib.analyses.sensitivity import variant_steps

        if bundle is not None and self.mask_variants:
            profile = yield from variant_steps(case, bundle, profile, self.mask_variants, self.seed)
        if bundle is not None and bundle.networks and self.occlusion:
            profile = yield from occlusion_steps(bundle, profile)
        return profile


NO_ADDITIONS = Additions()
