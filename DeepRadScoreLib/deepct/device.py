"""The device that networks run on, and settings of torch for reproducible results."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch

from DeepRadScoreLib.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")


def device_of(name: str) -> torch.device:
    """The device of "auto", "cpu" or "cuda".

    Raises
    ------
    InputError: another name, or "cuda" where torch finds no such device.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f'"{name}" is not known', where="--device", mend="choose auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("torch finds no CUDA device", where="--device cuda", mend="use --device auto or cpu")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


@contextlib.contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Compute reproducibly within the block: on the CPU in one thread, so that the number of cores changes no sum; on
    CUDA in full float32, with a warning where that is not possible.

    New tensors are not filled with NaN, as torch else does then: that costs 5 % of a forward pass and shows only the
    use of memory that was never written.
    """
    before = torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    warned_only = torch.is_deterministic_algorithms_warn_only_enabled()
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    memory.fill_uninitialized_memory = False
    try:
        with (
            contextlib.nullcontext() if device.type == "cuda" else one_thread(),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
        ):
            yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warned_only)
        memory.fill_uninitialized_memory = filled


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread within the block: sums are the same on every number of cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def map_in_threads(function: Callable[[Item], Result], items: Sequence[Item], at_once: int) -> list[Result]:
    """`function` of each item on the CPU, some at a time, each in one thread, so that no sum depends on their number.

    The threads end with the call.
    """
    with one_thread():
        if min(at_once, len(items)) <= 1:
            return [function(item) for item in items]
        with ThreadPoolExecutor(at_once, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(function, items))
