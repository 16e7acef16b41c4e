# %% [markdown]
# # In scikit-learn's way
# `RadScore` and `FusionModel` are estimators. Patients with several cases are groups, so that no patient stands on both
# sides of a split.

# %%
import made_up
import pandas as pd
from sklearn import config_context
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.model_selection import StratifiedGroupKFold, cross_validate
from sklearn.pipeline import make_pipeline

from DeepRadScoreLib import FusionModel, RadScore, extract

cohort = pd.read_csv(made_up.cohort()).set_index("case_id")
labels = cohort["PI"].dropna().astype(int)
features = extract(made_up.cohort()).loc[labels.index]
patients = cohort.loc[labels.index, "patient_id"]

# %% [markdown]
# One RadScore for each region, then the best of the named classifiers.

# %%
with config_context(enable_metadata_routing=True):
    scores = ColumnTransformer(
        [
            (region, RadScore().set_fit_request(groups=True), make_column_selector(f"^{region}_"))
            for region in ("tumour", "peritumoral")
        ]
    )
    fusion = FusionModel(search="quick", folds=3, repeats=1, classifiers=("LR", "LDA", "NB"))
    found = cross_validate(
        make_pipeline(scores, fusion.set_fit_request(groups=True)),
        features,
        labels,
        params={"groups": patients},
        cv=StratifiedGroupKFold(3),
        scoring="roc_auc",
        return_estimator=True,
    )
print("AUC of each fold:", found["test_score"].round(2))
for pipeline in found["estimator"]:
    print(pipeline[-1].classifier_, [len(score.selected_names) for _, score, _ in pipeline[0].transformers_[:2]])
