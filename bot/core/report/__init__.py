"""What the bot says on GitHub: facts in, desired checks and comments out. The words stand in templates/report/."""

from bot.core.report.checks import desired_checks
from bot.core.report.comment import desired_comment
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
from bot.core.report.pieces import ArtifactFacts, ImageFacts, ModelFacts, PlaceFacts, PortFacts, TaskFacts
from bot.core.report.renderer import Renderer
from bot.core.report.search import SearchFacts
from bot.core.report.views import Annotation, CheckView, CommentView, Conclusion, Status

__all__ = [
    "ROLL_UP",
    "Annotation",
    "ArtifactFacts",
    "CheckView",
    "CommentView",
    "CommitFacts",
    "Conclusion",
    "EarlierCommit",
    "ExperimentFacts",
    "ImageFacts",
    "MetricFacts",
    "ModelFacts",
    "PlaceFacts",
    "PortFacts",
    "PullFacts",
    "Renderer",
    "RunFacts",
    "SearchFacts",
    "Status",
    "TaskFacts",
    "desired_checks",
    "desired_comment",
    "metrics_of",
]
