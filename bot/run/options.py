"""The options of `run` and `cancel`. They are needed to parse any command line, so nothing else is imported here."""

import argparse
from pathlib import Path


def of_run(parser: argparse.ArgumentParser) -> None:
    """Add those of `run`."""
    parser.add_argument(
        "what",
        nargs="*",
        metavar="PATH WORKFLOW KEY=VALUE",
        help="a checkout (default: this one; none with --repo), workflows of its config (default: those that a push"
        " selects), and variables of their runs",
    )
    here = parser.add_argument_group("a checkout, run here without GitHub")
    here.add_argument("--list", action="store_true", dest="only_list", help="say what would run, run nothing")
    here.add_argument("--branch", help="as if it were pushed to that branch")
    here.add_argument("--pull", metavar="BASE", help="as if it were a pull request into that branch")
    here.add_argument("--environment", type=Path, help="the environment of the runs (default: the active one)")
    here.add_argument("--dir", type=Path, help="where what comes of it is kept (default: below ~/.local/state)")
    there = parser.add_argument_group("a repository, run by the bot of this machine and told on GitHub")
    _ref_options(there)
    there.add_argument("--no-wait", action="store_false", dest="waits", help="end as soon as the bot has begun")


def of_cancel(parser: argparse.ArgumentParser) -> None:
    """Add those of `cancel`."""
    parser.add_argument("what", nargs="*", metavar="NAME", help="a workflow, step or check (default: all that runs)")
    _ref_options(parser)


def _ref_options(parser: "argparse._ActionsContainer") -> None:
    parser.add_argument("--repo", metavar="owner/name", help="a repository that the bot knows")
    parser.add_argument("--ref", help="a branch, a tag or a SHA of it")
