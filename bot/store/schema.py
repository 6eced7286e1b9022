"""The tables. docs/design.md draws how they hang together; `migrations/` makes them.

Times are UTC integer microseconds. Ids are bigints inside; what people and URLs see is `public_id`.
"""

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# SQLite gives row ids of its own only to a column of exactly this type.
_Id = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    """What all tables share: the types behind the annotations."""

    type_annotation_map = {int: BigInteger, dict[str, Any]: JSON, list[Any]: JSON, bytes: LargeBinary}  # noqa: RUF012


def _id() -> Mapped[int]:
    return mapped_column(_Id, primary_key=True, autoincrement=True)


class Delivery(Base):
    """A delivery as it came: the inbox. `state`: received, done, ignored, unreadable, failed.

    `origin` says how it came: `webhook`, `fetched` (from GitHub's own log of deliveries), `scan` (made of what GitHub
    showed when it was looked at).
    """

    __tablename__ = "deliveries"
    __table_args__ = (Index("deliveries_by_state", "state", "not_before"),)

    id: Mapped[int] = _id()
    guid: Mapped[str] = mapped_column(String(64), unique=True)
    event: Mapped[str] = mapped_column(String(100))
    body: Mapped[bytes]
    origin: Mapped[str] = mapped_column(String(16), default="webhook")
    received_at: Mapped[int]
    state: Mapped[str] = mapped_column(String(16), default="received")
    reason: Mapped[str] = mapped_column(Text, default="")
    tries: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[int] = mapped_column(default=0)
    processed_at: Mapped[int | None]


class Installation(Base):
    """The App on an account, as the newest event or look told it. While it is suspended or removed, nothing is said."""

    __tablename__ = "installations"

    id: Mapped[int] = _id()
    github_id: Mapped[int] = mapped_column(unique=True)
    account: Mapped[str] = mapped_column(String(100))
    suspended_at: Mapped[int | None]
    removed_at: Mapped[int | None]
    seen_at: Mapped[int]


class Repository(Base):
    """A repository: GitHub's id stays, everything else about it may change.

    `closed` says why nothing can be told to it (deleted, archived, taken out of the installation), null while all is
    well. `policy` is what its default branch's config said when that was last read. `seen_at` is when we first did.
    `knows_branches`: those that were there before us have been written down.
    """

    __tablename__ = "repositories"

    id: Mapped[int] = _id()
    github_id: Mapped[int] = mapped_column(unique=True)
    installation_id: Mapped[int]
    owner: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(100))
    is_private: Mapped[bool]
    default_branch: Mapped[str] = mapped_column(Text)
    closed: Mapped[str | None] = mapped_column(String(32))
    policy: Mapped[dict[str, Any]] = mapped_column(default=dict)
    seen_at: Mapped[int] = mapped_column(default=0)
    scanned_at: Mapped[int] = mapped_column(default=0)
    knows_branches: Mapped[bool] = mapped_column(default=False)


class Head(Base):
    """Where a branch stood when we last heard of it (null: it is gone). `pushed_at` is GitHub's own time, in seconds.

    A merge group that was destroyed before anybody asked for its checks is remembered here as well, by its commit.
    """

    __tablename__ = "heads"
    __table_args__ = (UniqueConstraint("repository_id", "ref"),)

    id: Mapped[int] = _id()
    repository_id: Mapped[int] = mapped_column(ForeignKey("repositories.id"))
    ref: Mapped[str] = mapped_column(Text)
    sha: Mapped[str | None] = mapped_column(String(40))
    pushed_at: Mapped[int]


