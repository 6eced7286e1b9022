"""What the forge's tests share: an App's key, a clock that stands still, a stand-in for GitHub and a forge."""

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bot.clock import ManualClock
from bot.forge.client import Forge
from bot.forge.credentials import Credentials
from bot.forge.pacing import Pacer
from tests.forge.standin import Standin

APP_ID = 4242


@pytest.fixture(scope="session")
def parsed_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="session")
def app_key(parsed_key: rsa.RSAPrivateKey) -> str:
    """The App's private key as GitHub hands it out (PKCS#1 PEM)."""
    return parsed_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def github(clock: ManualClock) -> Iterator[Standin]:
    standin = Standin(clock)
    yield standin
    standin.close()


@pytest.fixture
def credentials(github: Standin, parsed_key: rsa.RSAPrivateKey, clock: ManualClock) -> Iterator[Credentials]:
    credentials = Credentials(APP_ID, parsed_key, github.url, clock)
    yield credentials
    credentials.close()


@pytest.fixture
def forge(credentials: Credentials, clock: ManualClock) -> Iterator[Forge]:
    """A forge without our own caps: what it says and hears is played here, its pace in test_pacing.py."""
    forge = Forge(credentials, Pacer(clock, caps=()), clock)
    yield forge
    forge.close()
