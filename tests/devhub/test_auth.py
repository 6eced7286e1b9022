"""JWTs and installation tokens: an hour is an hour, a permission a permission."""

from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bot.clock import ManualClock
from bot.devhub import DevHub, Pull, Repository
from tests.devhub.client import Client

pytestmark = pytest.mark.service
REPO = "/repos/acme/digits"


def test_the_app_proves_who_it_is(client: Client) -> None:
    answer = client.as_app("GET", "/app")
    assert answer.status_code == 200
    assert answer.json()["slug"] == "experiment-ci"
    assert client.as_app("GET", f"{REPO}/installation").json()["account"]["login"] == "acme"
    assert [i["app_id"] for i in client.as_app("GET", "/app/installations").json()] == [client.hub.app.id]


WRONG_TIMES: list[tuple[dict[str, int | None], str]] = [
    ({"exp": 601}, "too far in the future"),
    ({"exp": -1}, "must be a numeric value representing the future"),
    ({"exp": None}, "must be a numeric value representing the future"),
    ({"iat": 5}, "'Issued at' claim"),
    ({"iat": None}, "'Issued at' claim"),
]
"""Seconds from now; None leaves the claim out."""


def test_a_jwt_with_wrong_times_is_refused(client: Client) -> None:
    now = client.clock.now() // 1_000_000
    for claims, says in WRONG_TIMES:
        wrong = {name: None if value is None else now + value for name, value in claims.items()}
        answer = client.send("GET", "/app", f"Bearer {client.jwt(**wrong)}")
        assert answer.status_code == 401, claims
        assert says in answer.json()["message"]
        assert answer.headers["Date"] == "Tue, 14 Nov 2023 22:13:20 GMT", "the App can see how far its clock is off"


def test_a_jwt_of_another_key_or_app_or_algorithm_is_refused(client: Client) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = other.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    now = client.clock.now() // 1_000_000
    claims = {"iat": now, "exp": now + 60, "iss": str(client.hub.app.id)}
    assert client.send("GET", "/app", f"Bearer {jwt.encode(claims, pem, 'RS256')}").status_code == 401
    secret = "x" * 32
    assert client.send("GET", "/app", f"Bearer {jwt.encode(claims, secret, 'HS256')}").status_code == 401
    assert client.send("GET", "/app", f"Bearer {client.jwt(iss='1')}").status_code == 404


def test_an_app_has_as_many_keys_as_it_likes(hub: DevHub, client: Client) -> None:
    fresh = hub.add_key()
    for key in (hub.app.private_key, fresh):
        assert client.send("GET", "/app", f"Bearer {client.jwt(key=key)}").status_code == 200
    hub.delete_key(hub.app.private_key)
    refused = client.send("GET", "/app", f"Bearer {client.jwt(key=hub.app.private_key)}")
    assert (refused.status_code, refused.json()["message"]) == (401, "A JSON web token could not be decoded")
    assert client.send("GET", "/app", f"Bearer {client.jwt(key=fresh)}").status_code == 200
    with pytest.raises(ValueError, match="only key"):
        hub.delete_key(fresh)
    with pytest.raises(KeyError):
        hub.delete_key("nonsense")


def test_the_client_id_is_as_good_an_issuer_as_the_apps_number(client: Client) -> None:
    token = client.jwt(iss=client.hub.app.client_id)
    assert client.send("GET", "/app", f"Bearer {token}").status_code == 200


def test_a_token_lives_one_hour(client: Client, clock: ManualClock) -> None:
    assert client.mint().json()["expires_at"] == "2023-11-14T23:13:20Z"
    clock.advance(3599)
    assert client.get(REPO).status_code == 200
    clock.advance(1)
    answer = client.get(REPO)
    assert (answer.status_code, answer.json()["message"]) == (401, "Bad credentials")


def test_a_token_can_be_revoked(client: Client) -> None:
    assert client.delete("/installation/token").status_code == 204
    assert client.get(REPO).status_code == 401