class Commit(Base):
    """A commit that has a config, or whose base has one. `revision` grows with every change that its checks might show.

    `held` says why nothing of it runs until somebody asks for it, and what would run then; null for all others.
    """

    __tablename__ = "commits"
    __table_args__ = (
        UniqueConstraint("repository_id", "sha"),
        Index("commits_by_news", "has_news"),
    )

    id: Mapped[int] = _id()
    repository_id: Mapped[int] = mapped_column(ForeignKey("repositories.id"))
    sha: Mapped[str] = mapped_column(String(40))
    title: Mapped[str] = mapped_column(Text, default="")
    config_path: Mapped[str] = mapped_column(Text)
    problems: Mapped[list[Any]]
    held: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    revision: Mapped[int] = mapped_column(default=1)
    has_news: Mapped[bool] = mapped_column(default=True)
    looked_at: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[int]


class Pull(Base):
    """A pull request as the newest event told it, by GitHub's own time (`updated_at`): arrival says nothing.

    `news` counts what its comment has yet to tell beside what its commits have to.
    """

    __tablename__ = "pulls"
    __table_args__ = (UniqueConstraint("repository_id", "number"),)

    id: Mapped[int] = _id()
    repository_id: Mapped[int] = mapped_column(ForeignKey("repositories.id"))
    number: Mapped[int]
    head_sha: Mapped[str] = mapped_column(String(40))
    is_open: Mapped[bool]
    updated_at: Mapped[str] = mapped_column(String(40))
    base_branch: Mapped[str] = mapped_column(Text, default="")
    author: Mapped[str] = mapped_column(String(110), default="")
    is_fork: Mapped[bool] = mapped_column(default=False)
    is_draft: Mapped[bool] = mapped_column(default=False)
    news: Mapped[int] = mapped_column(default=0)


class PullHead(Base):
    """That a commit with a config was the head of a pull request, last at GitHub's time `updated_at`."""

    __tablename__ = "pull_heads"
    __table_args__ = (
        UniqueConstraint("repository_id", "number", "commit_id"),
        Index("pull_heads_by_commit", "commit_id"),
    )

    id: Mapped[int] = _id()
    repository_id: Mapped[int] = mapped_column(ForeignKey("repositories.id"))
    number: Mapped[int]
    commit_id: Mapped[int] = mapped_column(ForeignKey("commits.id"))
    base_branch: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[str] = mapped_column(String(40))


class Demand(Base):
    """What the config of a base branch asks of a commit that is to be merged, by a pull request or by the queue.

    `number` is the pull request's, 0 for a merge group. `steps` are as `bot.core.demands` writes them.
    """

    __tablename__ = "demands"
    __table_args__ = (UniqueConstraint("commit_id", "number", "base_branch"),)

    id: Mapped[int] = _id()
    commit_id: Mapped[int] = mapped_column(ForeignKey("commits.id"))
    number: Mapped[int]
    base_branch: Mapped[str] = mapped_column(Text)
    base_sha: Mapped[str] = mapped_column(String(40))
    steps: Mapped[list[Any]]


class Run(Base):
    """A workflow at a commit, once, however many events ask for it. `skipped` says why it does not run, else null.

    `trust`: trusted, or approved (by whom, for which SHA); revoked, when another commit came since.
    `concurrency` is the group whose turn it waits for, as `bot.worker.build` writes it.
    """

    __tablename__ = "runs"
    __table_args__ = (UniqueConstraint("repository_id", "sha", "workflow"), Index("runs_by_commit", "commit_id"))

    id: Mapped[int] = _id()
    public_id: Mapped[str] = mapped_column(String(16), unique=True)
    repository_id: Mapped[int] = mapped_column(ForeignKey("repositories.id"))
    commit_id: Mapped[int] = mapped_column(ForeignKey("commits.id"))
    sha: Mapped[str] = mapped_column(String(40))
    workflow: Mapped[str] = mapped_column(Text)
    position: Mapped[int]
    skipped: Mapped[str | None] = mapped_column(Text)
    trust: Mapped[str] = mapped_column(String(16))
    trusted_by: Mapped[str | None] = mapped_column(String(100))
    trusted_sha: Mapped[str | None] = mapped_column(String(40))
    concurrency: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[int]


