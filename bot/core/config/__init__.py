"""A repository's config: from the bytes of its file to values, or to problems with line and hint."""

from bot.core.config.document import MAX_BYTES
from bot.core.config.load import CONFIG_PATHS, Loaded, is_ours, load
from bot.core.config.models import (
    SECRET,
    AnyParams,
    Config,
    Dataset,
    EventKind,
    GrpcParams,
    ModelType,
    MpiParams,
    Params,
    Port,
    Registry,
    Reporting,
    Role,
    SearchParams,
    SingleNodeParams,
    Step,
    StepKind,
    Triggers,
    Workflow,
    Workspace,
    secret_name,
)
from bot.core.config.problems import Problem
from bot.core.config.schema import export_schema
from bot.core.config.terminal import printable, render_problems, render_terminal

__all__ = [
    "CONFIG_PATHS",
    "MAX_BYTES",
    "SECRET",
    "AnyParams",
    "Config",
    "Dataset",
    "EventKind",
    "GrpcParams",
    "Loaded",
    "ModelType",
    "MpiParams",
    "Params",
    "Port",
    "Problem",
    "Registry",
    "Reporting",
    "Role",
    "SearchParams",
    "SingleNodeParams",
    "Step",
    "StepKind",
    "Triggers",
    "Workflow",
    "Workspace",
    "export_schema",
    "is_ours",
    "load",
    "printable",
    "render_problems",
    "render_terminal",
    "secret_name",
]
