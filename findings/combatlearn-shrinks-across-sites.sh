#!/bin/sh
# combatlearn's ComBat shrinks each feature's site effects towards each other, and leaves part of them in the features.
#
# Packages: combatlearn 2.3.0, neuroCombat 0.2.12, numpy 2.4.6, pandas 3.1.1, scikit-learn 1.9.1, Python 3.11.
# Guess: `ComBat(method="johnson")` of features by site is what neuroCombat gives, and what Johnson 2007 writes: the
#   prior of a site's effects is their mean and variance over the features.
# Seen: it is their mean and variance over the sites, feature by feature. Of 30 features from three sites of 20
#   patients, one of which has 3 more and one 1.5 times the values, some patient's feature (10, spread 2) is 1.2 off,
#   and the third site keeps a larger mean and spread than the others. neuroCombat is 0.00001 from the formulas.
# Output:
#   largest difference from the formulas: neuroCombat 0.00001, combatlearn 1.2
#   means by site: before 10.0 12.9 15.0; neuroCombat 12.63 12.62 12.61; combatlearn 12.52 12.63 12.73
#   spread by site: before 1.9 1.8 2.9; neuroCombat 2.21 2.22 2.25; combatlearn 2.13 2.10 2.41
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 pandas==3.1.1 scikit-learn==1.9.1
"$folder/venv/bin/pip" install --quiet --no-deps combatlearn==2.3.0 neuroCombat==0.2.12
cd "$folder"
venv/bin/python -W ignore - > seen <<'PYTHON'
import contextlib
import io

import numpy as np
import pandas as pd
from combatlearn import ComBat
from neuroCombat import neuroCombat

rng = np.random.default_rng(0)
features = rng.normal(10, 2, (60, 30))
site = np.repeat([1, 2, 3], 20)
features[site == 2] += 3
features[site == 3] *= 1.5


def by_formula(features, site):
    """Johnson 2007, equations 3.1 and 3.2, iterated; of sites of equal size, without covariates."""
    levels = np.unique(site)
    means = np.stack([features[site == level].mean(axis=0) for level in levels])
    centre = means.mean(axis=0)
    spread = np.sqrt(np.mean([((features[site == s] - m) ** 2).mean(axis=0) for s, m in zip(levels, means)], axis=0))
    made = np.empty_like(features)
    for level in levels:
        z = (features[site == level] - centre) / spread
        n, shift, scale = len(z), z.mean(axis=0), z.var(axis=0, ddof=1)
        prior, tau = shift.mean(), shift.var(ddof=1)
        mean, variance = scale.mean(), scale.var(ddof=1)
        shape, rate = 2 + mean**2 / variance, mean + mean**3 / variance
        moved, scaled = shift, scale
        for _ in range(1000):
            moved = (n * tau * shift + scaled * prior) / (n * tau + scaled)
            scaled = (rate + ((z - moved) ** 2).sum(axis=0) / 2) / (n / 2 + shape - 1)
        made[site == level] = (z - moved) / np.sqrt(scaled)
    return made * spread + centre


with contextlib.redirect_stdout(io.StringIO()):
    neuro = neuroCombat(dat=features.T, covars=pd.DataFrame({"site": site}), batch_col="site")["data"].T
table = pd.DataFrame(features)
learn = ComBat(batch=pd.Series(site), method="johnson").fit(table).transform(table).to_numpy()
formula = by_formula(features, site)
off = [np.abs(made - formula).max() for made in (neuro, learn)]
print(f"largest difference from the formulas: neuroCombat {off[0]:.5f}, combatlearn {off[1]:.1f}")


def text(made, value, digits):
    return " ".join(f"{value(made[site == s]):.{digits}f}" for s in (1, 2, 3))


for name, value in (("means", np.mean), ("spread", lambda values: values.std(axis=0).mean())):
    print(
        f"{name} by site: before {text(features, value, 1)}; neuroCombat {text(neuro, value, 2)}; "
        f"combatlearn {text(learn, value, 2)}"
    )
PYTHON
cat seen
cat > expected <<'TEXT'
largest difference from the formulas: neuroCombat 0.00001, combatlearn 1.2
means by site: before 10.0 12.9 15.0; neuroCombat 12.63 12.62 12.61; combatlearn 12.52 12.63 12.73
spread by site: before 1.9 1.8 2.9; neuroCombat 2.21 2.22 2.25; combatlearn 2.13 2.10 2.41
TEXT
cmp seen expected
