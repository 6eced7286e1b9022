"""What an event means for a config."""

from bot.core.config import AnyParams, EventKind, load
from bot.core.plan import Decision, Plan, Policy, Trigger, caveats, images, plan

POLICY = Policy(default_branch="main")
STEP = """
    steps:
      - name: fit
        command: experiment.run_single_node
        params: {command: python3 train.py}
"""


def planned(triggers: str, trigger: Trigger) -> Plan:
    text = f"version: 2\nworkflows:\n  train:{STEP}{triggers}"
    loaded = load(text.encode(), ".ps_project/config.yaml", _no_other_file)
    assert loaded.config is not None, loaded.problems
    return plan(loaded.config, POLICY, trigger)


def _no_other_file(path: str) -> bytes:
    raise LookupError(path)


def decision(triggers: str, trigger: Trigger) -> tuple[Decision, bool]:
    made = planned(triggers, trigger)
    return made.runs[0].decision, made.is_reported


MAIN = Trigger(EventKind.PUSHES, "refs/heads/main")
BRANCH = Trigger(EventKind.PUSHES, "refs/heads/feature")
TAG = Trigger(EventKind.PUSHES, "refs/tags/v1")
PULL = Trigger(EventKind.PULL_REQUESTS, "refs/heads/main", number=7)
GROUP = Trigger(EventKind.MERGE_QUEUE, "refs/heads/main")


def test_without_filters_the_default_branch_pull_requests_and_merge_groups_are_built() -> None:
    assert decision("", MAIN) == (Decision.RUN, True)
    assert decision("", PULL) == (Decision.RUN, True)
    assert decision("", GROUP) == (Decision.RUN, True)
    assert decision("", BRANCH) == (Decision.SILENT, False)
    assert decision("", TAG) == (Decision.SILENT, False)


def test_a_filter_selects_more_branches_and_tags() -> None:
    assert decision("    triggers: {branches: {only: feat.*}}", BRANCH) == (Decision.RUN, True)
    assert decision("    triggers: {tags: {only: 'v\\d+'}}", TAG) == (Decision.RUN, True)
    assert decision("    triggers: {tags: {ignore: 'v\\d+'}}", TAG) == (Decision.SILENT, False)


def test_a_filtered_out_workflow_of_a_pull_request_is_skipped_and_says_why() -> None:
    made = planned("    triggers: {branches: {only: release}}", PULL)

    assert made.runs[0].decision is Decision.SKIP
    assert made.runs[0].reason == "its branch filter does not select main"
    assert made.is_reported


def test_a_pull_request_is_matched_by_its_base_so_that_its_author_cannot_name_it_past_a_gate() -> None:
    assert decision("    triggers: {branches: {only: main}}", PULL) == (Decision.RUN, True)


def test_a_workflow_for_command_alone_posts_nothing_until_asked() -> None:
    assert decision("    triggers: {events: [command]}", PULL) == (Decision.SILENT, True)


def test_a_workflow_for_pushes_alone_is_skipped_on_pull_requests() -> None:
    assert decision("    triggers: {events: [pushes]}", PULL) == (Decision.SKIP, True)
    assert decision("    triggers: {events: [pushes]}", MAIN) == (Decision.RUN, True)


def test_paths_select_by_what_changed_and_unknown_changes_run() -> None:
    watch = "    triggers: {paths: {only: 'src/.*'}}"

    def with_changes(*paths: str) -> Trigger:
        return Trigger(EventKind.PULL_REQUESTS, "refs/heads/main", 7, paths)

    assert decision(watch, with_changes("src/model.py", "README.md"))[0] is Decision.RUN
    assert decision(watch, with_changes("README.md"))[0] is Decision.SKIP
    assert decision(watch, PULL)[0] is Decision.RUN

    ignore = "    triggers: {paths: {ignore: 'docs/.*'}}"
    assert decision(ignore, with_changes("docs/a.md", "train.py"))[0] is Decision.RUN
    assert decision(ignore, with_changes("docs/a.md"))[0] is Decision.SKIP


def params_of(command: str, keys: str) -> AnyParams:
    text = f"version: 2\nworkflows: {{a: {{steps: [{{name: b, command: {command}, params: {{{keys}}}}}]}}}}"
    loaded = load(text.encode(), "config.yaml", _no_other_file)
    assert loaded.config is not None, loaded.problems
    return loaded.config.workflows[0].steps[0].params


def test_the_images_of_an_experiment_are_named_once() -> None:
    workers = "workerCount: 2, workerContainer: tf, workerCommand: a"
    servers = "parameterServerCount: 1, parameterServerContainer: tf, parameterServerCommand: a"

    assert images(params_of("experiment.run_multi_node", f"{workers}, {servers}")) == ("tf",)
    assert images(params_of("experiment.run_single_node", "command: a, container: torch")) == ("torch",)
    assert images(params_of("experiment.run_single_node", "command: a")) == ()


def test_a_reader_is_told_which_keys_change_nothing() -> None:
    plain = params_of("experiment.run_single_node", "command: a, ports: 5000, container: torch")
    elsewhere = params_of("experiment.run_single_node", "command: a, clusterId: c1")

    assert caveats(plain) == ()
    assert caveats(elsewhere) == ("clusterId and isPreemptible choose nothing on this bot's machines",)
