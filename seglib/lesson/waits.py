"""Owns how we count the moments in which Python would wait for a GPU: each asks a tensor for its value. See 07_cuda."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

# What torch calls underneath: .item(), float(), int(), bool() and `if`; nonzero() and a mask as index; unique().
ASKING = ("_local_scalar_dense", "nonzero", "unique", "masked_select", "equal")


class _Counter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        masks = [index for index in args[1] if isinstance(index, Tensor)] if name == "index" else []
        self.count += name.startswith(ASKING) or any(mask.dtype == torch.bool for mask in masks)
        return function(*args, **(kwargs or {}))


def count_waits(work: Callable[[], object]) -> int:
    """How many times `work` asks a tensor for its value, on whatever device the tensor is.

    Example:
        >>> count_waits(lambda: torch.ones(3).sum().item())
        1
        >>> count_waits(lambda: torch.ones(3).sum().detach() * 2)
        0
    """
    with _Counter() as counter:
        work()
    return counter.count
