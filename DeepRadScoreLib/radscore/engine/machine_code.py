"""Machine code of kernels: written once from what numba compiled, loaded by later processes without numba.

Importing numba and setting it up takes longer than measuring a small tumour; machine code is loaded through llvmlite in
some milliseconds. A loaded kernel is a C function that is called with the addresses and shapes of its arrays.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

INDEX = "index.json"
SCALARS: dict[str, Any] = {"int64": ctypes.c_int64, "float64": ctypes.c_double}
MADE_BY_LLVM = ("memcpy", "memmove", "memset")
NEVER_CALLED = ("NRT_", "numba_")
"""Prefixes of functions of numba that only an error inside a kernel, or an array made there, would call."""


@dataclass(frozen=True)
class Argument:
    """Type of a kernel's argument: a C-contiguous array, or a scalar if it has no dimensions."""

    dtype: np.dtype
    dimensions: int

    def fits(self, given: Any) -> bool:
        """Whether a value can be handed to the kernel."""
        if not self.dimensions:
            return not isinstance(given, np.ndarray)
        return given.ndim == self.dimensions and given.dtype == self.dtype and given.flags.c_contiguous


def arguments(signature: str) -> list[Argument]:
    """The arguments of a signature such as "void(float64[:,::1], int64)"."""
    given = re.findall(r"(\w+)(?:\[([^]]*)\])?", signature.partition("(")[2])
    return [Argument(np.dtype(dtype), axes.count(",") + 1 if axes else 0) for dtype, axes in given]


@dataclass(frozen=True)
class Entry:
    """A kernel on disk, for one signature.

    Attributes
    ----------
    kernel: "module.function".
    symbol: its name in the object file.
    file, sha256: the object file and its digest.
    needs: names of the functions that it calls.
    """

    kernel: str
    signature: str
    symbol: str
    file: str
    sha256: str
    needs: list[str]


def write_machine_code(compiled: Any, signature: str, kernel: str, folder: Path) -> Entry:
    """Write the machine code of a function that `numba.njit` compiled into a folder."""
    import llvmlite.binding as llvm

    function = _with_addresses(compiled, signature)
    module = llvm.parse_assembly(function.inspect_llvm())
    code = _target(llvm).emit_object(module)
    digest = hashlib.sha256(code).hexdigest()
    file = f"{digest[:16]}.o"
    (folder / file).write_bytes(code)
    needs = [other.name for other in module.functions if other.is_declaration and not other.name.startswith("llvm.")]
    return Entry(kernel, signature, function.native_name, file, digest, [*needs, *MADE_BY_LLVM])


def _with_addresses(compiled: Any, signature: str) -> Any:
    """The function as a C callback that takes each array as its address and its shape."""
    import numba

    names, values, kinds = [], [], []
    for number, argument in enumerate(arguments(signature)):
        kind = getattr(numba.types, argument.dtype.name)
        shape = [f"a{number}_{axis}" for axis in range(argument.dimensions)]
        names += [f"a{number}", *shape]
        values.append(f"carray(a{number}, ({', '.join(shape)},))" if shape else f"a{number}")
        kinds += [numba.types.CPointer(kind), *[numba.types.int64] * len(shape)] if shape else [kind]
    scope = {"compiled": compiled, "carray": numba.carray}
    exec(f"def call({', '.join(names)}):\n    return compiled({', '.join(values)})\n", scope)
    result = getattr(numba.types, signature.partition("(")[0])
    return numba.cfunc(result(*kinds))(scope["call"])


def write_index(entries: list[Entry], folder: Path) -> None:
    """Write the list of a folder's kernels, which makes it complete."""
    (folder / INDEX).write_text(json.dumps([asdict(entry) for entry in entries]), encoding="utf-8")


class MachineCode:
    """The kernels of a folder, loaded into this process."""

    def __init__(self, folder: Path) -> None:
        """Load them.

        Raises
        ------
        OSError, ValueError, RuntimeError: a file is missing or damaged, or calls what this process does not have.
        """
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        entries = [Entry(**entry) for entry in json.loads((folder / INDEX).read_text(encoding="utf-8"))]
        _resolve(llvm, {name for entry in entries for name in entry.needs})
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target(llvm))
        for entry in entries:
            code = (folder / entry.file).read_bytes()
            if hashlib.sha256(code).hexdigest() != entry.sha256:
                raise ValueError(f"{entry.file} is damaged")
            self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        self._functions: dict[str, list[tuple[list[Argument], Any]]] = {}
        for entry in entries:
            address = self._engine.get_function_address(entry.symbol)
            self._functions.setdefault(entry.kernel, []).append(_callable(entry.signature, address))

    def kernel(self, name: str) -> Callable[..., Any]:
        """The kernel "module.function"; it raises TypeError for arguments that no signature of it takes."""
        signatures = self._functions[name]

        def call(*given: Any) -> Any:
            for takes, function in signatures:
                words = _words(takes, given)
                if words is not None:
                    return function(*words)
            raise TypeError(f"{name} does not take these arguments")

        return call


def _callable(signature: str, address: int) -> tuple[list[Argument], Any]:
    """The arguments of a compiled signature, and its C function, which releases the Global Interpreter Lock."""
    takes = arguments(signature)
    kinds = [
        kind
        for argument in takes
        for kind in (
            [ctypes.c_void_p, *[ctypes.c_int64] * argument.dimensions]
            if argument.dimensions
            else [SCALARS[argument.dtype.name]]
        )
    ]
    return takes, ctypes.CFUNCTYPE(SCALARS.get(signature.partition("(")[0]), *kinds)(address)


def _words(takes: list[Argument], given: tuple[Any, ...]) -> list[Any] | None:
    """What the C function is called with: each array's address and shape; None where a value does not fit."""
    words = []
    for argument, value in zip(takes, given, strict=True):
        if not argument.fits(value):
            return None
        if not argument.dimensions:
            words.append(value)
        else:
            # a quarter of the time of `value.ctypes.data`, and there are a thousand arrays in a case
            quick = value.flags.writeable and value.size
            address = ctypes.addressof(ctypes.c_char.from_buffer(value.data)) if quick else value.ctypes.data
            words += (address, *value.shape)
    return words


def _resolve(llvm: Any, needs: set[str]) -> None:
    """Hand over the functions that are called, from Python and from C's library; those that never are, as any other."""
    libraries = (ctypes.pythonapi, ctypes.CDLL("ucrtbase") if sys.platform == "win32" else ctypes.CDLL(None))
    for name in needs:
        function = next((getattr(library, name) for library in libraries if hasattr(library, name)), None)
        if function is None:
            if not name.startswith(NEVER_CALLED):
                raise RuntimeError(f"the function {name} is missing")
            function = ctypes.pythonapi.Py_FatalError
        llvm.add_symbol(name, ctypes.cast(function, ctypes.c_void_p).value)


def _target(llvm: Any) -> Any:
    """Code for this very processor."""
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        codemodel="jitdefault",
        jit=True,
    )
