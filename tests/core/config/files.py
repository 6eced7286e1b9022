"""Configs for the plays of this directory, and short ways to read them."""

from collections.abc import Callable, Mapping

from bot.core.config import Config, Loaded, SingleNodeParams, Step, load

PATH = ".ps_project/config.yaml"

SOUND = """\
version: 2
workflows:
  train:
    {workflow}
    steps:
      - name: digits
        command: experiment.run_single_node
        {step}
        params:
          command: python train.py
          {params}
"""
"""A sound file with room for more keys: in the workflow (line 4), the step (line 8), the params (line 11)."""


def sound(*, workflow: str = "", step: str = "", params: str = "") -> str:
    return SOUND.format(workflow=workflow, step=step, params=params)


def files(contents: Mapping[str, str]) -> Callable[[str], bytes]:
    """A commit that holds these files."""

    def read_file(path: str) -> bytes:
        if path not in contents:
            raise LookupError("no such file in this commit")
        return contents[path].encode()

    return read_file


def read(text: str, others: Mapping[str, str] | None = None) -> Loaded:
    return load(text.encode("utf-8", "surrogatepass"), PATH, files(others or {}))


def told(loaded: Loaded) -> list[str]:
    """What is wrong, a line each: `line:column severity: message | hint`."""
    return [f"{p.line}:{p.column} {p.severity}: {p.message} | {p.hint}" for p in loaded.problems]


def accepted(text: str, others: Mapping[str, str] | None = None) -> Config:
    """The config, which must be without error or warning."""
    loaded = read(text, others)
    assert told(loaded) == []
    assert loaded.config is not None
    return loaded.config


def only_step(config: Config) -> Step:
    (workflow,) = config.workflows
    (step,) = workflow.steps
    return step


def single(config: Config) -> SingleNodeParams:
    params = only_step(config).params
    assert isinstance(params, SingleNodeParams)
    return params


def no_files(path: str) -> bytes:
    """A commit that holds nothing else."""
    raise LookupError("no such file")
