"""Shell commands: what they see, what is told of them, and that nothing of them is left."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from agentctl.errors import ToolError
from agentctl.tools import process
from agentctl.tools.shell import RunShell
from tests.tools.helpers import acall, call, comes_true, context_of, marked

SLEEPER = "import os,sys,time; print('ready', flush=True); time.sleep(600)"
DAEMON = (
    "import os,sys,time\n"
    "if os.fork(): os._exit(0)\n"
    "os.setsid()\n"
    "if os.fork(): os._exit(0)\n"
    "print('ready', flush=True)\n"
    "os.closerange(0, 3)\n"
    "time.sleep(600)\n"
)


@pytest.fixture
def marker():
    """A text for command lines; whatever still carries it afterwards is ended."""
    text = f"marker-{uuid.uuid4().hex}"
    yield text
    for pid in marked(text):
        os.kill(pid, signal.SIGKILL)


class Held:
    """A time-out that comes when the test says so, and output that can be waited for."""

    def __init__(self):
        self.text = ""
        self.timeout = None

    def timer(self, _seconds):
        self.timeout = asyncio.timeout(None)
        return self.timeout

    def emit(self, text):
        self.text += text
        if "ready" in self.text and self.timeout is not None:
            self.timeout.reschedule(asyncio.get_running_loop().time())


def test_output_and_errors_come_together_in_order(tmp_path):
    result = call(RunShell(), context_of(tmp_path), command="echo a; echo b >&2; echo c")
    assert result.text == "a\nb\nc\n"
    assert result.ok


def test_it_runs_in_the_workspace(tmp_path):
    assert call(RunShell(), context_of(tmp_path), command="pwd").text.strip() == str(tmp_path)


def test_no_output_is_said(tmp_path):
    assert call(RunShell(), context_of(tmp_path), command="true").text == "(no output)"


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("exit 3", "exit code 3"),
        ("echo a; exit 255", "a\nexit code 255"),
        ("printf a; exit 1", "a\nexit code 1"),
        ("kill -9 $$", "ended by signal 9 (SIGKILL)"),
        ("kill -TERM $$", "ended by signal 15 (SIGTERM)"),
        ("nosuchcommand 2>/dev/null", "exit code 127"),
    ],
)
def test_a_command_that_fails_says_how(tmp_path, command, text):
    result = call(RunShell(), context_of(tmp_path), command=command)
    assert (result.text, result.ok) == (text, False)


def test_the_environment_is_an_allow_list(tmp_path, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary-1")
    monkeypatch.setenv("MY_OWN_TOKEN", "canary-2")
    monkeypatch.setenv("LC_TIME", "C")
    text = call(RunShell(), context_of(tmp_path), command="env; cat /proc/$PPID/environ").text
    assert "canary" not in text
    names = {line.partition("=")[0] for line in text.replace("\0", "\n").splitlines()}
    allowed = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "LC_TIME", "TZ"}
    assert names <= allowed | {"TMPDIR", "PWD", "VIRTUAL_ENV", "_", "OLDPWD", "SHLVL"}
    assert {"PATH", "LC_TIME", "PWD"} <= names


def test_it_gets_three_descriptors_and_no_input(tmp_path):
    code = "import os; print(os.listdir('/proc/self/fd'), repr(os.read(0, 9)))"
    (tmp_path / "fds.py").write_text(code)
    text = call(RunShell(), context_of(tmp_path), command=f"{sys.executable} fds.py").text
    assert text == "['0', '1', '2', '3'] b''\n"  # 3 is the listing itself


def test_signals_and_core_size_are_as_a_command_expects(tmp_path):
    command = "grep -E 'SigBlk|SigIgn' /proc/self/status; ulimit -Sc; ulimit -Hc"
    lines = call(RunShell(), context_of(tmp_path), command=command).text.split()
    # Signals above 31 are the C library's own: which it ignores is its affair.
    blocked, ignored = (int(lines[at], 16) & 0x7FFFFFFF for at in (1, 3))
    assert (blocked, ignored, lines[4:]) == (0, 0, ["0", "0"])


def test_it_has_its_own_session_and_group(tmp_path):
    command = "cut -d' ' -f5,6 /proc/$$/stat; echo $$; cut -d' ' -f6 /proc/$PPID/stat"
    words = call(RunShell(), context_of(tmp_path), command=command).text.split()
    group, session, pid, supervisors_session = words
    assert group == session == pid
    assert len({int(session), int(supervisors_session), os.getsid(0)}) == 3


def test_output_is_heard_while_the_command_runs(tmp_path, marker):
    """The command waits for a file that is made only after its first line was heard."""

    def emit(text):
        heard.append(text)
        (tmp_path / "go").touch()

    heard: list[str] = []
    command = "echo one; while [ ! -e go ]; do sleep 0.01; done; echo two"
    result = call(RunShell(), context_of(tmp_path, emit), command=command)
    assert heard[0] == "one\n"
    assert "".join(heard) == result.text == "one\ntwo\n"


def test_binary_output_is_decoded_with_replacement(tmp_path):
    result = call(RunShell(), context_of(tmp_path), command=r"printf 'a\377b\303\251c\303'")
    assert result.text == "a\ufffdbéc\ufffd"


def test_a_character_split_between_two_reads_stays_whole(tmp_path):
    heard = []

    def emit(text):
        heard.append(text)
        (tmp_path / "go").touch()

    command = r"printf 'x\303'; while [ ! -e go ]; do sleep 0.01; done; printf '\251'"
    result = call(RunShell(), context_of(tmp_path, emit), command=command)
    assert heard == ["x", "é"]
    assert result.text == "xé"


def test_output_beyond_the_bound_is_drained_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "MAX_KEPT_BYTES", 100_000)
    heard = []
    command = "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo the end; exit 4"
    result = call(RunShell(), context_of(tmp_path, heard.append), command=command)
    assert result.text.startswith("x" * 100_000 + "\nexit code 4")
    assert result.text.endswith("was not kept]")
    assert sum(map(len, heard)) == 100_000


@pytest.mark.parametrize(
    ("command", "told"), [("echo \0", "NUL"), ("echo " + "x" * 70_000, "write it to a file")]
)
def test_a_command_that_cannot_be_passed_on_is_told(tmp_path, command, told):
    with pytest.raises(ToolError, match=told):
        call(RunShell(), context_of(tmp_path), command=command)


def test_a_long_command_is_passed_on_whole(tmp_path):
    result = call(RunShell(), context_of(tmp_path), command="echo " + "x" * 50_000)
    assert result.text == "x" * 50_000 + "\n"


def test_a_workspace_that_is_gone_is_told(tmp_path):
    context = context_of(tmp_path / "gone")
    result = call(RunShell(), context, command="true")
    assert not result.ok
    assert "cannot start /bin/sh" in result.text


@pytest.mark.parametrize("code", [SLEEPER, DAEMON], ids=["child", "daemon"])
def test_a_time_out_ends_everything_and_keeps_the_output(tmp_path, marker, code):
    held = Held()
    (tmp_path / "it.py").write_text(code)
    command = f"{sys.executable} -S it.py {marker}; sleep 600 & sleep 600 # {marker}"

    async def main():
        result = await acall(
            RunShell(held.timer), context_of(tmp_path, held.emit), command=command, timeout_s=7
        )
        assert marked(marker) == []
        return result

    result = asyncio.run(main())
    assert result.text == "ready\ntimed out after 7 s, ended"
    assert not result.ok


@pytest.mark.parametrize("code", [SLEEPER, DAEMON], ids=["child", "daemon"])
def test_cancelling_ends_everything_before_it_returns(tmp_path, marker, code):
    (tmp_path / "it.py").write_text(code)
    command = f"({sys.executable} -S it.py {marker}; sleep 600) | cat # {marker}"

    async def main():
        ready = asyncio.Event()
        context = context_of(tmp_path, lambda _text: ready.set())
        task = asyncio.create_task(acall(RunShell(), context, command=command))
        await ready.wait()
        assert marked(marker) != []
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert marked(marker) == []

    asyncio.run(main())


def test_processes_that_fork_while_they_are_killed_are_ended(tmp_path, marker):
    (tmp_path / "spread.sh").write_text(
        "i=0; while [ $i -lt 200 ]; do setsid sh -c 'sleep 600; :' $1 & i=$((i+1));"
        "[ $i -eq 20 ] && echo ready; done\n"
    )
    held = Held()

    async def main():
        tool = RunShell(held.timer)
        context = context_of(tmp_path, held.emit)
        await acall(tool, context, command=f"sh spread.sh {marker} & sh spread.sh {marker}; wait")
        assert marked(marker) == []

    asyncio.run(main())


@pytest.mark.parametrize(
    "redirect", ["", ">log 2>&1"], ids=["holding the output", "with its own output"]
)
def test_a_background_process_lives_until_close(tmp_path, marker, redirect):
    (tmp_path / "it.py").write_text(SLEEPER)
    command = f"{sys.executable} -S it.py {marker} {redirect} & echo started"

    async def main():
        tool = RunShell()
        result = await acall(tool, context_of(tmp_path), command=command)
        assert result.ok
        assert "started" in result.text
        assert redirect or "runs on in the background" in result.text
        assert (await acall(tool, context_of(tmp_path), command="echo next")).text == "next\n"
        assert len(marked(marker)) == 1
        await tool.close()
        assert marked(marker) == []
        await tool.close()

    asyncio.run(main())


def test_a_background_process_can_go_on_printing(tmp_path, marker):
    """Its pipe neither breaks nor fills up after the call that started it has returned."""
    code = (
        "import sys, time, pathlib\n"
        "while not pathlib.Path('go').exists(): time.sleep(0.01)\n"
        "print('x' * 1_000_000, flush=True)\n"
        "pathlib.Path('printed').touch()\n"
        "time.sleep(600)\n"
    )
    (tmp_path / "it.py").write_text(code)

    async def main():
        tool = RunShell()
        command = f"{sys.executable} it.py {marker} & echo started"
        heard: list[str] = []
        result = await acall(tool, context_of(tmp_path, heard.append), command=command)
        (tmp_path / "go").touch()
        assert await asyncio.to_thread(comes_true, (tmp_path / "printed").exists)
        assert "".join(heard) == "started\n"
        assert "x" not in result.text
        await tool.close()

    asyncio.run(main())


def test_commands_run_side_by_side(tmp_path):
    """Each waits for a file that the other makes."""

    async def main():
        tool = RunShell()
        wait = "while [ ! -e {} ]; do sleep 0.01; done"
        both = [
            acall(tool, context_of(tmp_path), command=f"touch {a}; {wait.format(b)}; echo {a}")
            for a, b in (("one", "two"), ("two", "one"))
        ]
        texts = [result.text for result in await asyncio.gather(*both)]
        await tool.close()
        return texts

    assert asyncio.run(main()) == ["one\n", "two\n"]


@pytest.mark.parametrize("code", [SLEEPER, DAEMON], ids=["child", "daemon"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_a_killed_agentctl(tmp_path, marker, code, number):
    (tmp_path / "it.py").write_text(code)
    command = f"{sys.executable} -S it.py {marker}; sleep 600 & sleep 600 # {marker}"
    driver = (
        "import asyncio, json, sys\n"
        "from pathlib import Path\n"
        "from agentctl.tools.shell import RunShell\n"
        "from tests.tools.helpers import context_of\n"
        "emit = lambda text: print(text, end='', flush=True)\n"
        "context = context_of(Path(sys.argv[1]), emit)\n"
        "asyncio.run(RunShell().run(sys.stdin.read(), context))\n"
    )
    root = Path(process.__file__).parents[2]
    parent = subprocess.Popen(
        [sys.executable, "-c", driver, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])},
        text=True,
    )
    with parent:
        parent.stdin.write(json.dumps({"command": command}))
        parent.stdin.close()
        assert parent.stdout.readline() == "ready\n"
        assert marked(marker) != []
        parent.send_signal(number)
        parent.wait()
    assert comes_true(lambda: marked(marker) == [], within_s=2)


def test_a_command_that_kills_its_supervisor_ends_itself(tmp_path, marker):
    (tmp_path / "it.py").write_text(SLEEPER)
    left = f"{sys.executable} -S it.py {marker} >log 2>&1 &"
    command = f"{left} kill -9 $PPID; sleep 600 # {marker}"

    async def main():
        tool = RunShell()
        result = await acall(tool, context_of(tmp_path), command=command)
        assert "outcome unknown" in result.text
        assert not result.ok
        await tool.close()

    asyncio.run(main())
    assert comes_true(lambda: marked(marker) == [], within_s=2)


def test_a_command_dies_with_its_supervisor_when_agentctl_is_dead_too(tmp_path, marker):
    order = "\0".join([str(tmp_path), "3", "/bin/sh", "-c", f"echo ready; sleep 600 # {marker}"])
    with subprocess.Popen(
        [sys.executable, "-I", "-S", str(process.SUPERVISOR)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as supervisor:
        supervisor.stdin.write(f"{len(order)}\n{order}".encode())
        assert supervisor.stdout.readline() == b"ready\n"
        assert marked(marker) != []
        supervisor.kill()
        supervisor.wait()
        assert comes_true(lambda: marked(marker) == [], within_s=2)


def test_terminating_its_supervisor_changes_nothing(tmp_path):
    command = "kill -TERM $PPID; kill -INT $PPID; kill -HUP $PPID; echo alive"
    assert call(RunShell(), context_of(tmp_path), command=command).text == "alive\n"


def test_looking_for_a_command_line_does_not_find_the_supervisor(tmp_path, marker):
    """`pkill -f` with a word of the command itself must reach the command only."""
    (tmp_path / "look.py").write_text(
        "import os, pathlib, sys\n"
        "parent = os.getppid()\n"
        "stat = pathlib.Path(f'/proc/{parent}/stat').read_text()\n"
        "grandparent = int(stat.rpartition(')')[2].split()[1])\n"
        "print(sys.argv[1] in pathlib.Path(f'/proc/{grandparent}/cmdline').read_text())\n"
    )
    command = f"{sys.executable} look.py {marker}; :"
    assert call(RunShell(), context_of(tmp_path), command=command).text == "False\n"


def test_a_supervisor_that_breaks_is_told(tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("raise SystemExit('no such luck')")
    monkeypatch.setattr(process, "SUPERVISOR", tmp_path / "broken.py")
    result = call(RunShell(), context_of(tmp_path), command="echo never")
    assert result.text == "outcome unknown: no such luck"
    assert not result.ok
