"""Cohort table of a public collection: labels and images, patients left out, and series to be fetched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pandas as pd

from DeepRadScoreLib.cohort.csv_text import csv_text
from DeepRadScoreLib.cohort.public.download import Downloads, RemoteSeries
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.dicom.structures.masks import mask_references
from DeepRadScoreLib.writing import write_atomically, write_folder

Kind = Literal["seg", "ct"]
TABLES = ("manifest.csv", "cohort.csv", "left_out.csv")


@dataclass(frozen=True)
class PublicCohort:
    """A collection, or the first cases of it.

    Attributes
    ----------
    manifest: pairs of CT and SEG (`idc.PAIR_COLUMNS`); several rows for a case whose CT is not known.
    labels: one row of text cells for each case, sorted by case_id.
    left_out: case_id -> reason why it is no case, or why its CT is not known; sorted.
    choice: case_id -> SeriesInstanceUID of the CT.
    """

    manifest: pd.DataFrame
    labels: pd.DataFrame
    left_out: dict[str, str]
    choice: dict[str, str]

    def series(self, kind: Kind) -> list[RemoteSeries]:
        """The SEG of every case, or every known CT."""
        rows = self.manifest.drop_duplicates("seg_uid") if kind == "seg" else self._chosen()
        return [_remote(row, kind) for row in rows.to_dict("records")]

    def table(self) -> pd.DataFrame:
        """Cohort table of the cases whose CT is known; `ct` and `mask` are folders, relative to the table."""
        chosen = self._chosen()
        rows = chosen.to_dict("records")
        images = pd.DataFrame(
            {
                "case_id": chosen["case_id"],
                "ct": [_remote(row, "ct").folder for row in rows],
                "mask": [_remote(row, "seg").folder for row in rows],
                "segment": "",
                "series": chosen["ct_uid"],
            }
        )
        table = self.labels.merge(images, on="case_id")
        first = ["case_id", "patient_id", "site", *images.columns.drop("case_id")]
        return table[[*first, *table.columns.drop(first)]]

    def without(self, failed: Mapping[str, str]) -> PublicCohort:
        """The collection without cases that have an incomplete series; `failed`: address of a series -> reason."""
        reasons = {
            case: " ".join(dict.fromkeys(failed[url] for url in (*of["seg_url"], *of["ct_url"]) if url in failed))
            for case, of in self.manifest.groupby("case_id")
        }
        reasons = {case: sentence for case, sentence in reasons.items() if sentence}
        choice = {case: uid for case, uid in self.choice.items() if case not in reasons}
        return replace(self, left_out=dict(sorted({**self.left_out, **reasons}.items())), choice=choice)

    def write(self, folder: Path) -> None:
        """Write `manifest.csv`, `cohort.csv` and `left_out.csv` to a folder: all three, or none.

        Raises
        ------
        OutputError: it cannot be written.
        """
        left_out = pd.DataFrame(self.left_out.items(), columns=["case_id", "reason"])

        def fill(fresh: Path) -> None:
            for name, table in zip(TABLES, (self.manifest, self.table(), left_out), strict=True):
                write_atomically(fresh / name, csv_text(table))

        write_folder(folder, fill, lambda *_: ())

    def _chosen(self) -> pd.DataFrame:
        uids = self.manifest["case_id"].map(self.choice)
        return self.manifest[self.manifest["ct_uid"] == uids]


def public_cohort(labels: pd.DataFrame, pairs: pd.DataFrame, downloads: Downloads, limit: int | None) -> PublicCohort:
    """Cohort of the patients of a label table who have a CT with an original SEG of the tumour.

    Where a study has several CTs, the SEG says which one it refers to, as soon as the SEG is downloaded.

    Parameters
    ----------
    labels: table of the collection (`nsclc_radiogenomics.cohort_table`).
    pairs: manifest of the whole collection (`idc.ct_seg_pairs`).
    limit: maximum number of cases, the first ones in order of case_id.
    """
    left_out = dict.fromkeys(
        set(labels["case_id"]) - set(pairs["case_id"]),
        "The archive has no original tumour segmentation of the patient.",
    )
    left_out |= dict.fromkeys(
        set(pairs["case_id"]) - set(labels["case_id"]), "The clinical table has no row for this patient."
    )
    several = pairs.groupby("case_id")["seg_uid"].nunique()
    left_out |= {
        case: f"The archive has {count} original segmentations of this patient, and nothing says which is meant."
        for case, count in several[several > 1].items()
    }
    cases = sorted(set(pairs["case_id"]) - set(left_out))
    left_out |= dict.fromkeys(cases[limit:] if limit else (), f"Not among the first {limit} cases (--limit).")
    manifest = pairs[pairs["case_id"].isin(cases[:limit])].reset_index(drop=True)
    choice: dict[str, str] = {}
    for case, candidates in manifest.groupby("case_id"):
        uid, why = _ct_of(candidates, downloads)
        if uid:
            choice[str(case)] = uid
        else:
            left_out[str(case)] = why
    chosen = labels[labels["case_id"].isin(cases[:limit])].sort_values("case_id", ignore_index=True)
    return PublicCohort(manifest, chosen, dict(sorted(left_out.items())), choice)


def _ct_of(candidates: pd.DataFrame, downloads: Downloads) -> tuple[str, str]:
    """UID of the CT that belongs to a SEG, or "" and why it is not known; `candidates`: pairs of the case."""
    uids = list(candidates["ct_uid"])
    if len(uids) == 1:
        return uids[0], ""
    seg = _remote(candidates.iloc[0].to_dict(), "seg")
    if not downloads.has(seg):
        return "", (
            f"The study has {len(uids)} CT series; to which one the segmentation belongs is known when it is there "
            "(--download)."
        )
    paths = [path for path in (downloads.root / seg.folder).iterdir() if path.is_file()]
    try:
        named = {uid for path in paths for uid in mask_references(path).series} & set(uids)
    except InputError as error:
        return "", f"The segmentation cannot be read ({error.what})."
    if len(named) == 1:
        return named.pop(), ""
    count = f"{len(named)} of" if named else "none of"
    return "", f"The segmentation refers to {count} the {len(uids)} CT series of its study; choose one by hand."


def _remote(row: Mapping[str, object], kind: Kind) -> RemoteSeries:
    """A series of a row of the manifest; its folder has the name of the archive's, which changes with a revision."""
    url = str(row[f"{kind}_url"])
    name = f"{row['case_id']}, {kind.upper()}"
    folder = f"dicom/{row['case_id']}/{kind}-{url.split('/')[-2]}"
    return RemoteSeries(name, url, folder, int(str(row[f"{kind}_files"])), int(str(row[f"{kind}_bytes"])))
