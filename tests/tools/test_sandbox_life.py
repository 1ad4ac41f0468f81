"""Confined commands end with their task, and what is not enforced is said or refused."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import psutil
import pytest

from agentctl.errors import ToolError, UsageError
from agentctl.tools import process, sandbox
from agentctl.tools.sandbox import ENGINES, STRICT_PARTS, Enforced, Policy, probe, require, wrap
from agentctl.tools.sandbox_bwrap import INSTALL
from agentctl.tools.sandbox_private import private_folder
from agentctl.tools.shell import RunShell
from tests.tools.helpers import acall, call, comes_true, context_of, marked

DAEMON = (
    "import os,sys,time\n"
    "if os.fork(): os._exit(0)\n"
    "os.setsid()\n"
    "if os.fork(): os._exit(0)\n"
    "print('ready', flush=True)\n"
    "os.closerange(0, 3)\n"
    "time.sleep(600)\n"
)
DRIVER = (
    "import asyncio, json, sys\n"
    "from pathlib import Path\n"
    "from agentctl.tools.sandbox import ENGINES, Policy\n"
    "from agentctl.tools.shell import RunShell\n"
    "from tests.tools.helpers import context_of\n"
    "emit = lambda text: print(text, end='', flush=True)\n"
    "context = context_of(Path(sys.argv[1]), emit)\n"
    "tool = RunShell(policy=Policy(), engines=(ENGINES[int(sys.argv[2])],))\n"
    "asyncio.run(tool.run(sys.stdin.read(), context))\n"
)


@pytest.fixture
def marker():
    text = f"marker-{uuid.uuid4().hex}"
    yield text
    for pid in marked(text):
        os.kill(pid, signal.SIGKILL)


def driver(engine, ws, command):
    """Another agentctl that runs this command; its first line has been printed."""
    root = Path(process.__file__).parents[2]
    parent = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(ws), str(ENGINES.index(engine))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])},
        text=True,
    )
    parent.stdin.write(json.dumps({"command": command}))
    parent.stdin.close()
    assert parent.stdout.readline() == "ready\n"
    return parent


def test_nothing_outlives_a_killed_agentctl(engine, tmp_path, marker):
    (tmp_path / "it.py").write_text(DAEMON)
    command = f"{sys.executable} -S it.py {marker}; sleep 600 & sleep 600 # {marker}"
    with driver(engine, tmp_path, command) as parent:
        assert marked(marker) != []
        parent.kill()
        parent.wait()
    assert comes_true(lambda: marked(marker) == [], within_s=2)


def test_nothing_outlives_agentctl_and_its_supervisor_killed_together(spaces, tmp_path, marker):
    (tmp_path / "it.py").write_text(DAEMON)
    command = f"{sys.executable} -S it.py {marker}; sleep 600 & sleep 600 # {marker}"
    with driver(spaces, tmp_path, command) as parent:
        (supervisor,) = psutil.Process(parent.pid).children()
        assert marked(marker) != []
        supervisor.kill()
        parent.kill()
        parent.wait()
    assert comes_true(lambda: marked(marker) == [], within_s=2)


def test_a_time_out_ends_everything(engine, tmp_path, marker):
    command = f"(setsid sleep 600 &) ; echo ready; sleep 600 # {marker}"
    tool = RunShell(policy=Policy(), engines=(engine,))
    result = call(tool, context_of(tmp_path), command=command, timeout_s=1)
    assert result.text == "ready\ntimed out after 1 s, ended"
    assert marked(marker) == []


def test_what_runs_on_in_the_background_lives_until_the_task_ends(engine, tmp_path, marker):
    async def main():
        tool = RunShell(policy=Policy(), engines=(engine,))
        context = context_of(tmp_path)
        command = f"sh -c 'sleep 600; : {marker}' & echo started"
        first = await acall(tool, context, command=command)
        assert first.text.startswith("started\n")
        assert "in the background" in first.text
        assert first.ok
        assert marked(marker) != []
        await tool.close()

    asyncio.run(main())
    assert comes_true(lambda: marked(marker) == [], within_s=2)


def test_the_first_process_inside_cannot_be_ended_from_inside(spaces, tmp_path):
    tool = RunShell(policy=Policy(), engines=(spaces,))
    result = call(tool, context_of(tmp_path), command="kill -9 1; kill -TERM 1; echo alive")
    assert result.text.endswith("alive\n")


def test_a_command_cannot_tell_another_end_than_its_own(spaces, tmp_path):
    tool = RunShell(policy=Policy(), engines=(spaces,))
    command = "{ echo 'exit 0 last' >&3; } 2>/dev/null; echo 'exit 0 last' >/proc/1/fd/3; exit 5"
    assert call(tool, context_of(tmp_path), command=command).text.endswith("exit code 5")


def test_strict_is_refused_when_no_engine_works(tmp_path):
    with pytest.raises(ToolError, match="strict cannot be had here: nothing confines files, net"):
        call(RunShell(policy=Policy("strict"), engines=()), context_of(tmp_path), command="true")


def test_strict_is_refused_when_a_part_is_missing_and_says_what_would_help():
    for part in STRICT_PARTS:
        held = tuple(each for each in STRICT_PARTS if each != part)
        enforced = Enforced("landlock", held, (part,), INSTALL)
        with pytest.raises(UsageError, match=f"nothing confines {part}.*{INSTALL}"):
            require(Policy("strict"), enforced)
    require(Policy("strict"), Enforced("bubblewrap", STRICT_PARTS, ("memory",)))


def test_strict_runs_where_all_of_it_is_enforced(tmp_path):
    if set(STRICT_PARTS) - set(probe(Policy("strict"), str(tmp_path)).parts):
        pytest.skip(f"no engine here enforces all: {INSTALL}")
    result = call(RunShell(policy=Policy("strict")), context_of(tmp_path), command="echo in")
    assert result.text == "in\n"


def test_auto_runs_unconfined_where_nothing_works_and_says_so(tmp_path):
    tool = RunShell(policy=Policy(), engines=())
    assert call(tool, context_of(tmp_path), command="echo out").text == "out\n"
    line = probe(Policy(), str(tmp_path), ()).line()
    assert line.startswith("sandbox: none, without files, network, processes, privileges")


@pytest.mark.parametrize("mode", ["workspace", "read-only"])
def test_a_mode_asked_for_by_name_is_refused_when_files_are_not_kept(tmp_path, mode):
    with pytest.raises(ToolError, match="cannot be had here"):
        call(RunShell(policy=Policy(mode), engines=()), context_of(tmp_path), command="true")


def test_off_changes_nothing(tmp_path):
    enforced = probe(Policy("off"), str(tmp_path))
    assert enforced.line() == "sandbox: off"
    assert wrap(["/bin/true"], Policy("off"), str(tmp_path), enforced).argv == ("/bin/true",)


def test_a_workspace_that_holds_the_home_is_told(tmp_path, monkeypatch, engine):
    monkeypatch.setenv("HOME", str(tmp_path / "ws"))
    (tmp_path / "ws").mkdir()
    enforced = probe(Policy(), str(tmp_path), (engine,))
    assert "home" in enforced.missing
    with pytest.raises(UsageError, match="home"):
        require(Policy("strict"), enforced)


def test_the_line_names_what_is_and_what_is_not():
    enforced = Enforced("landlock", ("files", "network"), ("processes",))
    assert enforced.line() == "sandbox: landlock, without processes"


def test_what_was_made_for_commands_is_gone_when_agentctl_ends(tmp_path):
    code = (
        "import subprocess, sys\n"
        "from agentctl.tools.sandbox import *\n"
        "from agentctl.tools.sandbox import private_folder\n"
        "cwd = sys.argv[1]\n"
        "e = probe(Policy(), cwd)\n"
        "if e.engine != 'none':\n"
        "    for _ in range(2):\n"
        "        subprocess.run(wrap(['/bin/true'], Policy(), cwd, e).argv, check=True)\n"
        "print(private_folder())\n"
    )
    root = Path(process.__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    python = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(python, env=env, capture_output=True, text=True, check=True)
    assert not Path(done.stdout.strip()).exists()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".git").mkdir()  # as one that was killed leaves it
    subprocess.run(python, env=env, capture_output=True, check=True)
    assert list(tmp_path.iterdir()) == []


def test_the_private_folder_of_a_killed_agentctl_is_removed_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / "agentctl-sandbox-left"
    (left / "tmp").mkdir(parents=True)
    (left / "lock").touch()
    mine = Path(private_folder.__wrapped__())
    assert not left.exists()
    other = Path(private_folder.__wrapped__())
    assert mine.exists()
    assert other.exists()


def test_a_probe_that_hangs_is_given_up(tmp_path, monkeypatch):
    (tmp_path / "slow.py").write_text("import time; time.sleep(600)")
    monkeypatch.setattr(sandbox, "PROBE", tmp_path / "slow.py")
    monkeypatch.setattr(sandbox, "PROBE_S", 0.3)
    assert probe(Policy(cpu_s=99), str(tmp_path)).engine == "none"
