"""A place to run in for every test of the command line."""

from pathlib import Path

import pytest

from tests.cli.parts import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)
