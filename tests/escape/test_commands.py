"""Commands in every sandbox that works here: they see no canary and change nothing outside."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from agentctl.core.values import Sandbox
from agentctl.tools.shell import RunShell
from tests.escape.conftest import Ground
from tests.escape.table import SHELL
from tests.tools import test_sandbox_life, test_sandbox_limits
from tests.tools.helpers import call, context_of

# What ends and bounds processes is tested beside the sandbox; these are rows of the table.
test_a_fork_bomb_is_bounded = test_sandbox_limits.test_a_fork_bomb_is_bounded
test_an_output_bomb_is_bounded = test_sandbox_limits.test_outputs_are_bounded
test_orphans_of_a_kill_are_ended = test_sandbox_life.test_nothing_outlives_a_killed_agentctl
test_an_endless_command_is_ended = test_sandbox_life.test_a_time_out_ends_everything
marker = test_sandbox_life.marker


@pytest.mark.parametrize(("command", "told"), SHELL, ids=range(len(SHELL)))
def test_a_command_gets_nowhere(
    engine: Any, ground: Ground, command: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(ground.home))
    monkeypatch.setenv("EVIL_API_KEY", "canary-of-the-environment")
    policy = Sandbox(hidden=ground.policy.hidden)
    if "state" in command and not engine.namespaces:
        pytest.skip("this engine cannot hide a folder of the workspace, and says so")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        text = command.format(out=ground.out, port=port, pid=os.getpid())
        if "/dev/tcp" in text:
            text = f"bash -c '{text}'"
        result = call(
            RunShell(policy=policy, engines=(engine,)), context_of(ground.work), command=text
        )
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert "canary" not in result.text
    assert re.search(told, result.text), result.text
    assert ground.seen() == ground.before
    assert not Path("/etc/agentctl-was-here").exists()
