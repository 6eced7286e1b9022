"""NVIDIA's GPUs, by NVML (`pip install 'experiment-ci[gpu]'`)."""

import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bot.sidecar.usage import Gpu


class NvidiaGpus:
    """All GPUs of the machine. `nvml` is the module `pynvml` or what has its functions."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]

    @classmethod
    def find(cls) -> "NvidiaGpus | None":
        """Return them; None where there is no driver, no GPU, or no binding to ask by."""
        try:
            nvml = importlib.import_module("pynvml")
        except ImportError:
            return None
        try:
            nvml.nvmlInit()
            gpus = cls(nvml)
        except nvml.NVMLError:
            return None
        return gpus if gpus._handles else None

    def look(self) -> Sequence[Gpu]:
        """Return how they are now. What a GPU does not tell is left out."""
        return [Gpu(self._pids(handle), dict(self._values(handle))) for handle in self._handles]

    def _pids(self, handle: Any) -> frozenset[int]:
        found = self._asked(self._nvml.nvmlDeviceGetComputeRunningProcesses, handle) or ()
        return frozenset(process.pid for process in found)

    def _values(self, handle: Any) -> Iterator[tuple[str, float]]:
        """Units: bytes, watts, degrees Celsius, percent."""
        nvml = self._nvml
        if memory := self._asked(nvml.nvmlDeviceGetMemoryInfo, handle):
            yield "gpuMemoryFree", memory.free
            yield "gpuMemoryUsed", memory.used
        if (power := self._asked(nvml.nvmlDeviceGetPowerUsage, handle)) is not None:
            yield "gpuPowerDraw", power / 1000
        if (degrees := self._asked(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU)) is not None:
            yield "gpuTemp", degrees
        if rates := self._asked(nvml.nvmlDeviceGetUtilizationRates, handle):
            yield "gpuUtilization", rates.gpu
            yield "gpuMemoryUtilization", rates.memory

    def _asked(self, question: Callable[..., Any], *about: Any) -> Any:
        try:
            return question(*about)
        except self._nvml.NVMLError:
            return None
