"""A fitted model as bytes without code: a skops archive with a closed list of types.

skops is imported late: it imports all of scikit-learn, which loads torch.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from DeepRadScoreLib.archive import DAMAGED, MEND, checked_parts, read_part
from DeepRadScoreLib.errors import BundleError
from DeepRadScoreLib.json_text import parse_json

SCHEMA = "schema.json"
MAX_PARTS = 100_000
MAX_TREE_COLUMNS = 1000
UNREADABLE = (
    *DAMAGED,
    *(
        AttributeError,
        ArithmeticError,
        AssertionError,
        ImportError,
        LookupError,
        MemoryError,
        RecursionError,
        TypeError,
    ),
)
"""What skops raises for a schema that it does not understand."""
FIRST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)

TRUSTED_TYPES: frozenset[str] = frozenset(
    {
        "DeepRadScoreLib.fusion.model.FusionModel",
        *(f"builtins.{name}" for name in ("bool", "dict", "float", "int", "list", "str", "tuple")),
        *(f"numpy.{name}" for name in ("bool", "bool_", "dtype", "float32", "float64", "int32", "int64", "ndarray")),
        "numpy.random.mtrand.RandomState",
        "sklearn.discriminant_analysis.LinearDiscriminantAnalysis",
        "sklearn.ensemble._forest.RandomForestClassifier",
        "sklearn.linear_model._logistic.LogisticRegression",
        "sklearn.naive_bayes.GaussianNB",
        "sklearn.neighbors._classification.KNeighborsClassifier",
        "sklearn.neural_network._multilayer_perceptron.MLPClassifier",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.pipeline.Pipeline",
        "sklearn.preprocessing._data.StandardScaler",
        "sklearn.preprocessing._label.LabelBinarizer",
        "sklearn.svm._classes.SVC",
        "sklearn.tree._classes.DecisionTreeClassifier",
        "sklearn.tree._tree.Tree",
    }
)


def to_skops(model: Any) -> bytes:
    """The model as a skops archive; equal models give equal bytes.

    Raises BundleError if it holds a type that could not be read back.
    """
    import skops.io

    data = skops.io.dumps(model)
    _trusted_types(data)
    return _canonical(data)


def from_skops(data: bytes) -> Any:
    """The model in a skops archive, if all its types are in `TRUSTED_TYPES`.

    Raises
    ------
    BundleError: the archive is damaged, or it holds another type (named). Nothing is built then.
    """
    import skops.io

    types = _trusted_types(data)
    try:
        return skops.io.loads(data, trusted=sorted(types))
    except UNREADABLE as error:
        reason = " ".join(str(error).split())[:200]
        raise BundleError(f"the stored classifier cannot be read ({reason})", mend=MEND) from error


def types_in(data: bytes) -> set[str]:
    """Names of all types and functions that a skops archive asks for. Raises BundleError for a damaged archive."""
    return {f"{node.get('__module__')}.{node.get('__class__')}" for node in _nodes(_schema(data))}


def _schema(data: bytes) -> Any:
    """The schema of an archive whose parts have plain names and sizes, and whose arrays are as long as they say."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = {part.filename: read_part(archive, part) for part in checked_parts(archive, len(data), MAX_PARTS)}
        schema = parse_json(parts.pop(SCHEMA), SCHEMA)
    except BundleError:
        raise
    except DAMAGED as error:
        raise BundleError("the stored classifier is not a whole skops archive", mend=MEND) from error
    for name, content in parts.items():
        _check_array_length(name, content)
    for tree in _nodes(schema):
        if tree.get("__loader__") == "TreeNode" or tree.get("__class__") == "Tree":
            _check_tree_arguments(tree)
    return schema


def _check_array_length(name: str, content: bytes) -> None:
    """Refuse a .npy file that is none, holds objects, or promises more values than it has."""
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
        whole = not dtype.hasobject and prod(shape) * dtype.itemsize == len(content) - stream.tell()
    except (ValueError, EOFError, OverflowError, RecursionError, MemoryError) as error:
        raise BundleError(f'its part "{name}" is not an array', mend=MEND) from error
    if not whole:
        raise BundleError(f'the array in its part "{name}" has not the length that it says', mend=MEND)


def _check_tree_arguments(tree: dict[str, Any]) -> None:
    """Refuse a decision tree of several outputs: its constructor reads as many numbers of classes as it is told."""
    try:
        columns, classes, outputs = tree["__reduce__"]["args"]["content"]
        told = (int(columns["content"]), classes["__loader__"], outputs["content"])
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError("the stored classifier holds a Tree that cannot be read", mend=MEND) from error
    if not 0 < told[0] <= MAX_TREE_COLUMNS or told[1:] != ("NdArrayNode", "1"):
        raise BundleError("the stored classifier holds a Tree of other columns or outputs", mend=MEND)


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every dictionary of the schema that names a type, in document order."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            if found.keys() & {"__module__", "__class__", "__loader__"}:
                yield found
            waiting += reversed(found.values())
        elif isinstance(found, list):
            waiting += reversed(found)


def _trusted_types(data: bytes) -> set[str]:
    """Those that an archive asks for. Raises BundleError if one is not in `TRUSTED_TYPES`."""
    types = types_in(data)
    foreign = sorted(types - TRUSTED_TYPES)
    if foreign:
        raise BundleError(f'the stored classifier holds the untrusted type "{foreign[0][:200]}"', mend=MEND)
    return types


def _canonical(data: bytes) -> bytes:
    """The same archive without memory addresses and clock: nodes numbered, arrays named by their content."""
    schema = _schema(data)
    arrays: dict[str, bytes] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for number, node in enumerate(_nodes(schema)):
            node["__id__"] = number
            if "file" in node:
                content = _without_padding(archive.read(node["file"]))
                node["file"] = hashlib.sha256(content).hexdigest()[:32] + ".npy"
                arrays[node["file"]] = content
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in [*sorted(arrays.items()), (SCHEMA, json.dumps(schema).encode())]:
            archive.writestr(zipfile.ZipInfo(name, FIRST_ZIP_DATE), content, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _without_padding(content: bytes) -> bytes:
    """A .npy file of records (the nodes of a tree) with zeros in the bytes between the fields; others as they are."""
    array = np.load(io.BytesIO(content), allow_pickle=False)
    if array.dtype.names is None:
        return content
    clean = np.zeros(array.shape, array.dtype)
    for name in array.dtype.names:
        clean[name] = array[name]
    stream = io.BytesIO()
    np.save(stream, clean, allow_pickle=False)
    return stream.getvalue()
