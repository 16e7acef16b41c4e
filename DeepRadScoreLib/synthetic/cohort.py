"""The synthetic cohort on disk: volumes, masks, the cohort table and the truth behind it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd

from DeepRadScoreLib.cohort.csv_text import csv_text
from DeepRadScoreLib.computing.workers import Crashed, Workers
from DeepRadScoreLib.errors import InputError, OutputError, WorkersError
from DeepRadScoreLib.imaging import read_image
from DeepRadScoreLib.imaging.formats.files import write_image
from DeepRadScoreLib.imaging.origin import SYNTHETIC_LABEL
from DeepRadScoreLib.progress import Progress, Report, Stage, ignore
from DeepRadScoreLib.synthetic import anatomy, phantom, tumour
from DeepRadScoreLib.synthetic.anatomy import SITES
from DeepRadScoreLib.synthetic.causes import PLANTED, draw_labels, draw_latents
from DeepRadScoreLib.synthetic.phantom import make_case
from DeepRadScoreLib.writing import check_folder, write_atomically

SPLITS = ("train", "test")
MISSING_SHARE = 0.03
RECIPE_KEY = "DeepRadScore_recipe"
"""Metadata key of a synthetic CT: the hash of all that it was made from."""


def write_cohort(folder: Path, n_train: int, n_test: int, seed: int, workers: Workers, report: Report = ignore) -> Path:
    """Write `n_train` + `n_test` synthetic cases and their table below `folder`.

    `images/<case>_ct.nrrd` and `images/<case>_tumour.nrrd`; `cohort.csv`, where about 3 % of the labels are empty; and
    `synthetic.json`, the truth: coefficients per endpoint, latents per case. The test cases are drawn from separate
    streams and do not depend on `n_train`. A case that exists and was made from the same recipe is not made again, so
    that an interrupted run resumes.

    Parameters
    ----------
    workers: who makes the images.
    report: called after each case.

    Returns
    -------
    The path of `cohort.csv`.

    Raises
    ------
    InputError: fewer than one case in either split.
    OutputError: the folder cannot be written.
    WorkersError: a case could not be made.
    """
    if n_train < 1 or n_test < 1:
        raise InputError(
            f"{n_train} training and {n_test} test cases are no cohort",
            where="synthetic cohort",
            mend="ask for at least one of each",
        )
    check_folder(folder)
    drawn = [_draw(split, n, seed) for split, n in zip(SPLITS, (n_train, n_test), strict=True)]
    table, latents = (pd.concat(frames, ignore_index=True) for frames in zip(*drawn, strict=True))
    _write_images(folder, table, latents, workers, report)
    path = folder / "cohort.csv"
    write_atomically(folder / "synthetic.json", _truth(table, latents, seed))
    write_atomically(path, csv_text(table.drop(columns="seed")))
    return path


def _draw(split: str, n: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of the table (with the `seed` of each case's image) and latents of one split."""
    streams = [np.random.default_rng([seed, SPLITS.index(split), number]) for number in range(6)]
    latents, labels = (int(stream.integers(2**31)) for stream in streams[:2])
    causes = draw_latents(n, latents)
    cells = draw_labels(causes, labels).astype(str)
    missing = streams[2].random(cells.shape) < MISSING_SHARE
    names = [f"synthetic-{split}-{number:03d}" for number in range(1, n + 1)]
    table = pd.DataFrame(
        {
            "case_id": names,
            "patient_id": names,
            "site": streams[3].choice(list(SITES), n),
            "ct": [f"images/{name}_ct.nrrd" for name in names],
            "mask": [f"images/{name}_tumour.nrrd" for name in names],
            "segment": "",
            "split": split,
            "age": np.clip(np.rint(streams[4].normal(66, 9, n)), 35, 90).astype(int),
            "seed": streams[5].integers(2**31, size=n),
        }
    )
    return pd.concat([table, cells.mask(missing, "")], axis=1), causes


def _truth(table: pd.DataFrame, latents: pd.DataFrame, seed: int) -> str:
    endpoints = {
        key: {"where": truth.where, "coefficients": dict(truth.coefficients), "intercept": truth.intercept}
        for key, truth in PLANTED.items()
    }
    cases = dict(zip(table["case_id"], latents.to_dict("records"), strict=True))
    return json.dumps({"label": SYNTHETIC_LABEL, "seed": seed, "endpoints": endpoints, "latents": cases}, indent=1)


def _write_images(folder: Path, table: pd.DataFrame, latents: pd.DataFrame, workers: Workers, report: Report) -> None:
    program = "".join(Path(str(module.__file__)).read_text(encoding="utf-8") for module in (anatomy, tumour, phantom))
    tasks = [
        {
            "ct_path": folder / row.ct,
            "mask_path": folder / row.mask,
            "latents": latents.loc[row.Index].to_dict(),
            "site": row.site,
            "seed": row.seed,
            "program": program,
        }
        for row in table.itertuples()
    ]
    try:
        (folder / "images").mkdir(parents=True, exist_ok=True)
        with closing(workers.each(_write_case, tasks)) as written:
            for number, (position, result) in enumerate(written, start=1):
                if isinstance(result, Crashed):
                    case_id = table["case_id"].iloc[position]
                    raise WorkersError(str(result), where=case_id, mend="run the same command again")
                report(Progress(Stage.MAKING_CASES, done=number, total=len(table)))
    except OSError as error:
        raise OutputError(
            f"the synthetic cases cannot be written ({error.strerror})",
            where=folder,
            mend="choose a folder that you may write to, with space left",
        ) from error


def _write_case(
    ct_path: Path, mask_path: Path, *, latents: Mapping[str, float], site: str, seed: int, program: str
) -> None:
    recipe = hashlib.sha256(json.dumps([latents, site, seed, program]).encode()).hexdigest()
    if _made_from(ct_path, recipe) and _made_from(mask_path, recipe):
        return
    for image, path in zip(make_case(latents, site, seed), (ct_path, mask_path), strict=True):
        image.SetMetaData(RECIPE_KEY, recipe)
        write_image(image, path, compress=path is mask_path)


def _made_from(path: Path, recipe: str) -> bool:
    """Whether the file is there, whole, and names this recipe."""
    if not path.is_file():
        return False
    try:
        image = read_image(path)
    except InputError:
        return False
    return image.HasMetaDataKey(RECIPE_KEY) and image.GetMetaData(RECIPE_KEY) == recipe
