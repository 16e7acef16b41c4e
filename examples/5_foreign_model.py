# %% [markdown]
# # Somebody else's model on one's own cases
# What to look at before a model is trusted: what it was trained on, how like one's own cases are, how often it says
# nothing, and how right it is where it says something.

# %%
import made_up
import pandas as pd
from sklearn.metrics import brier_score_loss, roc_auc_score

from DeepRadScoreLib import analyze, read_bundle, read_case

table = made_up.cohort()
bundle = read_bundle(made_up.model())
print(bundle)

# %% [markdown]
# Every case of one's own with a known label.

# %%
own = pd.read_csv(table).query("split == 'test'").set_index("case_id")
rows = {}
for case_id, row in own.iterrows():
    case = read_case(made_up.FOLDER / row["ct"], made_up.FOLDER / row["mask"], case_id=case_id)
    profile = analyze(case, bundle)
    finding = profile.findings["PI"]
    percentile = profile.likeness.percentile if profile.likeness else None
    rows[case_id] = {"probability": finding.probability, "flags": ", ".join(finding.flags), "percentile": percentile}
judged = pd.DataFrame.from_dict(rows, orient="index").assign(label=own["PI"])
print(judged.to_string())

# %% [markdown]
# A case far from the training patients has a percentile near 100. With few cases an AUC says little: its interval is
# what counts, and `evaluate` gives one for a model of one's own.

# %%
given = judged.dropna(subset=["probability", "label"])
print(f"a probability in {len(given)} of {len(judged)} cases")
if given["label"].nunique() == 2:
    print(f"AUC {roc_auc_score(given['label'], given['probability']):.2f}")
    print(f"Brier score {brier_score_loss(given['label'], given['probability']):.2f}")
