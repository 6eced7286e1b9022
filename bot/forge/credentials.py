"""Who we are: the App's JWT and the installations' tokens.

GitHub's rules (docs: "Generating a JSON Web Token for a GitHub App", "Generating an installation access token"): RS256,
`iat` 60 s in the past, `exp` at most 10 min ahead; a token lives one hour and is replaced, never renewed.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
import requests
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bot.clock import MINUTE, SECOND, Clock
from bot.forge.errors import ForgeError, Limited, Retry, Unauthorized, clock_offset, from_answer
from bot.forge.pacing import APP, Pacer
from bot.forge.reads import Page, following

USER_AGENT = "experiment-ci"
TIMEOUT = 10
"""Seconds for connecting, and again for each wait for bytes. GitHub itself gives up after 10 s."""
_BACKDATED = 60
_JWT_LIFE = 9 * 60
_TOKEN_LIFE = 50 * MINUTE
TOLERABLE_OFFSET = 30.0
"""Seconds that our clock may be off: half of what the backdating forgives."""
UNAUTHORIZED_PAUSE = 60.0
"""Seconds between attempts while GitHub refuses our key: it locks out those who keep knocking."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Token:
    value: str
    replace_at: int

    def __repr__(self) -> str:
        return "<installation token>"


class Credentials:
    """The App's key and the tokens it bought, cached per installation. Any thread may ask.

    `private_key` is the PEM's text, or the key read from it already (reading checks it, which takes 50 ms); ValueError
    (without the text) when it is no RSA key. `api_url` may have a path. `read_again` returns the PEM as it is kept now:
    it is asked when GitHub refuses the key, which may have been replaced meanwhile.
    """

    def __init__(
        self,
        app_id: int,
        private_key: str | RSAPrivateKey,
        api_url: str,
        clock: Clock,
        pacer: Pacer | None = None,
        read_again: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.app_id = app_id
        self.api_url = api_url.rstrip("/")
        self._key = rsa_key(private_key)
        self._read_again = read_again
        self._clock, self._pacer = clock, pacer or Pacer(clock)
        self._offset = 0.0
        self._session = requests.Session()
        self._session.headers.update({"User-Agent": USER_AGENT, "Accept": "application/vnd.github+json"})
        self._tokens: dict[tuple[int, int | None], _Token] = {}
        self._mints: dict[tuple[int, int | None], threading.Lock] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Credentials of App {self.app_id}>"

    def jwt(self) -> str:
        """Return a fresh JWT of the App, good for nine minutes: an exact ten fail when our clock is ahead.

        Its times are GitHub's: a clock that is known to be off is corrected.
        """
        now = round(self._clock.now() / SECOND - self._offset)
        claims = {"iat": now - _BACKDATED, "exp": now + _JWT_LIFE, "iss": str(self.app_id)}
        return jwt.encode(claims, self._key, algorithm="RS256")

    def token(self, installation: int, repository_id: int | None = None) -> str:
        """Return a token of the installation, from the cache while it is younger than 50 min of its hour.

        With `repository_id` it opens nothing but the contents of that repository, for reading: that is git's.
        Raises Refused (not installed there, suspended), Unauthorized (key, App id or clock), Retry, Limited.
        """
        name = (installation, repository_id)
        with self._mint_lock(name):
            # Inside the lock: of many threads that find the token old, one replaces it and the others take that.
            token = self._tokens.get(name)
            if token is None or token.replace_at <= self._clock.now():
                token = self._tokens[name] = self._mint(installation, repository_id)
            return token.value

    def forget(self, installation: int, repository_id: int | None = None, *, token: str) -> None:
        """Drop `token`, which GitHub called bad, unless another has already taken its place."""
        name = (installation, repository_id)
        with self._mint_lock(name):
            held = self._tokens.get(name)
            if held is not None and held.value == token:
                del self._tokens[name]

    def forget_all(self, installation: int) -> None:
        """Drop every token of an installation: each keeps the permissions that it was made with."""
        for name in [name for name in self._tokens.copy() if name[0] == installation]:
            self._tokens.pop(name, None)

    def renewed(self, installation: int, repository_id: int | None = None) -> str:
        """Return a token that was not in use before: the one in the cache may be revoked before its hour is over."""
        with self._mint_lock((installation, repository_id)):
            self._tokens.pop((installation, repository_id), None)
        return self.token(installation, repository_id)

    def read(self, path: str) -> Any:
        """Return the JSON of `GET path`, asked as the App itself: about the App, or about where it is installed.

        Raises Refused (404: not there), Unauthorized, Retry, Limited.
        """
        return self.page(path).value

    def page(self, path: str) -> Page:
        """Return the JSON of `GET path` and the query of what follows it, like `read`."""
        answer = self.ask("GET", path)
        if answer.status != 200:
            raise self._refusal(answer)
        if not isinstance(answer.data, dict | list):
            raise Retry("GitHub's answer could not be read.")
        return Page(answer.data, following(answer.headers.get("link", "")))

    def post(self, path: str) -> None:
        """Ask for something to be done, at its time: `POST path`. Raises like `read`."""
        if wait := self._pacer.may_write(APP):
            raise Limited(f"The App has to wait {wait:.1f} s.", wait)
        try:
            answer = self.ask("POST", path)
        finally:
            self._pacer.wrote(APP)
        if not 200 <= answer.status < 300:
            raise self._refusal(answer)

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> "Answer":
        """Ask GitHub as the App and return whatever it answers. Raises Retry when it was not reached, or is not to be.

        A refusal that teaches us GitHub's time, or that our key was replaced, is followed by one more try.
        """
        if wait := self._pacer.closed_for(APP):
            raise Limited(f"The App has to wait {wait:.1f} s.", wait)
        answer = self._ask(method, path, body)
        if answer.status == 401 and (self._learned_the_time(answer) or self._has_another_key()):
            answer = self._ask(method, path, body)
        refusal = from_answer(answer.status, answer.headers, answer.data, self._clock.now(), is_post=False)
        if isinstance(refusal, Limited):
            self._pacer.limited(APP, refusal.after)
        elif answer.status < 500:
            self._pacer.answered(APP)
        return answer

    def ask_as(self, installation: int, path: str) -> "Answer":
        """Ask `GET path` as an installation and return whatever GitHub answers: for a look now and then.

        What is done every day goes through `bot.forge.client`, which keeps GitHub's pace. Raises what `token` does.
        """
        return self._send("GET", path, None, self.token(installation))

    def _learned_the_time(self, answer: "Answer") -> bool:
        """Take GitHub's time for ours where they differ by more than is forgiven; tell whether that is new."""
        measured = answer.clock_offset
        if measured is None or abs(measured - self._offset) <= TOLERABLE_OFFSET:
            return False
        self._offset = measured if abs(measured) > TOLERABLE_OFFSET else 0.0
        _log.error("This machine's clock is off by %+.0f s: set it (NTP). GitHub's own is used meanwhile.", measured)
        return True

    def _has_another_key(self) -> bool:
        """Read the key again, as rotating it leaves it; tell whether it is another one than we have."""
        try:
            text = self._read_again()
            key = None if text is None else rsa_key(text)
        except (OSError, ValueError):
            return False
        if key is None or key.public_key() == self._key.public_key():
            return False
        self._key = key
        _log.warning("GitHub refused the App's private key; the one that is kept now is used from here on.")
        return True

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> "Answer":
        return self._send(method, path, body, self.jwt())

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None, bearer: str) -> "Answer":
        def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
            # As `auth=`, not as a header: else requests lets a ~/.netrc that names the host overwrite it.
            request.headers["Authorization"] = f"Bearer {bearer}"
            return request

        try:
            answer = self._session.request(
                method, self.api_url + path, json=body, auth=authorize, timeout=TIMEOUT, allow_redirects=False
            )
        except requests.RequestException as error:
            # `from None` and the type only: the exception carries the request, and the request our JWT.
            raise Retry(f"GitHub was not reached ({type(error).__name__}).") from None
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status_code, headers, _json(answer), clock_offset(headers, self._clock.now()))

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _mint_lock(self, name: tuple[int, int | None]) -> threading.Lock:
        # A lock for each: a slow answer for one installation must not hold up another.
        with self._lock:
            return self._mints.setdefault(name, threading.Lock())

    def _mint(self, installation: int, repository_id: int | None) -> _Token:
        body: dict[str, Any] = {}
        if repository_id is not None:
            body = {"repository_ids": [repository_id], "permissions": {"contents": "read"}}
        asked_at = self._clock.now()
        answer = self.ask("POST", f"/app/installations/{installation}/access_tokens", body)
        if answer.status != 201:
            raise self._refusal(answer)
        value = answer.data.get("token") if isinstance(answer.data, Mapping) else None
        if not isinstance(value, str) or not value:
            raise Retry("GitHub's answer to a request for an installation token holds no token.")
        return _Token(value, asked_at + _TOKEN_LIFE)

    def _refusal(self, answer: "Answer") -> ForgeError:
        refusal = from_answer(answer.status, answer.headers, answer.data, self._clock.now(), is_post=False)
        cure = cure_for(answer, self.app_id)
        if not cure:
            return refusal
        reason = f"{refusal}. {cure}"
        _log.error("%s", reason)
        return Unauthorized(reason, UNAUTHORIZED_PAUSE)