def test_a_token_is_narrowed_to_what_was_asked(hub: DevHub, client: Client, repository: Repository, pull: Pull) -> None:
    other = hub.create_repository("acme", "other", private=True)
    answer = client.mint(repository_ids=[other.id], permissions={"contents": "read"}).json()
    assert answer["permissions"] == {"contents": "read", "metadata": "read"}
    assert [each["name"] for each in answer["repositories"]] == ["other"]
    client.login(repositories=["digits"], permissions={"pull_requests": "read"})
    assert client.get("/repos/acme/other").status_code == 404
    assert client.get(f"{REPO}/pulls/1").status_code == 200
    refused = client.post(f"{REPO}/issues/1/comments", {"body": "hi"})
    assert (refused.status_code, refused.json()["message"]) == (403, "Resource not accessible by integration")
    assert refused.headers["X-Accepted-GitHub-Permissions"] == "issues=write; pull_requests=write"
    names = [each["name"] for each in client.get("/installation/repositories").json()["repositories"]]
    assert names == ["digits"]


def test_a_token_cannot_have_more_than_was_granted(hub: DevHub, client: Client) -> None:
    assert client.mint(permissions={"contents": "write"}).status_code == 422
    assert client.mint(permissions={"actions": "read"}).status_code == 422
    strange = hub.create_repository("zoe", "hers")
    assert client.mint(repository_ids=[strange.id]).status_code == 422


def test_what_the_app_was_not_let_into_does_not_exist(hub: DevHub, client: Client) -> None:
    hub.create_repository("zoe", "secret", private=True, installed=False)
    hub.create_repository("zoe", "open", installed=False)
    assert client.get("/repos/zoe/secret").status_code == 404
    assert client.get("/repos/zoe/nothing").status_code == 404
    assert client.get("/repos/zoe/open").status_code == 200, "public: everybody may read"
    assert client.post("/repos/zoe/open/check-runs", {}).status_code == 403
    assert client.as_app("GET", "/repos/zoe/open/installation").status_code == 404


def test_strangers_and_people(hub: DevHub, client: Client, repository: Repository, sha: str) -> None:
    assert client.send("GET", REPO, None).status_code == 404
    assert client.send("GET", REPO, "Bearer nonsense").status_code == 401
    assert client.send("GET", "/app", None).status_code == 401
    owner = f"token {repository.owner.token}"
    assert client.send("GET", REPO, owner).json()["permissions"]["admin"] is True
    refused = client.send("POST", f"{REPO}/check-runs", owner, json={"name": "x", "head_sha": sha})
    assert (refused.status_code, refused.json()["message"]) == (403, "You must authenticate via a GitHub App.")


def test_the_apps_jwt_opens_no_repository(client: Client) -> None:
    assert client.as_app("GET", REPO).status_code == 401
    assert client.as_app("GET", "/installation/repositories").status_code == 401


def test_permissions_of_people(hub: DevHub, client: Client, repository: Repository) -> None:
    hub.add_collaborator(repository, "mia", "maintain")
    hub.add_user("stranger")

    def permission(login: str) -> tuple[str, str]:
        answer = client.get(f"{REPO}/collaborators/{login}/permission").json()
        return answer["permission"], answer["role_name"]

    assert permission("acme") == ("admin", "admin")
    assert permission("mia") == ("write", "maintain"), "one field folds, the other does not"
    assert permission("stranger") == ("none", "none")
    assert client.get(f"{REPO}/collaborators/nobody/permission").status_code == 404


def test_no_secret_is_in_a_repr(hub: DevHub, client: Client, repository: Repository, tmp_path: Path) -> None:
    shown = repr(hub.app) + repr(repository) + repr(hub.site.tokens.find(client.token))
    for secret in (hub.app.private_key, hub.app.webhook_secret, repository.owner.token, client.token):
        assert secret not in shown
