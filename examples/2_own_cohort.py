# %% [markdown]
# # A cohort of one's own
# A table with `case_id, patient_id, ct, mask` and a column for each endpoint; then features, a model, and a finding.

# %%
import made_up
import pandas as pd

from DeepRadScoreLib import analyze, extract, read_case, train

table = made_up.cohort()
cohort = pd.read_csv(table)
print(cohort[["case_id", "site", "split", "PI", "EGFR"]].head())

# %% [markdown]
# Cases that cannot be read do not stop the others: `.attrs["left_out"]` says why for each. A second call takes what was
# computed from the cache.

# %%
features = extract(table, progress=True)
print(features.shape, features.attrs["quality"], features.attrs["left_out"])

# %% [markdown]
# `train` holds out the rows whose `split` is `test` and judges the model on them once.

# %%
trained = train(table, out="model.zip", **made_up.SMALL, progress=True)
print(trained)

# %% [markdown]
# A finding that the model may not give is empty, and its flags say why. With 40 training cases most intervals of the
# AUC hold 0.5.

# %%
row = cohort[cohort["split"] == "test"].iloc[0]
case = read_case(made_up.FOLDER / row["ct"], made_up.FOLDER / row["mask"], case_id=row["case_id"])
print(analyze(case, "model.zip").to_frame()[["probability", "flags"]])
