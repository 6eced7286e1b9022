"""A GitHub App's side of the wire, in a few lines: JWT, token, requests."""

from typing import Any

import jwt
import requests
from cryptography.hazmat.primitives import serialization

from bot.clock import SECOND, Clock
from bot.devhub import DevHub

JSON = dict[str, Any]


class Client:
    """Speaks to devhub as its App's installation on `owner`."""

    def __init__(self, hub: DevHub, clock: Clock, owner: str = "acme") -> None:
        self.hub, self.clock, self.owner = hub, clock, owner
        self.token = ""
        # Parsed once: checking an RSA key takes 50 ms.
        self._key = serialization.load_pem_private_key(hub.app.private_key.encode(), password=None)

    def jwt(self, key: str | None = None, **claims: Any) -> str:
        """Return a JWT as GitHub's guide makes it; `claims` replace its own (None leaves one out)."""
        now = self.clock.now() // SECOND
        good = {"iat": now - 60, "exp": now + 540, "iss": str(self.hub.app.id)} | claims
        chosen = {name: value for name, value in good.items() if value is not None}
        return jwt.encode(chosen, key or self._key, algorithm="RS256")

    def as_app(self, method: str, path: str, **more: Any) -> requests.Response:
        return self.send(method, path, f"Bearer {self.jwt()}", **more)

    def mint(self, **body: Any) -> requests.Response:
        number = self.hub.installation(self.owner).id
        return self.as_app("POST", f"/app/installations/{number}/access_tokens", json=body)

    def login(self, **body: Any) -> "Client":
        answer = self.mint(**body)
        assert answer.status_code == 201, answer.text
        self.token = answer.json()["token"]
        return self

    def send(self, method: str, path: str, authorization: str | None, **more: Any) -> requests.Response:
        headers = more.pop("headers", {}) | ({"Authorization": authorization} if authorization else {})
        url = path if path.startswith("http") else self.hub.url + path
        return requests.request(method, url, headers=headers, timeout=10, allow_redirects=False, **more)

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.send("GET", path, f"Bearer {self.token}", **more)

    def post(self, path: str, body: JSON, **more: Any) -> requests.Response:
        return self.send("POST", path, f"Bearer {self.token}", json=body, **more)

    def patch(self, path: str, body: JSON, **more: Any) -> requests.Response:
        return self.send("PATCH", path, f"Bearer {self.token}", json=body, **more)

    def delete(self, path: str) -> requests.Response:
        return self.send("DELETE", path, f"Bearer {self.token}")
