"""Names the machine on which something was measured: it stands in every file of benchmarks/results."""

import os
import platform
from importlib.metadata import version
from pathlib import Path


def processor() -> str:
    """The processor's name, where the system gives it away."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine() -> dict[str, str | int | None]:
    """Processor, cores, system, and the versions that decide what comes out."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": version("torch"),
    }
