"""The options of `replay` and `simulate`. They are needed to parse any command line, so nothing else is imported."""

import argparse


def of_replay(parser: argparse.ArgumentParser) -> None:
    """Add those of `replay`."""
    parser.add_argument(
        "deliveries",
        nargs="+",
        metavar="DELIVERY",
        help="its GUID (X-GitHub-Delivery, as GitHub's pages and the bot's log show it), or its number in the table",
    )
