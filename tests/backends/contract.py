"""What every backend must do, told as plays. A backend's tests inherit this class and give it a `lab`.

Commands find their directories by `$ARTIFACTS_DIR` and `$STORAGE_DIR`, so that the plays hold without isolation too.
"""

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bot.backends.base import Artifact, BackendError, Code, Mode
from bot.core.states import WAY, Observation, State, advance
from tests.backends.lab import Lab, commit, eventually, processes_with
from tests.backends.modes import SPEAKER, VALUE, inside, left_over, run_dir, several, story, word

CHILDREN_THAT_WILL_NOT_GO = """
trap '' TERM INT HUP
setsid sh -c 'trap "" TERM; echo ready; while :; do sleep {word}; done' &
(setsid sleep {word} &)
sleep {word}
while :; do sleep {word}; done
"""


class BackendContract:
    """The plays."""

    # How an attempt passes its states

    def test_a_quick_success_passes_all_eight_states_in_order(self, lab: Lab) -> None:
        report = lab.run("true")
        waited = Observation(State.PENDING, report.seen[0].at)
        steps = advance(State.CREATED, [waited, *report.seen])
        assert tuple(step.target for step in steps) == WAY[1:]
        assert [o.state for o in report.seen] == list(WAY[2:])
        assert [o.at for o in report.seen] == sorted(o.at for o in report.seen)

    def test_a_single_node_is_one_task_that_ends_before_its_attempt(self, lab: Lab) -> None:
        report = lab.run("true")
        (task,) = report.tasks
        assert (task.role, task.index, task.exit_code) == ("worker", 0, 0)
        assert [seen.state for seen in task.seen] == [*WAY[2:6], State.STOPPED]
        assert task.seen[:4] == report.seen[:4]
        assert task.seen[-1].at <= report.seen[-1].at
        assert task.node

    @pytest.mark.parametrize(
        ("command", "code", "reason"),
        [
            ("exit 3", 3, "exit code 3"),
            ("kill -9 $$", 137, "killed by signal 9 (out of memory?)"),
            ("sh -c 'kill -SEGV $$'", 139, "killed by signal 11 (segmentation fault)"),
            ("no-such-program", 127, "exit code 127 (command not found)"),
            ("false; true", 0, ""),
        ],
    )
    def test_the_commands_own_end_is_told_with_its_code(self, lab: Lab, command: str, code: int, reason: str) -> None:
        report = lab.run(command)
        assert report.tasks[0].exit_code == code
        assert report.seen[-1].state is (State.FAILED if code else State.STOPPED)
        assert report.seen[-1].reason == reason
        assert not report.seen[-1].may_retry

    def test_a_commit_that_is_not_there_is_the_platforms_error(self, lab: Lab) -> None:
        report = lab.run("true", code=replace(lab.code, sha="1234567890" * 4))
        assert report.seen[-1].state is State.ERROR
        assert "could not be checked out" in report.seen[-1].reason
        assert report.seen[-1].may_retry
        assert State.RUNNING not in [o.state for o in report.seen]

    def test_a_working_directory_that_is_not_there_is_the_users_failure(self, lab: Lab) -> None:
        for workdir in ("missing", "train.py", "../..", "/etc"):
            report = lab.run("true", workdir=workdir)
            assert report.seen[-1].state is State.FAILED
            assert "working directory" in report.seen[-1].reason

    # One id, one run

    def test_submitting_twice_runs_once(self, lab: Lab) -> None:
        spec = lab.spec("echo ran >> $STORAGE_DIR/count")
        handle = lab.backend.submit(spec)
        assert lab.backend.submit(spec) == handle
        lab.end_of(spec.id)
        assert lab.make().submit(spec) == handle
        assert lab.prints("cat $STORAGE_DIR/count") == "ran\n"

    def test_submitting_at_the_same_time_runs_once(self, lab: Lab) -> None:
        spec = lab.spec("echo ran >> $STORAGE_DIR/count; sleep 0.2")
        handles: list[str] = []
        threads = [threading.Thread(target=lambda: handles.append(lab.make().submit(spec))) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        lab.end_of(spec.id)
        assert handles == [handles[0]] * 5
        assert lab.prints("cat $STORAGE_DIR/count") == "ran\n"

    def test_an_attempt_that_cannot_lie_there_is_refused_and_never_runs(self, lab: Lab) -> None:
        spec = lab.spec("true")
        for bad in (
            replace(spec, id="../../evil-1"),
            replace(spec, run_dir="/tmp/elsewhere"),
            replace(spec, groups=()),
        ):
            with pytest.raises(BackendError):
                lab.backend.submit(bad)
            assert not lab.report(bad.id).known

    # Asked again

    def test_a_restarted_bot_finds_everything_again(self, lab: Lab) -> None:
        attempt_id = lab.submit("echo hello; echo result > $ARTIFACTS_DIR/out; sleep 0.5; exit 4")
        lab.wait_for_line(attempt_id, "hello")
        before = lab.report(attempt_id)
        lab.backend = lab.make()
        assert lab.report(attempt_id) == before
        after = lab.end_of(attempt_id)
        assert after.tasks[0].exit_code == 4
        assert lab.make().poll([attempt_id]) == {attempt_id: after}
        assert list(lab.make().artifacts(attempt_id)) == [Artifact("out", 7)]

    def test_polling_what_did_not_change_gives_the_same_again(self, lab: Lab) -> None:
        attempt_id = lab.submit("echo on; sleep 30")
        lab.wait_for_line(attempt_id, "on")
        assert lab.report(attempt_id) == lab.report(attempt_id)
        assert lab.backend.poll([]) == {}

    def test_one_poll_answers_for_all(self, lab: Lab) -> None:
        ids = [lab.submit(f"exit {code}") for code in range(3)]
        for attempt_id in ids:
            lab.end_of(attempt_id)
        reports = lab.backend.poll([*ids, "nobody-1"])
        assert list(reports) == [*ids, "nobody-1"]
        assert [reports[i].tasks[0].exit_code for i in ids] == [0, 1, 2]
        assert not reports["nobody-1"].known

    @pytest.mark.parametrize("attempt_id", ["nobody-1", "../../etc-1", "..-1", "", "a/b-1", "x", "-1"])
    def test_unknown_ids_are_unknown(self, lab: Lab, attempt_id: str) -> None:
        report = lab.report(attempt_id)
        assert (report.known, report.seen, report.tasks) == (False, (), ())
        lab.backend.cancel(attempt_id, "why not")
        assert lab.backend.logs(attempt_id, "worker-0", 0).data == b""
        assert list(lab.backend.artifacts(attempt_id)) == []
        with pytest.raises(FileNotFoundError):
            lab.backend.open_artifact(attempt_id, "passwd")

    # The end of all processes

    def test_cancelling_ends_what_runs_and_says_why(self, lab: Lab) -> None:
        attempt_id = lab.submit("sleep 7001 & echo on; sleep 7001")
        lab.wait_for_line(attempt_id, "on")
        lab.backend.cancel(attempt_id, "superseded by 1234567")
        report = lab.end_of(attempt_id)
        assert report.seen[-1].state is State.CANCELLED
        assert report.seen[-1].reason == "superseded by 1234567"
        assert processes_with("7001") == []

    def test_cancelling_reaches_those_who_hide_and_those_who_will_not_go(self, lab: Lab) -> None:
        attempt_id = lab.submit(CHILDREN_THAT_WILL_NOT_GO.format(word="7002"))
        lab.wait_for_line(attempt_id, "ready")
        assert len(processes_with("7002")) >= 3
        lab.backend.cancel(attempt_id, "enough")
        assert lab.end_of(attempt_id).seen[-1].state is State.CANCELLED
        assert processes_with("7002") == []

    def test_a_run_is_given_the_time_to_save_its_work(self, lab: Lab) -> None:
        save = "trap 'sleep 0.2; echo saved > $ARTIFACTS_DIR/checkpoint; echo bye; exit 0' TERM; echo on; "
        attempt_id = lab.submit(f'sh -c "{save} while :; do sleep 0.05; done" && echo never')
        lab.wait_for_line(attempt_id, "on")
        lab.backend.cancel(attempt_id, "enough")
        assert lab.end_of(attempt_id).seen[-1].state is State.CANCELLED
        assert [a.path for a in lab.backend.artifacts(attempt_id)] == ["checkpoint"]
        lines = lab.log(attempt_id).splitlines()
        assert (lines[-1], "never" in lines) == ("bye", False)

    def test_cancelling_at_once_ends_it_wherever_it_is(self, lab: Lab) -> None:
        for delay in (0.0, 0.005, 0.01, 0.02, 0.04):
            attempt_id = lab.submit("sleep 7003")
            time.sleep(delay)
            lab.backend.cancel(attempt_id, "too soon")
            assert lab.end_of(attempt_id).seen[-1] == replace(lab.report(attempt_id).seen[-1], state=State.CANCELLED)
        assert processes_with("7003") == []

    def test_cancelling_a_checkout(self, lab: Lab, tmp_path: Path) -> None:
        stuck = tmp_path / "stuck.git"
        stuck.mkdir()
        os.mkfifo(stuck / "config")  # git waits here until somebody writes
        for name in ("objects", "refs"):
            (stuck / name).mkdir()
        (stuck / "HEAD").write_text("ref: refs/heads/main\n")
        attempt_id = lab.submit("true", code=Code(str(stuck), lab.code.sha))
        eventually(lambda: bool(processes_with(str(stuck))))
        assert lab.state(attempt_id) is State.PROVISIONING
        lab.backend.cancel(attempt_id, "changed my mind")
        report = lab.end_of(attempt_id)
        assert [o.state for o in report.seen] == [State.PROVISIONING, State.CANCELLED]
        assert processes_with(str(stuck)) == []

    def test_cancelling_what_is_over_changes_nothing(self, lab: Lab) -> None:
        report = lab.run("true")
        lab.backend.cancel(report.id, "too late")
        assert lab.make().poll([report.id]) == {report.id: report}

    def test_a_run_over_its_time_is_ended_and_has_failed(self, lab: Lab) -> None:
        report = lab.run(CHILDREN_THAT_WILL_NOT_GO.format(word="7004"), timeout=0.4)
        assert report.seen[-1].state is State.FAILED
        assert report.seen[-1].reason == "timed out after 0.4s"
        assert processes_with("7004") == []

    def test_what_a_run_leaves_behind_ends_with_it(self, lab: Lab) -> None:
        assert lab.prints("setsid sleep 7005 & (sleep 7005 &) ; echo done") == "done\n"
        assert processes_with("7005") == []

    def test_the_death_of_the_bot_changes_nothing_for_a_run(self, lab: Lab, tmp_path: Path) -> None:
        """kill -9 to the submitting process and to its whole process group."""
        attempt_id = "orphan-1"
        lab.submitted.append(attempt_id)
        spec = lab.spec("echo on; sleep 0.5; echo result > $ARTIFACTS_DIR/out")
        spec = replace(spec, id=attempt_id, run_dir=str(lab.data_dir / "runs/orphan/1"))
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            lab.make().submit(spec)
            os.write(writer, b"submitted")
            time.sleep(60)
            os._exit(1)
        os.read(reader, 1)
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reader)
        os.close(writer)
        assert lab.end_of(attempt_id).seen[-1].state is State.STOPPED
        assert list(lab.backend.artifacts(attempt_id)) == [Artifact("out", 7)]

    # What a run finds

    def test_a_run_has_the_files_of_its_commit(self, lab: Lab, tmp_path: Path) -> None:
        assert lab.prints("cat train.py; cat sub/where.txt") == "print('trained')\nin sub\n"
        assert lab.prints("cat where.txt", workdir="sub") == "in sub\n"
        assert lab.prints("ls -A", code=None) == ""

    def test_a_commit_cannot_make_its_checkout_run_anything(self, lab: Lab, tmp_path: Path) -> None:
        files = {
            ".gitattributes": "*.bin filter=lfs\n*.txt filter=evil ident\n",
            ".gitmodules": '[submodule "m"]\n\tpath = m\n\turl = https://127.0.0.1:1/m\n',
            "model.bin": "version https://git-lfs.github.com/spec/v1\n",
            "a.txt": "plain\n",
            ".githooks/post-checkout": "#!/bin/sh\nexit 1\n",
        }
        code = commit(tmp_path / "hostile", files, {"link": "/etc/hostname", "up": "../../.."})
        assert lab.prints("cat model.bin a.txt; readlink link up", code=code) == (
            "version https://git-lfs.github.com/spec/v1\nplain\n/etc/hostname\n../../..\n"
        )

    def test_a_run_has_its_own_environment_and_none_of_the_bots(
        self, lab: Lab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GITHUB_PRIVATE_KEY", "the bot's secret")
        odd = {"QUOTED": 'it\'s "$HOME" `id` \\', "LINES": "a\nb\n", "EMPTY": "", "LD_PRELOAD_X": "x", "UMLAUT": "grün"}
        shown = lab.prints("env -0 | tr '\\n\\0' '|\\n'", env=odd)
        seen = dict(line.split("=", 1) for line in shown.splitlines())
        assert {name: seen[name].replace("|", "\n") for name in odd} == odd
        assert "GITHUB_PRIVATE_KEY" not in seen
        assert seen["PYTHONUNBUFFERED"] == "1"
        assert seen["PS_HOSTNAME"]
        assert seen["HOME"]

    def test_a_large_environment_arrives_whole(self, lab: Lab) -> None:
        env = {f"LARGE_{n}": "x" * 20_000 for n in range(10)}
        assert lab.prints('echo "${#LARGE_0} ${#LARGE_9}"', env=env) == "20000 20000\n"

    def test_storage_stays_and_the_workspace_goes(self, lab: Lab) -> None:
        assert lab.prints("echo 1 > here; mkdir -m 0 locked; echo 2 > $STORAGE_DIR/there; ls here") == "here\n"
        assert lab.prints("cat $STORAGE_DIR/there; ls here 2>&1 || true").splitlines()[0] == "2"
        assert not list(lab.data_dir.glob("runs/*/*/workspace"))
        assert not list(lab.data_dir.glob("runs/*/*/scratch"))

    def test_the_peak_of_memory_is_measured(self, lab: Lab) -> None:
        report = lab.run("/usr/bin/python3 -c 'import time; x = bytearray(150 << 20); time.sleep(2)'")
        assert report.seen[-1].state is State.STOPPED
        assert 150 <= (report.tasks[0].peak_memory_mb or 0) < 250

    def test_a_run_beyond_its_machines_memory_has_failed(self, lab: Lab) -> None:
        machine = replace(lab.machine, memory_mb=100)
        report = lab.run("/usr/bin/python3 -c 'import time; x = bytearray(150 << 20); time.sleep(30)'", machine=machine)
        assert report.seen[-1].state is State.FAILED
        assert "more than the 100 MB of `small`" in report.seen[-1].reason

    # What a run leaves

    def test_a_log_is_read_by_bytes(self, lab: Lab) -> None:
        attempt_id = lab.run("printf 0123456789; echo error >&2").id
        logs = lab.backend.logs
        whole = logs(attempt_id, "worker-0", 0)
        assert (whole.start, whole.end, whole.data, whole.is_complete) == (0, 16, b"0123456789error\n", True)
        part = logs(attempt_id, "worker-0", 4, 3)
        assert (part.start, part.end, part.data, part.is_complete) == (4, 7, b"456", False)
        tail = logs(attempt_id, "worker-0", -6)
        assert (tail.start, tail.data, tail.is_complete) == (10, b"error\n", True)
        assert logs(attempt_id, "worker-0", -1000).data == whole.data
        beyond = logs(attempt_id, "worker-0", 99)
        assert (beyond.start, beyond.end, beyond.data, beyond.is_complete) == (16, 16, b"", True)
        for task in ("worker-7", "../worker-0", "", "."):
            assert logs(attempt_id, task, 0).data == b""

    def test_a_log_is_live(self, lab: Lab) -> None:
        attempt_id = lab.submit("echo first; sleep 30")
        lab.wait_for_line(attempt_id, "first")
        assert lab.state(attempt_id) is State.RUNNING
        assert not lab.backend.logs(attempt_id, "worker-0", 0).is_complete

    def test_a_run_that_prints_much_is_not_held_up(self, lab: Lab) -> None:
        report = lab.run("head -c 5000000 /dev/zero; echo end")
        assert report.seen[-1].state is State.STOPPED
        assert lab.backend.logs(report.id, "worker-0", -4).data == b"end\n"
        assert lab.backend.logs(report.id, "worker-0", 0, 1 << 30).end == 5_000_004

    def test_a_run_that_closes_its_output_still_runs(self, lab: Lab) -> None:
        report = lab.run("exec >&- 2>&-; sleep 0.3; exit 6")
        assert report.tasks[0].exit_code == 6

    def test_artifacts_are_regular_files_and_nothing_else(self, lab: Lab) -> None:
        report = lab.run(
            """cd $ARTIFACTS_DIR && mkdir -p deep/er empty && echo hi > deep/er/model.bin
            echo '<b>' > "$(printf 'a\\n|b')"
            ln -s /etc/passwd link; ln -s /etc linked; ln -s deep/er/model.bin inside; mkfifo pipe
            mkdir locked && touch locked/x && chmod 0 locked; touch "$(printf '\\377')" "ünï.txt" """
        )
        assert report.seen[-1].state is State.STOPPED, lab.log(report.id)
        found = {a.path: a.size for a in lab.backend.artifacts(report.id)}
        found.pop("locked/x", None)  # root may look into it
        assert found == {"deep/er/model.bin": 3, "a\n|b": 4, "ünï.txt": 0}
        with lab.backend.open_artifact(report.id, "deep/er/model.bin") as file:
            assert file.read() == b"hi\n"

    def test_nothing_but_artifacts_can_be_opened(self, lab: Lab) -> None:
        report = lab.run(
            "cd $ARTIFACTS_DIR && ln -s /etc linked && ln -s /etc/passwd link && mkfifo pipe && mkdir d && touch d/f"
        )
        for path in ("link", "linked/passwd", "pipe", "d", "", ".", "d/../d/f", "../journal", "/etc/passwd", "d//f",
                     "no", "\0", "\udcff", "../../order.json"):  # fmt: skip
            with pytest.raises(FileNotFoundError):
                lab.backend.open_artifact(report.id, path)

    def test_artifacts_are_offered_while_a_run_goes_on(self, lab: Lab) -> None:
        attempt_id = lab.submit("echo 1 > $ARTIFACTS_DIR/events; echo on; sleep 30")
        lab.wait_for_line(attempt_id, "on")
        assert [a.path for a in lab.backend.artifacts(attempt_id)] == ["events"]


class EveryModeContract:
    """The plays that hold in each mode of several tasks: a command runs twice at the same time."""

    def test_submitted_often_and_asked_by_another_bot_it_runs_once(self, lab: Lab, mode: Mode) -> None:
        command = f"echo ran >> $STORAGE_DIR/count; sleep 0.3; {VALUE}"
        spec = replace(lab.spec(""), **several(lab, mode, command))
        lab.submitted.append(spec.id)
        handle = lab.backend.submit(spec)
        lab.backend = lab.make()
        assert lab.backend.submit(spec) == handle
        report = lab.end_of(spec.id)
        assert lab.make().submit(spec) == handle
        assert [seen.state for seen in report.seen] == list(WAY[2:]), report.seen[-1]
        assert {task.seen[-1].state for task in report.tasks} == {State.STOPPED}
        assert lab.prints("cat $STORAGE_DIR/count") == "ran\n" * 2
        eventually(lambda: left_over(lab, spec.id, word(mode, 0)) == [])

    def test_cancelling_ends_every_process_of_every_task(self, lab: Lab, mode: Mode) -> None:
        """Of those that hide and those that ignore SIGTERM too."""
        attempt_id = self.begin(lab, mode, CHILDREN_THAT_WILL_NOT_GO.format(word=word(mode, 1)), "ready")
        assert len(processes_with(word(mode, 1))) >= 6
        lab.backend.cancel(attempt_id, "superseded by 1234567")
        report = lab.end_of(attempt_id)
        assert (report.seen[-1].state, report.seen[-1].reason) == (State.CANCELLED, "superseded by 1234567")
        assert {task.seen[-1].state for task in report.tasks} == {State.CANCELLED}
        eventually(lambda: left_over(lab, attempt_id, word(mode, 1)) == [])

    def test_one_killed_process_ends_all_and_its_task_is_named(self, lab: Lab, mode: Mode) -> None:
        """But not in a search: there it is one trial that failed."""
        attempt_id = self.begin(lab, mode, f"echo on; sleep {word(mode, 2)}; code=$?; {VALUE}; exit $code", "on")
        os.kill(inside(lab, attempt_id, f"sleep\0{word(mode, 2)}")[0], signal.SIGKILL)
        if mode is Mode.SEARCH:
            eventually(lambda: "failed" in [trial["state"] for trial in lab.report(attempt_id).trials])
            assert lab.state(attempt_id) is State.RUNNING
            lab.backend.cancel(attempt_id, "enough")
        report = lab.end_of(attempt_id)
        if mode is not Mode.SEARCH:
            (failed,) = [task for task in report.tasks if task.seen[-1].state is State.FAILED]
            reason = "killed by signal 9 (out of memory?)"
            assert (failed.seen[-1].reason, failed.exit_code) == (reason, 137)
            assert (report.seen[-1].state, report.seen[-1].reason) == (State.FAILED, f"{failed.name}: {reason}")
            others = {task.seen[-1].reason for task in report.tasks if task is not failed}
            assert others == {f"stopped because {failed.name} failed"}
        eventually(lambda: left_over(lab, attempt_id, word(mode, 2)) == [])

    def test_a_killed_supervisor_leaves_nothing(self, lab: Lab, mode: Mode) -> None:
        attempt_id = self.begin(lab, mode, CHILDREN_THAT_WILL_NOT_GO.format(word=word(mode, 3)), "ready")
        supervisor = story(lab, attempt_id).supervisor
        assert supervisor is not None
        assert supervisor.send(signal.SIGKILL)
        if mode is Mode.SEARCH:
            eventually(lambda: lab.report(attempt_id).is_interrupted)
            lab.submitted.remove(attempt_id)
        else:
            report = lab.end_of(attempt_id)
            assert report.seen[-1].state is State.ERROR
            assert report.seen[-1].reason == "its supervisor died; all its processes were ended"
        eventually(lambda: left_over(lab, attempt_id, word(mode, 3)) == [])
        assert not any((run_dir(lab, attempt_id) / name).exists() for name in ("workspace", "scratch", "generated"))

    def begin(self, lab: Lab, mode: Mode, command: str, line: str) -> str:
        """Submit an attempt; return its id when the command runs twice."""
        attempt_id = lab.submit("", **several(lab, mode, command))
        tasks = [SPEAKER[mode]] * 2 if mode in SPEAKER else [task.name for task in lab.report(attempt_id).tasks[:2]]

        def runs_twice() -> bool:
            newest = lab.report(attempt_id).seen[-1]
            assert not newest.state.is_final, newest
            return sum(lab.log(attempt_id, task).splitlines().count(line) for task in set(tasks)) == 2

        eventually(runs_twice)
        return attempt_id
