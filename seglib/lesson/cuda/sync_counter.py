"""Owns how we count the moments in which Python would wait for a GPU: each asks a tensor for its value. See 08_cuda."""

import contextlib
from collections.abc import Callable, Iterable
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

# What torch calls underneath: .item(), float(), int(), bool() and `if`; whatever has a size that depends on values.
ASKING = (
    "_local_scalar_dense",
    "nonzero",
    "unique",
    "_unique",
    "masked_select",
    "equal",
    "bincount",
    "repeat_interleave",
)
INDEXING = ("index", "index_put", "index_put_", "_index_put_impl_")  # these ask only for a mask, whose size they need
LEAVING = ("cpu", "numpy", "tolist", "__array__")  # of a tensor: on a CPU nothing of torch is called underneath


class _Counter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.count, self.inside = 0, False

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        masks = [index for index in args[1] if isinstance(index, Tensor)] if name in INDEXING else []
        asks = name.startswith(ASKING) or any(mask.dtype == torch.bool for mask in masks)
        self.count += asks and not self.inside
        return function(*args, **(kwargs or {}))

    def counting(self, method: Callable, asks: Callable[[tuple], bool]) -> Callable:
        """`method`, which counts as one question, whatever it calls underneath."""

        def counted(*args: Any, **options: Any) -> Any:
            self.count += asks(args) and not self.inside
            before, self.inside = self.inside, True
            try:
                return method(*args, **options)
            finally:
                self.inside = before

        return counted


def _holds_tensors(args: tuple) -> bool:
    return (
        isinstance(args[0], Iterable)
        and not isinstance(args[0], Tensor)
        and any(isinstance(x, Tensor) for x in args[0])
    )


def count_syncs(work: Callable[[], object]) -> int:
    """How many times `work` asks a tensor for its value, as if every tensor were on a GPU.

    Example:
        >>> count_syncs(lambda: torch.ones(3).sum().item())
        1
        >>> count_syncs(lambda: torch.ones(3).sum().detach() * 2)
        0
    """
    with _Counter() as counter, contextlib.ExitStack() as patches:
        for name in LEAVING:
            method = counter.counting(getattr(Tensor, name), lambda args: True)
            patches.enter_context(mock.patch.object(Tensor, name, method))
        patches.enter_context(mock.patch.object(torch, "tensor", counter.counting(torch.tensor, _holds_tensors)))
        work()
    return counter.count
