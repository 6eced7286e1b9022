"""What the rows do not know, and every report of them needs: addresses, and how the backend isolates."""

from dataclasses import dataclass

from bot.store.schema import Attempt, Experiment, Model


@dataclass(frozen=True)
class Surroundings:
    """What the rows do not know: where our pages are, where GitHub's are, how the backend isolates."""

    public_url: str
    web_url: str
    isolation: str
    is_isolated: bool
    shows_images: bool

    @property
    def caveats(self) -> tuple[str, ...]:
        """What the reader of any result of this bot must know."""
        return () if self.is_isolated else (f"it ran without isolation ({self.isolation})",)

    def experiment_url(self, experiment: Experiment) -> str | None:
        """Return the address of an experiment's page with its view token; None when it was closed."""
        if experiment.view_token is None:
            return None
        return f"{self.public_url}/experiments/{experiment.public_id}?token={experiment.view_token}"

    def port_url(self, experiment: Experiment, port: int) -> str | None:
        """Return the address at which a port of a running experiment can be looked at."""
        if experiment.view_token is None:
            return None
        return f"{self.public_url}/experiments/{experiment.public_id}/ports/{port}/?token={experiment.view_token}"

    def model_url(self, model: Model, experiment: Experiment) -> str | None:
        """Return the address of a model's page."""
        if experiment.view_token is None:
            return None
        return f"{self.public_url}/models/{model.public_id}?token={experiment.view_token}"

    def picture_url(self, attempt: Attempt | None) -> str | None:
        """Return the address of an attempt's picture; None when there is none, or none may be shown."""
        if attempt is None or attempt.picture is None or not self.shows_images:
            return None
        return f"{self.public_url}/images/{attempt.picture}.png"


NOWHERE = Surroundings(public_url="", web_url="", isolation="", is_isolated=True, shows_images=False)
"""For those who want to know how things stand, and show no address."""