class RunTrigger(Base):
    """Why a run exists: one row for each event that asked. `number` is the pull request's, 0 for none.

    `ended_at` is when the reason was gone: its branch deleted, its merge group destroyed, its turn taken by a new run.
    """

    __tablename__ = "run_triggers"
    __table_args__ = (
        UniqueConstraint("run_id", "event", "ref", "number"),
        Index("run_triggers_by_number", "number"),
        Index("run_triggers_by_ref", "ref"),
    )

    id: Mapped[int] = _id()
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"))
    event: Mapped[str] = mapped_column(String(32))
    ref: Mapped[str] = mapped_column(Text)
    number: Mapped[int] = mapped_column(default=0)
    author: Mapped[str] = mapped_column(String(110), default="")
    ended_at: Mapped[int | None]
    created_at: Mapped[int]


class Experiment(Base):
    """A step of a run, or one variant of it. `view_token` opens its page, null closes it.

    `refusal` says why this version cannot run it, empty when it can; `notes` are what its reader should know.
    `variant` names a cell of a matrix; `reports_each` asks for checks of its own for each of them.
    """

    __tablename__ = "experiments"
    __table_args__ = (UniqueConstraint("run_id", "step", "variant"),)

    id: Mapped[int] = _id()
    public_id: Mapped[str] = mapped_column(String(16), unique=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"))
    step: Mapped[str] = mapped_column(Text)
    variant: Mapped[str] = mapped_column(Text, default="")
    position: Mapped[int]
    kind: Mapped[str] = mapped_column(String(40))
    params: Mapped[dict[str, Any]]
    gates: Mapped[list[Any]]
    notes: Mapped[list[Any]]
    refusal: Mapped[str] = mapped_column(Text, default="")
    reports_each: Mapped[bool] = mapped_column(default=False)
    view_token: Mapped[str | None] = mapped_column(String(64), unique=True)
    created_at: Mapped[int]


class Attempt(Base):
    """One try at an experiment. `spec` is frozen when the attempt is made; `handle` is the backend's once submitted.

    `progress` says what a provisioning attempt waits for, `facts` are what the backend found out about the run.
    `kept_at` is when its model was recorded and its artifacts archived, `removed_at` when its files were swept away.
    `cancelled_by` is the person who stopped it, empty where only the reason for it was gone.
    `author` caused it; `cause` says how (an event, a re-run, a command, a retry); `settings` were given in a command.
    `retry` counts how often the platform has repeated the experiment by itself since somebody asked for it; `retry_at`
    is when it is to be repeated again: until then this end has concluded nothing.
    """

    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("experiment_id", "number"),
        Index("attempts_by_state", "state"),
        Index("attempts_by_metrics", "metrics_read_at"),
        Index("attempts_by_keeping", "kept_at"),
        Index("attempts_by_retry", "retry_at"),
    )

    id: Mapped[int] = _id()
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id"))
    number: Mapped[int]
    backend_id: Mapped[str] = mapped_column(String(32), unique=True)
    state: Mapped[str] = mapped_column(String(24))
    entered_at: Mapped[int]
    deadline: Mapped[int | None]
    reason: Mapped[str] = mapped_column(Text, default="")
    spec: Mapped[dict[str, Any]]
    host: Mapped[str | None] = mapped_column(String(255))
    launching_at: Mapped[int | None]
    handle: Mapped[str | None] = mapped_column(Text)
    tries: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[int] = mapped_column(default=0)
    cancel_reason: Mapped[str | None] = mapped_column(Text)
    cancelled_by: Mapped[str] = mapped_column(String(110), default="")
    cancel_sent_at: Mapped[int | None]
    exit_code: Mapped[int | None]
    peak_memory_mb: Mapped[int | None]
    metrics_cursor: Mapped[dict[str, Any] | None]
    metrics_problems: Mapped[list[Any]]
    metrics_read_at: Mapped[int | None]
    report: Mapped[str | None] = mapped_column(Text)
    log_tail: Mapped[str] = mapped_column(Text, default="")
    picture: Mapped[str | None] = mapped_column(String(64))
    progress: Mapped[str] = mapped_column(Text, default="")
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    kept_at: Mapped[int | None]
    archive: Mapped[str | None] = mapped_column(Text)
    removed_at: Mapped[int | None]
    author: Mapped[str] = mapped_column(String(110), default="")
    cause: Mapped[str] = mapped_column(String(16), default="event")
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    retry: Mapped[int] = mapped_column(default=0)
    retry_at: Mapped[int | None]
    created_at: Mapped[int]


