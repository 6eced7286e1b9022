"""The two ways in which fetching ends early. A message is a clause for people: no secret, no name of the dataset."""


class Refused(Exception):
    """It will be so next time too, until somebody changes the config, the credentials or the data: the user's."""


class Unavailable(Exception):
    """The platform cannot do it now: a server is away, the disk is full."""


class Missing(Unavailable):
    """A part of the platform is not installed: it will be so next time too."""
