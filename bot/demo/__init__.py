"""`experiment-ci demo`: a GitHub of one's own, a bot, a repository that trains, and two pull requests."""

from bot.demo.play import Demo

__all__ = ["Demo"]
