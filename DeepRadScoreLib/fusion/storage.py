"""A fitted model as bytes without code: a skops archive with a closed list of types.

skops is imported late: it imports all of scikit-learn, which loads torch.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from DeepRadScoreLib.errors import BundleError

MEND = "use a bundle from a source you trust, or train the model again"
SCHEMA = "schema.json"
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
    _refuse_foreign_types(data)
    return _canonical(data)


def from_skops(data: bytes) -> Any:
    """The model in a skops archive, if all its types are in `TRUSTED_TYPES`.

    Raises
    ------
    BundleError: the archive is damaged, or it holds another type (named). Nothing is built then.
    """
    import skops.io

    _refuse_foreign_types(data)
    try:
        ours = sorted(set(skops.io.get_untrusted_types(data=data)) & TRUSTED_TYPES)
        return skops.io.loads(data, trusted=ours)
    except (AttributeError, EOFError, ImportError, LookupError, OSError, TypeError, ValueError) as error:
        raise BundleError(f"the stored classifier cannot be read ({error})", mend=MEND) from error
    except zipfile.BadZipFile as error:
        raise BundleError(f"the stored classifier is damaged ({error})", mend=MEND) from error


def types_in(data: bytes) -> set[str]:
    """Names of all types and functions that a skops archive asks for. Raises BundleError for a damaged archive."""
    return {f"{node.get('__module__')}.{node.get('__class__')}" for node in _nodes(_schema(data))}


def _schema(data: bytes) -> Any:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return json.loads(archive.read(SCHEMA))
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, OSError) as error:
        raise BundleError("the stored classifier is not a whole skops archive", mend=MEND) from error


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every dictionary of the schema that names a type, in document order."""
    if isinstance(value, dict) and value.keys() & {"__module__", "__class__", "__loader__"}:
        yield value
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _nodes(inner)


def _refuse_foreign_types(data: bytes) -> None:
    foreign = sorted(types_in(data) - TRUSTED_TYPES)
    if foreign:
        raise BundleError(f'the stored classifier holds the untrusted type "{foreign[0]}"', mend=MEND)


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