class Task(Base):
    """One process (group) of an attempt: a single node is worker/0."""

    __tablename__ = "tasks"
    __table_args__ = (UniqueConstraint("attempt_id", "role", "index"),)

    id: Mapped[int] = _id()
    attempt_id: Mapped[int] = mapped_column(ForeignKey("attempts.id"))
    role: Mapped[str] = mapped_column(String(40))
    index: Mapped[int]
    state: Mapped[str] = mapped_column(String(24))
    exit_code: Mapped[int | None]
    node: Mapped[str | None] = mapped_column(String(255))
    peak_memory_mb: Mapped[int | None]
    reason: Mapped[str] = mapped_column(Text, default="")
    log_tail: Mapped[str] = mapped_column(Text, default="")


class TrialRow(Base):
    """A trial of a search, no experiment of its own. `state`: running, complete, pruned, failed."""

    __tablename__ = "trials"
    __table_args__ = (UniqueConstraint("attempt_id", "number"),)

    id: Mapped[int] = _id()
    attempt_id: Mapped[int] = mapped_column(ForeignKey("attempts.id"))
    number: Mapped[int]
    state: Mapped[str] = mapped_column(String(16))
    params: Mapped[dict[str, Any]]
    value: Mapped[float | None]
    task: Mapped[str] = mapped_column(String(64), default="")
    steps: Mapped[int | None]
    reason: Mapped[str] = mapped_column(Text, default="")
    began_at: Mapped[int | None]
    ended_at: Mapped[int | None]


class Model(Base):
    """What a successful experiment left as its model. `files` are `{path, size, sha256}`, paths below `path`."""

    __tablename__ = "models"

    id: Mapped[int] = _id()
    public_id: Mapped[str] = mapped_column(String(16), unique=True)
    attempt_id: Mapped[int] = mapped_column(ForeignKey("attempts.id"), unique=True)
    type: Mapped[str] = mapped_column(String(16))
    path: Mapped[str] = mapped_column(Text)
    files: Mapped[list[Any]]
    size: Mapped[int]
    details: Mapped[dict[str, Any]]
    created_at: Mapped[int]


class TransitionRow(Base):
    """A step of an attempt along the transition table: each state is entered once."""

    __tablename__ = "transitions"
    __table_args__ = (UniqueConstraint("attempt_id", "target"),)

    id: Mapped[int] = _id()
    attempt_id: Mapped[int] = mapped_column(ForeignKey("attempts.id"))
    source: Mapped[str | None] = mapped_column(String(24))
    target: Mapped[str] = mapped_column(String(24))
    at: Mapped[int]
    reason: Mapped[str] = mapped_column(Text)


class SeriesRow(Base):
    """A metric of an attempt, or of one `trial` of its search."""

    __tablename__ = "series"
    # `trial` is null for plain attempts, and nulls are never equal: the index below speaks of what is there today.
    __table_args__ = (Index("series_by_attempt", "attempt_id", "source", "run", "tag"),)

    id: Mapped[int] = _id()
    attempt_id: Mapped[int] = mapped_column(ForeignKey("attempts.id"))
    trial: Mapped[int | None]
    source: Mapped[str] = mapped_column(String(16))
    run: Mapped[str] = mapped_column(Text)
    tag: Mapped[str] = mapped_column(Text)


