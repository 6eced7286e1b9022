"""A browser that goes from our pages to GitHub's and back, as far as both need one."""

from urllib.parse import urlencode, urljoin, urlsplit

import requests

from bot.devhub import DevHub
from tests.devhub.browser import Browser


class Visitor(Browser):
    """Sends forms as a browser does, to whatever site they lead, and follows redirects to any."""

    def __init__(self, hub: DevHub) -> None:
        super().__init__(hub)
        self.visited: list[str] = []

    def press(self, words: str, **changes: str | list[str]) -> str:
        form = self.form(words)
        fields = form.fields | changes
        target = urljoin(self.url, form.action)
        if form.method == "get":
            return self.get(f"{target}?{urlencode(fields)}")
        here, there = urlsplit(self.url), urlsplit(target)
        is_same = (here.scheme, here.netloc) == (there.scheme, there.netloc)
        headers = {
            "Origin": f"{here.scheme}://{here.netloc}",
            "Sec-Fetch-Site": "same-origin" if is_same else "cross-site",
        }
        answer = requests.post(target, data=fields, headers=headers, timeout=30, allow_redirects=False)
        return self._followed(answer)

    def get(self, path: str) -> str:
        url = urljoin(self.url, path) if self.url else self._absolute(path)
        return self._followed(requests.get(url, timeout=30, allow_redirects=False))

    def _followed(self, answer: requests.Response) -> str:
        self.visited.append(answer.url)
        if answer.is_redirect:
            return self.get(urljoin(answer.url, answer.headers["Location"]))
        return self._seen(answer)
