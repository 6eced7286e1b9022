"""The models of a run's GPUs, by a program that answers as NVIDIA's does (there was no GPU to ask)."""

from pathlib import Path

from bot.backends.gpus import models


def program(place: Path, text: str) -> str:
    path = place / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_the_models_are_told(tmp_path: Path) -> None:
    asked = program(tmp_path, f'echo "$@" > {tmp_path}/asked; printf "NVIDIA A100\\nNVIDIA A100\\nNVIDIA T4\\n"')
    assert models((0, 1, 3), asked) == "2 x NVIDIA A100, NVIDIA T4"
    assert (tmp_path / "asked").read_text() == "--id=0,1,3 --query-gpu=name --format=csv,noheader\n"


def test_nobody_can_tell(tmp_path: Path) -> None:
    assert models((0,), program(tmp_path, "echo No devices were found; exit 6")) == ""
    assert models((0,), "/nowhere/nvidia-smi") == ""
    assert models((), program(tmp_path, "echo NVIDIA T4")) == ""
