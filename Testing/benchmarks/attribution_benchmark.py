"""Which map of the deep patch is the most faithful to a finding? Occlusion beside Grad-CAM, LayerCAM and HiResCAM.

    python Testing/benchmarks/attribution_benchmark.py DEMO [--cases 6] [--endpoints PI T4 EGFR PDL1] [--page PAGE]

DEMO is the output folder of `deepradscore demo`; its unseen cases are used. Deletion: the patch's pixels are replaced
in the order of the map, the highest first, a sixteenth of them at a time; insertion: the same from the replaced patch
back. A faithful map lets the finding's log-odds fall early in deletion and rise early in insertion: the gain is the
mean over the insertion curve minus that over the deletion curve (Petsiuk et al., BMVC 2018). Replaced by the smoothed
patch, which is what occlusion itself uses, and by the patch's median, which it does not. LayerCAM (Jiang et al., IEEE
TIP 2021) and HiResCAM (Draelos and Carin, 2020) are taken at the end of a DenseNet's blocks; shared DenseNet networks
are needed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from measured_page import table, write_page
from scipy.ndimage import gaussian_filter

from DeepRadScoreLib import analyze, read_bundle, read_case, read_cohort
from DeepRadScoreLib.analyses.findings import MolecularProfile
from DeepRadScoreLib.analyses.occlusion import BLUR_SD, occlusion_steps
from DeepRadScoreLib.bundles.bundle import Bundle
from DeepRadScoreLib.deepct.network import DeepCT, network_input
from DeepRadScoreLib.imaging.origin import SYNTHETIC_LABEL
from DeepRadScoreLib.progress import run_to_end
from DeepRadScoreLib.radscore.rows import FeatureRows

READING = f"""\
{SYNTHETIC_LABEL.capitalize()}. Unseen cases of the demonstration, whose networks see 64 x 64 pixels, so that Grad-CAM
has 2 x 2 cells; with 160 pixels, where it has 5 x 5, this was not measured. Pixels are replaced in the order of a map
(deletion), or put back (insertion): *gain* is the mean log-odds of the finding while they are put back less that while
they are replaced, larger for a map that knows which pixels matter. See
[the method](../method/8-explanation.md#occlusion)."""
STEPS = 16
BLOCKS = ("denseblock1", "denseblock2", "denseblock3")
Map = np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path)
    parser.add_argument("--cases", type=int, default=6)
    parser.add_argument("--endpoints", nargs="*", default=["PI", "T4", "EGFR", "PDL1"])
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    bundle = read_bundle(given.demo / "model.zip").only(given.endpoints)
    rows = read_cohort(given.demo / "cohort" / "cohort.csv", needs=("ct", "mask")).table
    gains, seconds = [], []
    for row in rows[rows["split"] == "test"].head(given.cases).itertuples():
        profile = analyze(read_case(row.ct, row.mask, case_id=row.case_id), bundle)
        begin = time.process_time()
        profile = run_to_end(occlusion_steps(bundle, profile))
        seconds.append(time.process_time() - begin)
        gains += list(case_gains(bundle, profile))
        print(row.case_id, flush=True)
    parts = list(sections(pd.DataFrame(gains, columns=["case", "endpoint", "map", "replaced by", "gain"])))
    parts.append(
        f"Occlusion took {np.median(seconds):.1f} s of processor time a case, all endpoints together (median)."
    )
    print("\n\n".join(parts))
    if given.page is not None:
        write_page(given.page, "Which map is faithful", "measured-maps", [READING, *parts])


def sections(gains: pd.DataFrame) -> Iterator[str]:
    """For each way of replacing pixels the mean gain of each map, and how often it is above Grad-CAM's."""
    for fill, rows in gains.groupby("replaced by", sort=False):
        each = rows.pivot_table(index=["case", "endpoint"], columns="map", values="gain")
        above = each.gt(each["Grad-CAM"], axis=0).mean()
        means = each.mean().sort_values(ascending=False)
        cells = [[name, f"{gain:+.2f}", f"{above[name]:.0%}"] for name, gain in means.items()]
        yield f"## Pixels replaced by {fill}: {len(each)} findings"
        yield table(["map", "gain", "above Grad-CAM"], cells)


