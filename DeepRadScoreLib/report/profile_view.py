"""A molecular profile as a table, in a notebook, and as files."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from DeepRadScoreLib.analyses.findings import MolecularProfile
from DeepRadScoreLib.display.notebook import table_html
from DeepRadScoreLib.endpoints import BY_KEY
from DeepRadScoreLib.paths import AnyPath
from DeepRadScoreLib.report.number_text import DASH, percent, with_interval
from DeepRadScoreLib.report.profile import EndpointEntry, to_document
from DeepRadScoreLib.report.wording import flag_sentence
from DeepRadScoreLib.report.writing import write_profile


@dataclass(frozen=True, repr=False)
class Profile(MolecularProfile):
    """A molecular profile that can be shown and saved.

    Examples
    --------
    >>> from DeepRadScoreLib import analyze, read_case
    >>> profile = analyze(read_case("ct.nrrd", "tumour.nrrd"))
    >>> profile.to_frame().loc["EGFR", ["name", "flags"]].to_list()
    ['EGFR mutation', 'no_model']
    """

    def to_frame(self) -> pd.DataFrame:
        """One row per endpoint, index its key, with the values of `profile.json`; `flags` joined by commas.

        `label_set` holds the words that cannot be ruled out, joined by " or ": empty where none fits, None where there
        is no label set.
        `label` is "synthetic: not for patients" where the case or the model is synthetic, else empty. `.attrs` has
        "likeness", the percentile among the training patients, or None.
        """
        rows = {key: _row(key, entry) for key, entry in to_document(self).endpoints.items()}
        table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("endpoint")
        table.insert(0, "case_id", self.case_id)
        table = table.assign(label=self.label or "")
        table.attrs["likeness"] = None if self.likeness is None else self.likeness.percentile
        return table

    def save(self, folder: AnyPath) -> None:
        """Write profile, report, features and images to a folder, see `write_profile`."""
        write_profile(self, folder)

    def _repr_html_(self) -> str:
        rows = {BY_KEY[key].name: _words(entry) for key, entry in to_document(self).endpoints.items()}
        notes = (f"{note.severity}: {note.message}" for note in self.quality)
        table = pd.DataFrame.from_dict(rows, orient="index")
        return table_html(f"Molecular profile of {self.case_id}", table, label=self.label, notes=notes)


def _row(key: str, entry: EndpointEntry) -> dict[str, object]:
    interval, spread, of_auc = (
        pair or (None, None) for pair in (entry.interval, entry.spread, entry.validation_auc_ci)
    )
    variants = entry.variants
    return {
        "name": BY_KEY[key].name,
        "probability": entry.probability,
        "decision": entry.decision,
        "threshold": entry.threshold,
        "interval_low": interval[0],
        "interval_high": interval[1],
        "label_set": None if entry.label_set is None else " or ".join(entry.label_set.labels),
        "variants_low": None if variants is None else variants.low,
        "variants_high": None if variants is None else variants.high,
        "spread_low": spread[0],
        "spread_high": spread[1],
        "radscore_tumour": entry.radscore_tumour,
        "radscore_peritumoral": entry.radscore_peritumoral,
        "validation_auc": entry.validation_auc,
        "validation_auc_low": of_auc[0],
        "validation_auc_high": of_auc[1],
        "validation_n": entry.validation_n,
        "validation_positives": entry.validation_positives,
        "flags": ", ".join(entry.flags),
    }


def _words(entry: EndpointEntry) -> dict[str, str]:
    return {
        "probability": DASH if entry.probability is None else percent(entry.probability),
        "decision": entry.decision or DASH,
        "validated AUC": with_interval(entry.validation_auc, entry.validation_auc_ci),
        "remarks": " ".join(flag_sentence(flag) for flag in entry.flags),
    }
