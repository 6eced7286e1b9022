"""The page of an experiment."""

from bot.core.states import WAY
from tests.web.stage import Stage, address, gate


def test_a_finished_experiment_tells_its_whole_story(stage: Stage) -> None:
    experiment = stage.experiment(gates=(gate("loss", None, 0.5),))
    attempt = stage.attempt(experiment)
    stage.backend.log[attempt.backend_id] = b"epoch 1\nepoch 2\n"
    stage.backend.files[attempt.backend_id] = {"model/weights.bin": b"1234"}
    stage.log_scalars(attempt, "loss", [0.9, 0.4])
    stage.finish(attempt)

    page = stage.client.get(address(experiment)).get_data(as_text=True)

    assert all(state.label in page for state in WAY)
    for told in ("train / fit", "octocat/Hello-World", "python3 train.py --epochs 3", "small", "runs in no box at all"):
        assert told in page
    for told in ("epoch 2", "model/weights.bin", "tensorflow:loss", "passed", "..0.5", "321 MB", "/opt/venv"):
        assert told in page
    assert "<polyline" in page
    assert "SECRET_OF_THE_RUN" not in page


def test_before_anything_is_tried_the_page_says_so(stage: Stage) -> None:
    experiment = stage.experiment()

    page = stage.client.get(address(experiment)).get_data(as_text=True)

    assert "not started" in page
    assert "a note of the planner" in page
