"""The options of `replay` and `simulate`. They are needed to parse any command line, so little else is imported."""

import argparse
from pathlib import Path

from bot.core.permission import Permission


def of_replay(parser: argparse.ArgumentParser) -> None:
    """Add those of `replay`."""
    parser.add_argument(
        "deliveries",
        nargs="+",
        metavar="DELIVERY",
        help="its GUID (X-GitHub-Delivery, as GitHub's pages and the bot's log show it), or its number in the table",
    )


def of_simulate(parser: argparse.ArgumentParser) -> None:
    """Add those of `simulate`."""
    parser.add_argument("payload", nargs="?", metavar="PAYLOAD", help="a file as GitHub sends it, - for standard input")
    parser.add_argument(
        "--event", metavar="NAME", help="its event (X-GitHub-Event), where the payload does not show it"
    )
    parser.add_argument("--delivery", metavar="GUID", help="a delivery that the bot has stored, instead of a file")
    alone = parser.add_argument_group("without GitHub and without the bot's settings")
    alone.add_argument("--config", type=Path, metavar="FILE", help="the commit's config")
    alone.add_argument(
        "--base-config", type=Path, metavar="FILE", help="that of its base and the default branch (default: the same)"
    )
    alone.add_argument(
        "--role", choices=[str(role) for role in Permission], help="what its author is there (default: write)"
    )
