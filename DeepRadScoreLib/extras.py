"""Packages that the plain installation leaves out, by the extra that installs them."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass

from DeepRadScoreLib.errors import MissingPackageError


@dataclass(frozen=True)
class Extra:
    """An extra of the distribution.

    Attributes
    ----------
    purpose: the commands, options and kinds of files that need it.
    modules: distribution -> the module that it is imported as.
    """

    purpose: str
    modules: Mapping[str, str]


EXTRAS = {
    "study": Extra(
        "demo, train, evaluate, and tables in .parquet and .xlsx",
        {
            "iterative-stratification": "iterstrat",
            "openpyxl": "openpyxl",
            "pyarrow": "pyarrow",
        },
    ),
    "cluster": Extra("--scheduler", {"distributed": "distributed"}),
    "collections": Extra(
        "cohort nsclc-radiogenomics",
        {"idc-index": "idc_index", "idc-index-data": "idc_index_data", "pyarrow": "pyarrow"},
    ),
    "signing": Extra("sign, inspect --trusted and --require-signature", {"cryptography": "cryptography"}),
    "pyradiomics": Extra("--engine pyradiomics and doctor --verify-engine", {"pyradiomics-bhklab": "radiomics"}),
}
LEARNING = ("iterative-stratification",)
"""Packages of the extra `study` that training and evaluation always need; the others are for kinds of tables."""


def install_line(extra: str) -> str:
    """The line that installs an extra."""
    return f"pip install 'DeepRadScore[{extra}]'"


def require(extra: str, purpose: str, *distributions: str) -> None:
    """Check that packages of an extra are installed.

    Parameters
    ----------
    purpose: what is to be done, as the error names it ("training").
    distributions: the packages of the extra that it needs; none: all of them.

    Raises
    ------
    MissingPackageError: one of them is not installed.
    """
    modules = EXTRAS[extra].modules
    missing = [name for name in distributions or modules if importlib.util.find_spec(modules[name]) is None]
    if missing:
        raise MissingPackageError(
            f"{purpose} needs packages that are not installed ({', '.join(missing)})",
            mend=f"run: {install_line(extra)}",
        )
