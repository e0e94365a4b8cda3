"""An engine with both embedded models, near at hand, and a model as whoever asks it has it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import lens
from lens.cluster._host import Host
from lens.models import Model
from tests.unit.cluster._near import TOKEN, near


@pytest.fixture(scope="module")
def here() -> Model:
    return lens.load("demo")


@pytest.fixture(scope="module")
def host(here: Model) -> Host:
    return Host({"demo": here, "demo-bert": lens.load("demo-bert")})


@pytest.fixture(scope="module")
def address(host: Host) -> Iterator[str]:
    with near(host, TOKEN) as found:
        yield found


@pytest.fixture
def there(address: str) -> Model:
    return lens.load("demo", engine=address)
