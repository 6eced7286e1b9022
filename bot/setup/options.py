"""What the command line of `experiment-ci setup` takes. None of it is secret: others on the machine can read it."""

import argparse

from bot import envfile


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    option = parser.add_argument
    option("--by-hand", action="store_true", help="say what to enter in GitHub's form, without a page of ours")
    option("--organization", metavar="ORG", help="who shall own the App (default: your own account)")
    option("--name", default="", help="what the App is called; no other on GitHub may be called so")
    option(
        "--public-url", default="", metavar="URL", help="where people and GitHub reach the bot (default: PUBLIC_URL)"
    )
    option("--poll", action="store_true", help="GitHub cannot reach this machine: the bot fetches what it has to say")
    option("--api-url", default="", metavar="URL", help="of GitHub Enterprise Server: https://HOST/api/v3")
    option("--web-url", default="", metavar="URL", help="where its pages are, if not at https://HOST")
    option("--env-file", default="", metavar="PATH", help=f"settings go there, the key beside it ({envfile.DEFAULT})")
    option("--force", action="store_true", help="put the new App's settings into an env file that is there already")
    option("--port", type=int, default=0, help="of 127.0.0.1, for the page (default: a free one)")
    option("--no-wait", action="store_true", help="do not wait until the App is installed somewhere")
