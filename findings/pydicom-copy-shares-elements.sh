#!/bin/sh
# What is set, added or removed in a copy of a pydicom dataset is set, added and removed in the original, too.
#
# Packages: pydicom 3.0.2, Python 3.11.
# Guess: `Dataset.copy()`, "a shallow copy of the dataset" as its documentation says, has elements of its own, as the copy
#   of a dict has entries of its own; only values within them (items of a sequence) are shared.
# Seen: the copy and the original hold one and the same dict of elements, so that nothing was copied: ten objects that are
#   made as copies of one, each with a UID of its own, all have the last one's UID. `copy.copy` and `Dataset(ds)` do the
#   same; a new dict of the elements (`Dataset(dict(ds.items()))`) parts additions and removals, but an element that is
#   set by its name in one changes in the other. Only `copy.deepcopy` copies.
# Output:
#   dict.copy()              original keeps its entries: True
#   ds.copy()                value 2, added True, removed True
#   copy.copy(ds)            value 2, added True, removed True
#   Dataset(ds)              value 2, added True, removed True
#   Dataset(dict(items))     value 2, added False, removed False
#   copy.deepcopy(ds)        value 1, added False, removed False
#   UIDs of three copies: 2.25.3 2.25.3 2.25.3
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv venv
venv/bin/pip install --quiet pydicom==3.0.2
cat > show.py <<'PYTHON'
import copy

from pydicom import Dataset

entries = {"Rows": 1, "Columns": 1}
other = entries.copy()
other["Rows"] = 2
del other["Columns"]
print(f"{'dict.copy()':24} original keeps its entries: {entries == {'Rows': 1, 'Columns': 1}}")
ways = {
    "ds.copy()": Dataset.copy,
    "copy.copy(ds)": copy.copy,
    "Dataset(ds)": Dataset,
    "Dataset(dict(items))": lambda ds: Dataset(dict(ds.items())),
    "copy.deepcopy(ds)": copy.deepcopy,
}
for name, copied in ways.items():
    original = Dataset()
    original.Rows, original.Columns = 1, 1
    made = copied(original)
    made.Rows, made.NumberOfFrames = 2, 3
    del made.Columns
    added, removed = "NumberOfFrames" in original, "Columns" not in original
    print(f"{name:24} value {original.Rows}, added {added}, removed {removed}")
template, objects = Dataset(), []
for n in (1, 2, 3):
    made = template.copy()
    made.SOPInstanceUID = f"2.25.{n}"
    objects.append(made)
print("UIDs of three copies:", *(one.SOPInstanceUID for one in objects))
PYTHON
venv/bin/python show.py | tee seen
cat > expected <<'TEXT'
dict.copy()              original keeps its entries: True
ds.copy()                value 2, added True, removed True
copy.copy(ds)            value 2, added True, removed True
Dataset(ds)              value 2, added True, removed True
Dataset(dict(items))     value 2, added False, removed False
copy.deepcopy(ds)        value 1, added False, removed False
UIDs of three copies: 2.25.3 2.25.3 2.25.3
TEXT
cmp seen expected
