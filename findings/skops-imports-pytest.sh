#!/bin/sh
# Importing the reader of skops archives imports every module of scikit-learn, and pytest with them.
#
# Packages: skops 0.16.0, scikit-learn 1.9.1, pytest 9.2.0, Python 3.11.
# Guess: `import skops.io` imports zipfile, json, numpy and the classes that it meets in an archive.
# Seen: while it is imported it asks scikit-learn for all estimators (`sklearn.utils.all_estimators`), which imports all
#   its modules, its test helpers among them, and these import pytest where it is installed: hundreds of modules and a
#   few tenths of a second before the first classifier is read.
# Output:
#   import skops.io: 509 modules of others, 347 of scikit-learn, pytest: True
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet skops==0.16.0 scikit-learn==1.9.1 pytest==9.2.0
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy
import sklearn

before = set(sys.modules)
import skops.io

new = {name for name in set(sys.modules) - before if not name.startswith("skops")}
of_sklearn = [name for name in new if name.startswith("sklearn.")]
print(f"import skops.io: {len(new)} modules of others, {len(of_sklearn)} of scikit-learn, pytest: {'pytest' in new}")
assert "pytest" in new and len(of_sklearn) > 200, (len(of_sklearn), sorted(new)[:20])
PYTHON
