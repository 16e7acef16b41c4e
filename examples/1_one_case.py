# %% [markdown]
# # One case
# From a CT and a tumour mask to regions, features and quality notes. Without a model there are no findings: no model of
# patients is shipped.

# %%
from pathlib import Path

import made_up
import matplotlib.pyplot as plt
import pandas as pd
import SimpleITK as sitk

from DeepRadScoreLib import analyze, read_case

row = pd.read_csv(made_up.cohort()).iloc[0]
case = read_case(made_up.FOLDER / row["ct"], made_up.FOLDER / row["mask"], case_id=row["case_id"])
print(case)

# %% [markdown]
# In a notebook `progress=True` shows a bar; interrupting the kernel cancels.

# %%
profile = analyze(case, progress=True)
print(profile)
prepared = profile.prepared
print(f"tumour {prepared.volume_ml('tumour'):.1f} mL, shell {prepared.volume_ml('peritumoral'):.1f} mL")
for note in profile.quality:
    print(f"{note.severity}: {note.message}")
print(pd.Series(profile.features).filter(like="original_shape").round(2).head())

# %% [markdown]
# The slice of the deep patch on the 1 mm lattice, with tumour (red) and shell (orange).

# %%
hu, tumour, shell = (sitk.GetArrayFromImage(image) for image in (prepared.image, prepared.tumour, prepared.peritumoral))
z = int(tumour.sum(axis=(1, 2)).argmax())
figure, axes = plt.subplots(figsize=(4, 4))
axes.imshow(hu[z], cmap="gray", vmin=-1000, vmax=400)
axes.contour(tumour[z], [0.5], colors="red")
axes.contour(shell[z], [0.5], colors="orange")
axes.set(title="synthetic: not for patients", xticks=[], yticks=[])
figure.savefig("one_case.png", dpi=100)

# %% [markdown]
# The files that the command `deepradscore analyze` leaves.

# %%
profile.save("one_case")
print(sorted(path.name for path in Path("one_case").iterdir()))
