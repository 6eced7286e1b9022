"""The addresses that the page of an experiment points at."""

from urllib.parse import quote

from flask import request

from bot.store.pages import ExperimentPage, TaskLine


class Links:
    """The addresses that a page points at. A token that opened the page opens them too."""

    def __init__(self, base: str, page: ExperimentPage, task: TaskLine | None) -> None:
        self._root, self._base = base, f"{base}/experiments/{page.place.public_id}"
        token = request.args.get("token")
        self._token = f"&token={quote(token, safe='')}" if token else ""
        self._number = page.attempt.number if page.attempt else 1
        self._query = f"?attempt={self._number}{self._token}"
        self._task = f"&task={task.name}" if task else ""

    def attempt(self, number: int) -> str:
        return f"{self._base}?attempt={number}{self._token}"

    def task(self, name: str) -> str:
        return f"{self._base}{self._query}&task={name}#logs"

    def log(self) -> str:
        return f"{self._base}/log{self._query}{self._task}"

    def whole_log(self) -> str:
        return f"{self._base}/log.txt{self._query}{self._task}"

    def artifact(self, path: str) -> str | None:
        """None for a name that is no text: no address can say it."""
        try:
            return f"{self._base}/artifacts/{quote(path)}{self._query}"
        except UnicodeEncodeError:
            return None

    def artifacts(self) -> str:
        return f"{self._base}/artifacts.zip{self._query}"

    def port(self, port: int) -> str:
        return f"{self._base}/ports/{port}/{self._token.replace('&', '?')}"

    def model(self, public_id: str) -> str:
        return f"{self._root}/models/{public_id}{self._token.replace('&', '?')}"
