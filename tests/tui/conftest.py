"""A state home for every test of the screen."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.parts import House


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("AGENTCTL_HOME", str(tmp_path))
    made = House(tmp_path)
    yield made
    made.desk.close()
