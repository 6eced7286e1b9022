"""Plays of every kind, told once more on a bad day: they end as on a good one, with everything there once."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from zlib import crc32

import pytest

from bot.clock import ManualClock
from bot.devhub import DevHub
from tests.scenarios import (
    test_bases,
    test_budget,
    test_buttons,
    test_commands,
    test_compare,
    test_drafts,
    test_failures,
    test_merge_group,
    test_own_gate,
    test_pull_request,
    test_push,
    test_reconcile,
    test_recover,
    test_repositories,
    test_retries,
    test_strangers,
    test_turns,
)
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.storm import StormyRoad, all_is_true

pytestmark = pytest.mark.service

Play = Callable[[StormyRoad, ScriptedBackend], None]
PLAYS: dict[str, Play] = {
    "1 a check's button": partial(test_buttons.test_whichever_check_is_run_again_its_experiment_is, name="experiments"),
    "2 rerun": test_commands.test_rerun_makes_a_new_attempt_and_new_checks_of_the_same_names,
    "2 run with settings": (
        test_commands.test_run_starts_a_workflow_that_waits_for_commands_with_settings_that_are_shown
    ),
    "2 a stranger": test_commands.test_a_stranger_is_refused_with_the_reason_and_nothing_happens,
    "2 cancel": test_commands.test_cancel_stops_what_runs_and_keeps_it_stopped,
    "3 our own button": test_buttons.test_the_button_for_what_failed_runs_what_failed,
    "4 superseded": test_pull_request.test_a_newer_commit_supersedes_what_runs_for_the_older_one,
    "4 turns": test_turns.test_runs_of_a_group_take_turns_oldest_first,
    "4 skipped": test_turns.test_a_push_that_asks_for_no_build_is_skipped,
    "4 limited": test_turns.test_a_repository_has_as_many_running_as_its_default_branch_says,
    "4 a branch deleted": test_turns.test_a_deleted_branch_stops_what_runs_for_it_alone,
    "5 compared": test_compare.test_every_metric_stands_beside_its_value_where_the_branches_part,
    "6 on its line": test_failures.test_a_failure_stands_on_its_line,
    "6 the platform": test_retries.test_a_failure_after_a_repetition_is_the_end_of_it,
    "7 merge group": test_merge_group.test_every_name_of_the_pull_request_reports_on_the_groups_head,
    "7 destroyed": partial(test_merge_group.test_a_group_that_is_destroyed_stops_what_runs_for_it, reason="dequeued"),
    "7 draft": test_drafts.test_a_draft_runs_and_to_make_it_ready_changes_nothing,
    "7 tag": test_push.test_a_tag_is_built_when_a_filter_selects_it,
    "7 another base": test_bases.test_the_stricter_rule_of_a_new_base_counts_without_another_run,
    "7 one head of two": test_own_gate.test_one_head_of_two_pull_requests_has_the_worse_verdict_and_names_both,
    "7 renamed": test_repositories.test_renamed_in_the_middle_of_a_run_it_is_told_at_its_new_name,
    "7 archived": test_repositories.test_an_archived_repository_is_written_to_no_more_and_its_runs_end,
    "7 transferred": test_repositories.test_transferred_to_an_account_with_the_app_it_goes_on_there,
    "9 a fork": test_strangers.test_approved_is_exactly_that_commit_without_secrets_network_or_storage,
    "10 a loosened gate": test_own_gate.test_a_loosened_gate_is_still_the_bases,
    "12 an outage": test_recover.test_what_cannot_be_sent_once_more_is_fetched,
    "13 the budget": test_budget.test_what_a_limit_kept_back_is_told_when_it_is_over,
    "14 a comment deleted": test_reconcile.test_a_deleted_comment_is_made_again,
    "14 a yellow check": test_reconcile.test_a_check_that_stayed_yellow_is_told_again,
}


@pytest.fixture
def road(tmp_path: Path, clock: ManualClock, backend: ScriptedBackend) -> Iterator[StormyRoad]:
    with DevHub(tmp_path / "hub", clock) as hub:
        road = StormyRoad(tmp_path, hub, clock, backend)
        yield road
        road.close()


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
@pytest.mark.parametrize("play", PLAYS)
def test_it_ends_as_on_a_good_day(road: StormyRoad, backend: ScriptedBackend, play: str, seed: int) -> None:
    road.storm(crc32(f"{play} {seed}".encode()))  # no two plays have the same weather
    PLAYS[play](road, backend)
    road.silence()
    all_is_true(road, backend)
