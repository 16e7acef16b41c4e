"""CT and tumour mask series of collections, from the index of NCI Imaging Data Commons that idc-index installs.

The index is a local file; nothing here needs the network.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pandas as pd

from DeepRadScoreLib.errors import InputError, MissingPackageError
from DeepRadScoreLib.extras import install_line, require

INSTALL = f"run: {install_line('collections')}"
COLUMNS = (
    *("collection_id", "analysis_result_id", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "Modality"),
    *("instanceCount", "series_size_MB", "series_aws_url", "license_short_name", "source_DOI"),
)
PAIR_COLUMNS = (
    *("case_id", "study_uid", "seg_uid", "seg_files", "seg_bytes", "seg_url"),
    *("ct_uid", "ct_files", "ct_bytes", "ct_url", "licence", "source_doi"),
)


def index_file() -> Path:
    """Path of the installed index, a Parquet file with one row for each series.

    Raises
    ------
    MissingPackageError: idc-index or its index is not installed.
    """
    require("collections", "the index of public collections")
    try:
        from idc_index_data import IDC_INDEX_PARQUET_FILEPATH as parquet
    except OSError as error:
        raise MissingPackageError("the package idc-index-data is without its index", mend=INSTALL) from error
    return Path(str(parquet))


def index_version() -> str:
    """Version of the installed index; its first number is the release of the archive."""
    return version("idc-index-data")


def read_series(collection: str, index: Path) -> pd.DataFrame:
    """Read `COLUMNS` of the original and derived series of one collection, one row for each series.

    Raises
    ------
    InputError: the index cannot be read, lacks a column, or has no such collection.
    """
    import pyarrow.parquet
    from pyarrow import ArrowException, compute

    mend = "install idc-index again: " + INSTALL.removeprefix("run: ")
    try:
        table = pyarrow.parquet.ParquetFile(index, memory_map=True).read(columns=list(COLUMNS))
    except (OSError, ArrowException) as error:
        raise InputError("the index cannot be read", where=index, mend=mend) from error
    for column in COLUMNS:
        if column not in table.column_names:
            raise InputError(f'the index has no column "{column}"', where=index, mend=mend)
    series = table.filter(compute.equal(table["collection_id"], collection)).to_pandas()
    if series.empty:
        raise InputError(f'the index has no collection "{collection}"', where=index, mend=mend)
    return series


def ct_seg_pairs(series: pd.DataFrame) -> pd.DataFrame:
    """Manifest of the pairs of an original SEG and a CT of its study, sorted by case, largest number of CT files first.

    An original SEG was published with the collection, not with a later analysis of it (no `analysis_result_id`). The
    manifest has no other columns of the index: no dates, sex, age or descriptions.

    Returns
    -------
    `PAIR_COLUMNS`; sizes in bytes; URLs of the form s3://bucket/folder/*.
    """
    original = series[series["analysis_result_id"].isna()]
    seg, ct = (original[original["Modality"] == modality] for modality in ("SEG", "CT"))
    pairs = seg.merge(ct, on="StudyInstanceUID", suffixes=("_seg", "_ct"))
    manifest = pd.DataFrame({"case_id": pairs["PatientID_seg"], "study_uid": pairs["StudyInstanceUID"]})
    for kind in ("seg", "ct"):
        manifest[f"{kind}_uid"] = pairs[f"SeriesInstanceUID_{kind}"]
        manifest[f"{kind}_files"] = pairs[f"instanceCount_{kind}"].astype(int)
        manifest[f"{kind}_bytes"] = (pairs[f"series_size_MB_{kind}"] * 1e6).round().astype(int)
        manifest[f"{kind}_url"] = pairs[f"series_aws_url_{kind}"]
    manifest["licence"], manifest["source_doi"] = pairs["license_short_name_ct"], pairs["source_DOI_ct"]
    order = ["case_id", "seg_uid", "ct_files", "ct_uid"]
    manifest = manifest.sort_values(order, ascending=[True, True, False, True], ignore_index=True)
    return manifest[list(PAIR_COLUMNS)]
