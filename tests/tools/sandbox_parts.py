"""What the tests of confined commands share: engines that work here, and places to run in."""

import sys

import pytest

from agentctl.tools.sandbox import Policy, probe
from agentctl.tools.sandbox_bwrap import INSTALL, bwrap
from agentctl.tools.shell import RunShell
from tests.tools.helpers import call, context_of

SLEEPER = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]


def named(engine):
    words = [
        engine.name,
        "namespaces" if engine.namespaces else "",
        "" if engine.proc else "old-proc",
    ]
    return "-".join(word for word in words if word)


def works(engine):
    """Skip, with the reason, where this kernel cannot."""
    if engine.name == "bubblewrap" and not bwrap():
        pytest.skip(f"bubblewrap is not installed: {INSTALL}")
    if probe(Policy(), "/", (engine,)).engine == "none":
        pytest.skip(f"{named(engine)} does not work here")
    return engine


def run(engine, ws, command, **policy):
    tool = RunShell(policy=Policy(**policy), engines=(engine,))
    return call(tool, context_of(ws), command=command)


def python(code):
    return f"{sys.executable} -S -c '{code}'"
