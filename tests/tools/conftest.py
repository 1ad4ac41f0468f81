"""Fixtures for confined commands: engines that work here, and places to run in."""

import pytest

from agentctl.tools.sandbox import ENGINES
from tests.tools.sandbox_parts import named, works


@pytest.fixture(params=ENGINES, ids=named)
def engine(request):
    return works(request.param)


@pytest.fixture(params=[each for each in ENGINES if each.namespaces], ids=named)
def spaces(request):
    return works(request.param)


@pytest.fixture(params=[each for each in ENGINES if each.namespaces and each.proc], ids=named)
def complete(request):
    return works(request.param)


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "diary.txt").write_text("canary-home")
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture
def ws(tmp_path, home):
    folder = tmp_path / "ws"
    folder.mkdir()
    return folder