class PointRow(Base):
    """A value of a series. `kind` keeps what SQLite would turn into NULL: finite, nan, +inf, -inf."""

    __tablename__ = "points"

    series_id: Mapped[int] = mapped_column(ForeignKey("series.id"), primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    step: Mapped[int]
    at: Mapped[int]
    value: Mapped[float | None]
    kind: Mapped[str] = mapped_column(String(8))


class Document(Base):
    """A JSON document that an attempt left, such as `gradient-model-metadata.json`, as it was written."""

    __tablename__ = "documents"

    attempt_id: Mapped[int] = mapped_column(ForeignKey("attempts.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    body: Mapped[str] = mapped_column(Text)


class Check(Base):
    """A check run of ours: what it should show (`desired`) and what GitHub was last told.

    `healed` counts how often GitHub showed something else than it was told and was told again.

    The row's id is the check run's `external_id`. `sending_at` is set before a request leaves that must not be repeated
    (it creates the check, or adds annotations) and cleared by its answer: after a crash in between, GitHub is asked
    first what is there. `told_annotations` is how many of the view's annotations GitHub has: it only ever adds them.
    `told_final` is set before a completed view leaves: what may have arrived is never opened again.
    `refused` says why GitHub does not take the desired view, `refused_at` since when it does not let us in at all.
    """

    __tablename__ = "checks"
    __table_args__ = (
        UniqueConstraint("commit_id", "name", "generation"),
        Index("checks_by_pending", "is_pending"),
        Index("checks_by_end", "told_final"),
        Index("checks_by_telling", "told_at"),
    )

    id: Mapped[int] = _id()
    commit_id: Mapped[int] = mapped_column(ForeignKey("commits.id"))
    experiment_id: Mapped[int | None] = mapped_column(ForeignKey("experiments.id"))
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(Text)
    generation: Mapped[int] = mapped_column(default=1)
    github_id: Mapped[int | None]
    desired: Mapped[dict[str, Any]]
    desired_hash: Mapped[str] = mapped_column(String(64))
    headline: Mapped[str] = mapped_column(Text)
    is_final: Mapped[bool]
    told_hash: Mapped[str | None] = mapped_column(String(64))
    told_headline: Mapped[str | None] = mapped_column(Text)
    told_final: Mapped[bool] = mapped_column(default=False)
    told_annotations: Mapped[int] = mapped_column(default=0)
    told_at: Mapped[int | None]
    is_pending: Mapped[bool] = mapped_column(default=True)
    sending_at: Mapped[int | None]
    not_before: Mapped[int] = mapped_column(default=0)
    refused: Mapped[str | None] = mapped_column(Text)
    refused_at: Mapped[int | None]
    healed: Mapped[int] = mapped_column(default=0)


class Comment(Base):
    """The one sticky comment of a pull request, told like a check.

    `looked_at` is when it was last held against what GitHub shows; `healed` counts how often that was something else.
    """

    __tablename__ = "comments"
    __table_args__ = (UniqueConstraint("repository_id", "number"), Index("comments_by_pending", "is_pending"))

    id: Mapped[int] = _id()
    repository_id: Mapped[int] = mapped_column(ForeignKey("repositories.id"))
    number: Mapped[int]
    github_id: Mapped[int | None]
    desired: Mapped[str] = mapped_column(Text)
    desired_hash: Mapped[str] = mapped_column(String(64))
    is_final: Mapped[bool]
    told_hash: Mapped[str | None] = mapped_column(String(64))
    told_at: Mapped[int | None]
    is_pending: Mapped[bool] = mapped_column(default=True)
    sending_at: Mapped[int | None]
    not_before: Mapped[int] = mapped_column(default=0)
    refused: Mapped[str | None] = mapped_column(Text)
    refused_at: Mapped[int | None]
    looked_at: Mapped[int] = mapped_column(default=0)
    healed: Mapped[int] = mapped_column(default=0)


class Request(Base):
    """What a person asked for, by a command in a comment, a button, or the terminal.

    `key` is its own name: nothing is done twice. `state`: waiting, done, refused. `answer` is for whoever asked.
    `number` is the pull request's (0 for none), `sha` the commit's ("" until it is known).
    `reaction` is what is to be put on the comment `comment_id`, `reacted_at` when that was done. `asked_at` is GitHub's
    time of the comment: what began later was not meant. `ref` is the branch, tag or SHA that the terminal names.
    """

    __tablename__ = "requests"
    __table_args__ = (
        UniqueConstraint("key"),
        Index("requests_by_state", "state"),
        Index("requests_by_place", "repository_id", "number"),
        Index("requests_by_reaction", "reaction", "reacted_at"),
    )

    id: Mapped[int] = _id()
    key: Mapped[str] = mapped_column(String(120))
    repository_id: Mapped[int] = mapped_column(ForeignKey("repositories.id"))
    number: Mapped[int]
    sha: Mapped[str] = mapped_column(String(40))
    verb: Mapped[str] = mapped_column(String(16))
    names: Mapped[list[Any]]
    settings: Mapped[dict[str, Any]]
    source: Mapped[str] = mapped_column(String(16))
    sender: Mapped[str] = mapped_column(String(110))
    ref: Mapped[str] = mapped_column(Text, default="")
    check_id: Mapped[int | None]
    comment_id: Mapped[int | None]
    state: Mapped[str] = mapped_column(String(16), default="waiting")
    answer: Mapped[str] = mapped_column(Text, default="")
    reaction: Mapped[str | None] = mapped_column(String(16))
    reacted_at: Mapped[int | None]
    tries: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[int] = mapped_column(default=0)
    asked_at: Mapped[int]
    created_at: Mapped[int]
    answered_at: Mapped[int | None]


class Comparison(Base):
    """A commit beside another one, `reference_id`: its merge base, or what somebody named.

    `label` is what the reference is called, `how` how it was found; `reference_id` null and `reason` say why there is
    none. `basis` is a digest of the attempts that were compared, `picture` their curves.
    """

    __tablename__ = "comparisons"
    __table_args__ = (UniqueConstraint("commit_id", "label"),)

    id: Mapped[int] = _id()
    commit_id: Mapped[int] = mapped_column(ForeignKey("commits.id"))
    label: Mapped[str] = mapped_column(Text)
    how: Mapped[str] = mapped_column(String(16))
    reference_id: Mapped[int | None] = mapped_column(ForeignKey("commits.id"))
    reason: Mapped[str] = mapped_column(Text, default="")
    basis: Mapped[str] = mapped_column(String(64), default="")
    picture: Mapped[str | None] = mapped_column(String(64))
    made_at: Mapped[int]


class MissingDelivery(Base):
    """A delivery that GitHub sent and that never came. `github_id` is one of its attempts, `sent_at` when that was.

    `tries` counts how often it was asked for, `not_before` is when to ask again. `lost` says why nobody asks any more.
    """

    __tablename__ = "missing_deliveries"

    id: Mapped[int] = _id()
    guid: Mapped[str] = mapped_column(String(64), unique=True)
    github_id: Mapped[int]
    sent_at: Mapped[int]
    tries: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[int] = mapped_column(default=0)
    lost: Mapped[str | None] = mapped_column(Text)


class Mark(Base):
    """What a process leaves for the next one: how far GitHub's lists are read, until when GitHub wants silence."""

    __tablename__ = "marks"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[dict[str, Any]]


class Secret(Base):
    """A secret of a repository (`scope` is `owner/name`) or of an owner (`owner`), in lower case; `value` is locked."""

    __tablename__ = "secrets"
    __table_args__ = (UniqueConstraint("scope", "name"),)

    id: Mapped[int] = _id()
    scope: Mapped[str] = mapped_column(String(140))
    name: Mapped[str] = mapped_column(String(100))
    value: Mapped[bytes]
    updated_at: Mapped[int]


class Lease(Base):
    """Who may do a station's work now."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str] = mapped_column(String(128))
    until: Mapped[int]
