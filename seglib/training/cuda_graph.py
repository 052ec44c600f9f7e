"""Owns a training step that is recorded once as a CUDA graph and then replayed. Explained in 08_cuda."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim import Optimizer

from seglib.optim import make_fused

WARM_UP = 3  # steps as usual: cuDNN chooses its algorithms, and the optimizer makes its running means


class RecordedStep:
    """Does what `compute` does; after a few steps its kernels are recorded, and replayed with each new batch.

    A step of a small model is more than a thousand small kernels. Python starts each of them, which takes longer than
    the GPU needs to compute it. A replay starts all of them at once. They compute the same, in the same order; learning
    rates are those that the optimizer's groups hold at the time.

    A batch of another shape than the recorded one, as the last of an epoch, is computed as usual. When the optimizer
    has got another state, or layers were frozen or thawed, the step is recorded anew.

    Args:
        compute: takes images and masks on the GPU, does a whole step, the optimizer's update included, and gives the
            loss, detached. It must not read a value on the host: no `.item()`, no `print` of a tensor.
        optimizer: that `compute` steps. It becomes a fused one.
    """

    def __init__(self, compute: Callable[[Tensor, Tensor], Tensor], optimizer: Optimizer):
        self.compute = compute
        self.scaler = getattr(compute, "scaler", None)  # of float16, for a checkpoint
        self.optimizer = optimizer
        self.stream = torch.cuda.Stream()
        self.parameters = [tensor for group in optimizer.param_groups for tensor in group["params"]]
        self._forget()

    def __call__(self, images: Tensor, masks: Tensor) -> Tensor:
        """Images (N, 3, H, W) and masks on the GPU; the loss, a scalar, detached."""
        if self.graph is not None and self.recorded_state != self._state():
            self._forget()
        if self.graph is None and self.usual_steps >= WARM_UP:
            self._record(images, masks)
        if self.graph is None or not self._fits(images, masks):
            self.usual_steps += 1
            return self._compute_as_usual(images, masks)
        self.images.copy_(images)
        self.masks.copy_(masks)
        for recorded, group in zip(self.learning_rates, self.optimizer.param_groups, strict=True):
            recorded.fill_(group["lr"])
        self.graph.replay()
        return self.loss.clone()  # the next replay writes into the same memory

    def _forget(self) -> None:
        make_fused(self.optimizer)
        self.graph: torch.cuda.CUDAGraph | None = None
        self.usual_steps = 0

    def _state(self) -> tuple[object, ...]:
        """What a recording depends on: addresses in the GPU's memory, and which weights move."""
        first = self.parameters[0]
        kept = [value.data_ptr() for value in self.optimizer.state[first].values() if isinstance(value, Tensor)]
        return first.data_ptr(), *kept, *(parameter.requires_grad for parameter in self.parameters)

    def _fits(self, images: Tensor, masks: Tensor) -> bool:
        recorded = [(tensor.shape, tensor.dtype) for tensor in (self.images, self.masks)]
        return recorded == [(tensor.shape, tensor.dtype) for tensor in (images, masks)]

    def _compute_as_usual(self, images: Tensor, masks: Tensor) -> Tensor:
        """On the stream that records later: torch wants the steps before it there."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            loss = self.compute(images, masks)
        torch.cuda.current_stream().wait_stream(self.stream)
        return loss

    def _record(self, images: Tensor, masks: Tensor) -> None:
        """Record one step; nothing is computed yet, so no weight changes here."""
        make_fused(self.optimizer)  # again: a state that was loaded since may say otherwise
        self.images, self.masks = images.clone(), masks.clone()
        groups = self.optimizer.param_groups
        rates = [group["lr"] for group in groups]
        # A number would be recorded as it is now. A tensor is read anew in each replay.
        self.learning_rates = [torch.tensor(float(rate), device=images.device) for rate in rates]
        for group, tensor in zip(groups, self.learning_rates, strict=True):
            group["lr"] = tensor
            group["capturable"] = True
        self.optimizer.zero_grad()  # the gradients get memory of the recording
        torch.cuda.empty_cache()  # of the steps before: the recording keeps memory of its own
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
                self.loss = self.compute(self.images, self.masks)
        finally:
            for group, rate in zip(groups, rates, strict=True):
                group["lr"] = rate
                group["capturable"] = False
        self.graph = graph
        self.recorded_state = self._state()
