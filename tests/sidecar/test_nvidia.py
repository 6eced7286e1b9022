"""NVML's answers in the ancestor's names and in plain units. Its library is stood in for: no GPU is near the tests."""

# ruff: noqa: N802 - the names are NVML's

from types import SimpleNamespace
from typing import Any

from bot.sidecar.nvidia import NvidiaGpus


class NVMLError(Exception):
    """What NVML raises for a question that a GPU does not answer."""


class Nvml:
    """One GPU that tells everything, and one that tells only its memory."""

    NVMLError = NVMLError
    NVML_TEMPERATURE_GPU = 0

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[Any]:
        return [SimpleNamespace(pid=11), SimpleNamespace(pid=12)] if handle == 0 else self._fail()

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        return SimpleNamespace(free=8 << 30, used=16 << 30)

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        return 250_500 if handle == 0 else self._fail()

    def nvmlDeviceGetTemperature(self, handle: int, sensor: int) -> int:
        return 0 if handle == 0 else self._fail()

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:
        return SimpleNamespace(gpu=90, memory=40) if handle == 0 else self._fail()

    def _fail(self) -> Any:
        raise NVMLError


def test_values_have_the_ancestor_s_names() -> None:
    first, _ = NvidiaGpus(Nvml()).look()
    assert first.pids == {11, 12}
    assert first.values == {
        "gpuMemoryFree": 8 << 30,
        "gpuMemoryUsed": 16 << 30,
        "gpuPowerDraw": 250.5,
        "gpuTemp": 0,
        "gpuUtilization": 90,
        "gpuMemoryUtilization": 40,
    }


def test_what_a_gpu_does_not_tell_is_left_out() -> None:
    _, second = NvidiaGpus(Nvml()).look()
    assert second.pids == frozenset()
    assert second.values.keys() == {"gpuMemoryFree", "gpuMemoryUsed"}
