"""Every contract test of a provider runs once for each wire format."""

import pytest

from tests.contracts.calls import ENVIRONMENT, KEY
from tests.contracts.wire import WIRES, Wire


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Wire:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    found = WIRES[request.param]
    if found.key:
        monkeypatch.setenv(found.key, KEY)
    return found
