"""A study as a table, in a notebook, and as files."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from DeepRadScoreLib.display.notebook import table_html
from DeepRadScoreLib.display.progress_bar import reporting
from DeepRadScoreLib.paths import AnyPath, as_path
from DeepRadScoreLib.progress import Report
from DeepRadScoreLib.publication.page_rows import SummaryRow, summary_rows
from DeepRadScoreLib.publication.sentences import endpoint_name, model_name, with_model_names
from DeepRadScoreLib.publication.writing import write_study
from DeepRadScoreLib.report.number_text import with_interval
from DeepRadScoreLib.study.results.document import ModelCard, ProtocolResult
from DeepRadScoreLib.study.results.study import Study

INDEX = ["protocol", "endpoint", "model"]


@dataclass(frozen=True, repr=False)
class StudyReport(Study):
    """A study that can be shown and saved.

    Examples
    --------
    See `examples/3_features_only.py`.
    """

    def to_frame(self) -> pd.DataFrame:
        """AUC of every model (index protocol, endpoint, model), with its interval and what speaks against it.

        `warnings` are those of the endpoint; `not_run` says why there is no AUC; `label` is "synthetic: not for
        patients" or empty.
        """
        rows = [
            {"protocol": str(protocol), "endpoint": key, "model": str(model)}
            | _figures(card)
            | {"warnings": "; ".join(endpoint.warnings), "label": self.label or ""}
            for protocol, key, endpoint in self.each_endpoint()
            for model, card in endpoint.models.items()
        ]
        columns = [*INDEX, *_figures(ModelCard()), "warnings", "label"]
        return pd.DataFrame(rows, columns=columns).set_index(INDEX)

    def save(self, folder: AnyPath, *, progress: Report | bool = False) -> None:
        """Write results, report, tables and figures to a folder, see `write_study`."""
        with reporting(progress) as report:
            write_study(self, as_path(folder, "the folder of the study"), report)

    def __repr__(self) -> str:
        label = "" if self.label is None else f", {self.label}"
        protocols = " and ".join(self.protocols)
        return f"StudyReport({', '.join(self.flow)}: {protocols} protocol, {self.patients} patients{label})"

    def _repr_html_(self) -> str:
        rows = [
            [str(protocol), endpoint_name(row.key), *_words(row, result)]
            for protocol, result in self.protocols.items()
            for row in summary_rows(self, result)
        ]
        columns = ["protocol", "endpoint", "model", "AUC", "n (positive)", "remarks"]
        table = pd.DataFrame(rows, columns=columns).set_index(["protocol", "endpoint"])
        return table_html("Study", table, label=self.label)


def _figures(card: ModelCard) -> dict[str, object]:
    low, high = card.auc_ci or (None, None)
    return {
        "auc": card.auc,
        "auc_low": low,
        "auc_high": high,
        "auc_method": card.auc_method,
        "auc_note": card.auc_note,
        "n": card.n,
        "positives": card.positives,
        "not_run": card.not_run,
    }


def _words(row: SummaryRow, result: ProtocolResult) -> list[str]:
    if row.card is None:
        return ["", "", "", row.not_run or ""]
    counts = f"{row.card.n} ({row.card.positives})"
    remarks = "; ".join([row.words, *result.endpoints[row.key].warnings])
    return [model_name(row.model), with_interval(row.card.auc, row.card.auc_ci), counts, with_model_names(remarks)]
