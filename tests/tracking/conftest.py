"""A server of one's own for each test, and the real client pointed at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from endpoint import Endpoint


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """A W&B endpoint; this process and those it starts know of no other."""
    endpoint = Endpoint()
    for key, value in endpoint.environment().items():
        monkeypatch.setenv(key, value)
    yield endpoint
    endpoint.down()
    import wandb

    wandb.teardown()  # its settings name this server
    assert endpoint.unknown == [], "the client asks for more than the endpoint knows"
