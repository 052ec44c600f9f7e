"""Owns a count of synchronizations: how often Python would wait for a GPU to read a tensor's value. See 08_cuda."""

import contextlib
from collections.abc import Callable, Iterable
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

# Operators of torch that read values: .item(), float(), int(), bool() and `if` call the first; the size of what the
# others return depends on values.
SYNCING_OPERATORS = (
    "_local_scalar_dense",
    "nonzero",
    "unique",
    "_unique",
    "masked_select",
    "equal",
    "bincount",
    "repeat_interleave",
)
# These read values only if the index is a mask, because the size of the result is then the number of its True.
INDEXING_OPERATORS = ("index", "index_put", "index_put_", "_index_put_impl_")
# Methods of a tensor that copy it to the CPU. For a tensor on the CPU they call no operator, so they are patched.
COPYING_METHODS = ("cpu", "numpy", "tolist", "__array__")


class _SyncCounter(TorchDispatchMode):
    """Sees every operator that torch calls, and counts those that read values."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.inside_counted_method = False

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if _reads_values(function.overloadpacket.__name__, args):
            self.add_one()
        return function(*args, **(kwargs or {}))

    def add_one(self) -> None:
        """Count one synchronization, unless it belongs to a method that was counted already."""
        if not self.inside_counted_method:
            self.count += 1

    def counting(self, method: Callable, reads_values: Callable[[tuple], bool]) -> Callable:
        """`method`, counted as one synchronization, whatever operators it calls."""

        def counted(*args: Any, **options: Any) -> Any:
            if reads_values(args):
                self.add_one()
            before = self.inside_counted_method
            self.inside_counted_method = True
            try:
                return method(*args, **options)
            finally:
                self.inside_counted_method = before

        return counted


def _reads_values(operator: str, args: tuple) -> bool:
    if operator in INDEXING_OPERATORS:
        return any(isinstance(index, Tensor) and index.dtype == torch.bool for index in args[1])
    return operator.startswith(SYNCING_OPERATORS)


def _holds_tensors(args: tuple) -> bool:
    """Whether `torch.tensor(*args)` has to read the values of tensors: it gets a list of them."""
    data = args[0]
    return (
        isinstance(data, Iterable)
        and not isinstance(data, Tensor)
        and any(isinstance(element, Tensor) for element in data)
    )


def count_syncs(work: Callable[[], object]) -> int:
    """How many times `work` reads the value of a tensor, as if every tensor were on a GPU.

    Example:
        >>> count_syncs(lambda: torch.ones(3).sum().item())
        1
        >>> count_syncs(lambda: torch.ones(3).sum().detach() * 2)
        0
    """
    with _SyncCounter() as counter, contextlib.ExitStack() as patches:
        for name in COPYING_METHODS:
            method = counter.counting(getattr(Tensor, name), lambda args: True)
            patches.enter_context(mock.patch.object(Tensor, name, method))
        patches.enter_context(mock.patch.object(torch, "tensor", counter.counting(torch.tensor, _holds_tensors)))
        work()
    return counter.count
