"""What the bot says on GitHub: facts in, desired checks and comments out. The words stand in templates/report/."""

from bot.core.report.checks import desired_checks
from bot.core.report.comment import desired_comment
from bot.core.report.comparison import ComparisonFacts, ReferenceFacts
from bot.core.report.facts import (
    CommitFacts,
    EarlierCommit,
    ExperimentFacts,
    MetricFacts,
    PullFacts,
    RunFacts,
    metrics_of,
)
from bot.core.report.names import ROLL_UP
from bot.core.report.pieces import (
    ArtifactFacts,
    HeldFacts,
    ImageFacts,
    ModelFacts,
    PlaceFacts,
    PortFacts,
    PullLine,
    RequestFacts,
    TaskFacts,
    WouldRun,
)
from bot.core.report.renderer import Renderer
from bot.core.report.search import SearchFacts
from bot.core.report.views import Action, Annotation, CheckView, CommentView, Conclusion, Status

__all__ = [
    "ROLL_UP",
    "Action",
    "Annotation",
    "ArtifactFacts",
    "CheckView",
    "CommentView",
    "CommitFacts",
    "ComparisonFacts",
    "Conclusion",
    "EarlierCommit",
    "ExperimentFacts",
    "HeldFacts",
    "ImageFacts",
    "MetricFacts",
    "ModelFacts",
    "PlaceFacts",
    "PortFacts",
    "PullFacts",
    "PullLine",
    "ReferenceFacts",
    "Renderer",
    "RequestFacts",
    "RunFacts",
    "SearchFacts",
    "Status",
    "TaskFacts",
    "WouldRun",
    "desired_checks",
    "desired_comment",
    "metrics_of",
]