@dataclass(frozen=True)
class Answer:
    """What GitHub answered to the App: `headers` in lower case, `data` its JSON or None.

    `clock_offset` is how many seconds our clock is ahead of GitHub's, None when the answer had no date.
    """

    status: int
    headers: Mapping[str, str]
    data: Any = field(repr=False)
    clock_offset: float | None


def cure_for(answer: Answer, app_id: int) -> str:
    """Return what to do when `answer` says that GitHub does not know us, as a sentence; "" when it does not."""
    if answer.status == 404 and "integration not found" in str(answer.data).lower():
        return f"There is no App {app_id}: GITHUB_APP_ID is the number called “App ID” on the App's settings page."
    if answer.status != 401:
        return ""
    offset = answer.clock_offset
    if offset is not None and abs(offset) > TOLERABLE_OFFSET:
        return f"This machine's clock is off by {offset:+.0f} s: set it (NTP); GitHub takes no more than about 60 s."
    return f"The private key does not belong to App {app_id}, or it was deleted on the App's settings page."


def rsa_key(given: str | RSAPrivateKey) -> RSAPrivateKey:
    """Return the App's key; raises ValueError (without the text) for what is none."""
    try:
        key = load_pem_private_key(given.encode(), password=None) if isinstance(given, str) else given
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("The App's private key is not an RSA key in PEM form without a passphrase.")
    return key


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None
