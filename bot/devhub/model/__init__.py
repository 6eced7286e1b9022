"""What GitHub remembers: accounts, repositories, pull requests, checks, comments, the App and its installations.

Records with behaviour and nothing else: no HTTP, no git, no JSON. Times are UTC microseconds. Every change is made
while `World.lock` is held.
"""

from bot.devhub.model.accounts import Account, App, Installation
from bot.devhub.model.checks import CheckRun, CheckSuite, Moment, Output
from bot.devhub.model.repositories import (
    Comment,
    CommitComment,
    MergeGroup,
    Pull,
    Reaction,
    Repository,
    RequiredCheck,
)
from bot.devhub.model.values import NO_SHA, RANK, Role, Status, iso
from bot.devhub.model.world import World

__all__ = [
    "NO_SHA",
    "RANK",
    "Account",
    "App",
    "CheckRun",
    "CheckSuite",
    "Comment",
    "CommitComment",
    "Installation",
    "MergeGroup",
    "Moment",
    "Output",
    "Pull",
    "Reaction",
    "Repository",
    "RequiredCheck",
    "Role",
    "Status",
    "World",
    "iso",
]