def case_gains(bundle: Bundle, profile: MolecularProfile) -> Iterator[tuple[str, str, str, str, float]]:
    """(case_id, endpoint, map, what replaces the pixels, gain) of the findings with a probability."""
    hu = profile.prepared.patch.hu
    fills = {
        "the smoothed patch": gaussian_filter(hu, BLUR_SD),
        "the patch's median": np.full_like(hu, np.median(hu)),
    }
    networks = [member["shared"] for member in bundle.networks]
    for key in profile.occlusion:
        maps = {"occlusion": profile.occlusion[key], "Grad-CAM": profile.gradcam[key]}
        maps |= {"random": np.random.default_rng(0).random(hu.shape)}
        maps |= maps_of_blocks(networks, hu, key)
        for name, values in maps.items():
            for fill_name, fill in fills.items():
                gain = faithfulness(values, hu, fill, lambda patches, key=key: log_odds(bundle, profile, key, patches))
                yield profile.case_id, key, name, fill_name, gain


def faithfulness(values: Map, hu: np.ndarray, fill: np.ndarray, score: Callable[[np.ndarray], np.ndarray]) -> float:
    """Mean over the insertion curve of a map minus that over its deletion curve; `score`: (n, 160, 160) -> (n,)."""
    rank = np.empty(values.size, int)
    rank[np.argsort(-values.ravel(), kind="stable")] = np.arange(values.size)
    first = [rank.reshape(hu.shape) < round(values.size * step / STEPS) for step in range(STEPS + 1)]
    patches = [np.where(chosen, fill, hu) for chosen in first] + [np.where(chosen, hu, fill) for chosen in first]
    curve = score(np.stack(patches))
    return float(np.trapezoid(curve[STEPS + 1 :]) - np.trapezoid(curve[: STEPS + 1])) / STEPS


def log_odds(bundle: Bundle, profile: MolecularProfile, key: str, patches: np.ndarray) -> np.ndarray:
    """Log-odds of a finding for other patches (n, 160, 160) of the same case."""
    rows = FeatureRows(np.repeat(FeatureRows.of_case(profile.features).values, len(patches), axis=0))
    return bundle.endpoints[key].log_odds(bundle.columns(rows, bundle.outputs(patches))[key])


def maps_of_blocks(networks: list[DeepCT], hu: np.ndarray, key: str) -> dict[str, Map]:
    """LayerCAM and HiResCAM at each block: the mean of the networks' maps, enlarged to the patch."""
    found: dict[str, list[Map]] = {}
    for network in networks:
        for block, (activation, gradient) in activations(network, hu, key).items():
            layer_cam = torch.relu((torch.relu(gradient) * activation).sum(1))
            high_res_cam = torch.relu((gradient * activation).sum(1))
            for name, coarse in (("LayerCAM", layer_cam), ("HiResCAM", high_res_cam)):
                fine = torch.nn.functional.interpolate(coarse[None], hu.shape, mode="bilinear", align_corners=False)
                found.setdefault(f"{name} {block}", []).append(fine[0, 0].numpy())
    return {name: np.mean(maps, axis=0) for name, maps in found.items()}


def keep(kept: dict[str, torch.Tensor], block: str, _layer: object, _given: object, made: torch.Tensor) -> None:
    kept[block] = made


def activations(network: DeepCT, hu: np.ndarray, key: str) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Block -> its activation and the gradient of the endpoint's logit with respect to it, (1, channels, y, x)."""
    kept: dict[str, torch.Tensor] = {}
    layers = network.trunk.net.features
    hooks = [getattr(layers, block).register_forward_hook(partial(keep, kept, block)) for block in BLOCKS]
    with torch.enable_grad():
        given = network_input(hu[None], network.spec.pixels).requires_grad_(True)
        pair = network(given)[0, network.spec.endpoints.index(key)]
        gradients = torch.autograd.grad(pair[1] - pair[0], [kept[block] for block in BLOCKS])
    for hook in hooks:
        hook.remove()
    return {block: (kept[block].detach(), gradient) for block, gradient in zip(BLOCKS, gradients, strict=True)}


if __name__ == "__main__":
    main()
