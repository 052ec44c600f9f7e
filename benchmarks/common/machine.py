"""Names the machine on which something was measured: it stands in every file of benchmarks/results."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def processor() -> str:
    """The processor's name, where the system gives it away."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine() -> dict[str, Any]:
    """Processor, cores, system, and the versions that decide what comes out."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": version("torch"),
    }


def machine_with_gpu(device: "torch.device") -> dict[str, Any]:
    """As `machine`, and the GPU that the device is; None for any other device."""
    return {**machine(), "gpu": _gpu_name(device)}


def device_in_use() -> str:
    """Where a training runs here: the GPU's name, or "cpu"; a record that was made on two machines keeps it by run."""
    from seglib.device import pick_device  # here, as torch below

    device = pick_device()
    return _gpu_name(device) or device.type


def _gpu_name(device: "torch.device") -> str | None:
    import torch  # here: the tools in tools/proofs, which name the machine too, need not wait for it

    return torch.cuda.get_device_name(device) if device.type == "cuda" else None
