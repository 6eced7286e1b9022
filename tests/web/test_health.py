"""What monitors ask."""

from tests.web.stage import Stage, delivery


def test_the_process_answers_whatever_else_is_wrong(stage: Stage) -> None:
    assert stage.get("/healthz").json == {"status": "ok"}


def test_without_a_worker_it_is_not_ready_and_says_so(stage: Stage) -> None:
    answer = stage.get("/readyz")

    assert answer.status_code == 503
    assert answer.json == {
        "status": "not ready",
        "database": "ok",
        "worker": "no worker was ever started on this DATA_DIR",
        "deliveries_waiting": 0,
    }


def test_with_a_worker_it_is_ready_and_tells_what_waits(stage: Stage) -> None:
    stage.sign.hold()
    stage.client.post("/webhook", data=b"{}", headers=delivery(b"{}"))

    answer = stage.get("/readyz")
    stage.sign.release()

    assert answer.status_code == 200
    assert answer.json == {"status": "ready", "database": "ok", "worker": "alive", "deliveries_waiting": 1}


def test_a_database_that_cannot_be_read_is_named(stage: Stage) -> None:
    stage.sign.hold()
    with stage.database.connection() as connection:
        connection.exec_driver_sql("ALTER TABLE deliveries RENAME TO mislaid")

    answer = stage.get("/readyz")
    stage.sign.release()

    assert answer.status_code == 503
    assert answer.json is not None
    assert (answer.json["database"], answer.json["worker"]) == ("cannot be read", "alive")
