"""The one comment of a pull request, designed to be read as a page and as an e-mail."""

from dataclasses import replace

from bot.core.report import overview
from bot.core.report.facts import PullFacts
from bot.core.report.matrix import Matrix, MatrixGate
from bot.core.report.overview import Overview
from bot.core.report.part import GateRow, Part
from bot.core.report.renderer import Renderer
from bot.core.report.views import COMMENT_BYTES, CommentView, Conclusion
from bot.core.text import MARKER, fit

EARLIER = 20
"""How many earlier commits are listed."""


def desired_comment(pull: PullFacts, renderer: Renderer) -> CommentView | None:
    """Return the pull request's comment; None until there is a verdict to tell.

    GitHub mails a comment once, when it is made. So it is made when the verdict on a commit can no longer change:
    when everything is done, or something has gone wrong already. From then on it follows the newest commit.
    """
    if pull.head is None:
        return _bare(pull, renderer) if pull.requests or pull.has_comment else None
    seen = overview.of_commit(pull.head)
    if not (_has_verdict(seen) or pull.has_comment or pull.requests or pull.wants_help):
        return None
    blocks = tuple(_without_hidden(block) for block in seen.blocks)
    context = {"seen": seen, "pull": pull, "shown": blocks, "hidden": _hidden(seen), "limit": EARLIER}
    context["has_usual"] = pull.head.held is not None and any(one.usual is not None for one in pull.head.held.would_run)
    body = renderer.markdown("comment", headline=renderer.headline(seen), **context)
    return CommentView(f"{fit(body, COMMENT_BYTES)}\n\n{MARKER}", seen.standing.is_done)


def _bare(pull: PullFacts, renderer: Renderer) -> CommentView:
    """Return the comment of a pull request of which there is nothing to tell but the answers to what was asked."""
    body = renderer.markdown("comment.bare", pull=pull)
    return CommentView(f"{fit(body, COMMENT_BYTES)}\n\n{MARKER}", is_final=True)


def _has_verdict(seen: Overview) -> bool:
    """Tell whether there is something worth an e-mail: not that a workflow was left out, nor that a run was stopped.

    That somebody must look at a stranger's change is; that its own author asked for no run is not.
    """
    if seen.commit.held is not None:
        return seen.commit.held.needs_approval
    if any(trouble.standing.conclusion is not Conclusion.CANCELLED for trouble in seen.troubles):
        return True
    return seen.standing.conclusion in (Conclusion.FAILURE, Conclusion.SUCCESS)


def _hidden(seen: Overview) -> tuple[GateRow | MatrixGate, ...]:
    """Return the gates that the config keeps out of the comment; how many, and whether they failed, is told."""
    return tuple(row for block in seen.blocks for row in block.gates if not row.gate.comment_on_pr)


def _without_hidden(block: Part | Matrix) -> Part | Matrix:
    if isinstance(block, Matrix):
        return replace(block, gates=tuple(gate for gate in block.gates if gate.gate.comment_on_pr))
    return replace(block, gates=tuple(row for row in block.gates if row.gate.comment_on_pr))
