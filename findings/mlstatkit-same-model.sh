#!/bin/sh
# MLstatkit finds that a model differs from itself, p = 0.
#
# Packages: MLstatkit 0.1.91, numpy 2.4.6, scipy 1.17.1, Python 3.11.
# Guess: DeLong's test of two models that rank the patients alike, such as a model and the same one recalibrated, gives
#   p = 1, or NaN, as the AUCs are equal.
# Seen: the variance of the difference is 0, so it turns to a bootstrap, whose p is twice the smaller of two shares,
#   that of differences <= 0 and that of differences > 0. All are 0, so the second share is 0, and p with it: z = 0, p
#   = 0. In a table of ten models against a first one it is the most significant row. Nothing is said.
# Output:
#   a model and itself: z 0, p 0, AUC 0.6720 and 0.6720, by bootstrap
#   a model and itself recalibrated: z 0, p 0, AUC 0.6720 and 0.6720, by bootstrap
#   a model and itself with two patients exchanged: z -1.35, p 0.1761, AUC 0.6720 and 0.6367, by delong
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet MLstatkit==0.1.91 numpy==2.4.6 scipy==1.17.1
cd "$folder"
venv/bin/python -W error - > seen <<'PYTHON'
import numpy as np
from MLstatkit import Delong_test

rng = np.random.default_rng(0)
outcome = np.repeat([1, 0], [30, 50])
logit = rng.normal(outcome, 1)
model = 1 / (1 + np.exp(-logit))
recalibrated = 1 / (1 + np.exp(0.5 - 2 * logit))
assert (np.argsort(model) == np.argsort(recalibrated)).all()
exchanged = model.copy()
exchanged[[0, 40]] = exchanged[[40, 0]]
for name, other in (("", model), (" recalibrated", recalibrated), (" with two patients exchanged", exchanged)):
    z, p, _, _, auc, other_auc, info = Delong_test(outcome, model, other, random_state=0)
    print(
        f"a model and itself{name}: z {z:.3g}, p {p:.4g}, AUC {auc:.4f} and {other_auc:.4f}, by {info['method']}"
    )
PYTHON
cat seen
cat > expected <<'TEXT'
a model and itself: z 0, p 0, AUC 0.6720 and 0.6720, by bootstrap
a model and itself recalibrated: z 0, p 0, AUC 0.6720 and 0.6720, by bootstrap
a model and itself with two patients exchanged: z -1.35, p 0.1761, AUC 0.6720 and 0.6367, by delong
TEXT
cmp seen expected
