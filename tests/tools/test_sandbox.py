"""Confined commands: real ones try to get out, by every engine that works here."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from agentctl.tools.sandbox import Policy, probe, wrap
from agentctl.tools.sandbox_landlock import SCOPES_VERSION, landlock_version
from agentctl.tools.shell import RunShell
from tests.tools.helpers import call, context_of
from tests.tools.sandbox_parts import SLEEPER, python, run


def test_output_exit_code_and_signals_are_told_as_without(engine, ws):
    assert run(engine, ws, "echo a; echo b >&2").text == "a\nb\n"
    assert run(engine, ws, "exit 3").text == "exit code 3"
    assert run(engine, ws, "kill -9 $$").text == "ended by signal 9 (SIGKILL)"


def test_the_workspace_can_be_written(engine, ws):
    assert run(engine, ws, "pwd; mkdir d; echo x > d/f; mv d/f g; cat g").text == f"{ws}\nx\n"
    assert (ws / "g").read_text() == "x\n"


def test_what_is_outside_cannot_be_written(engine, ws, tmp_path):
    """Neither where it is hidden, nor where it is only read-only."""
    outside = tmp_path / "outside"
    outside.mkdir()
    run(engine, ws, f"mkdir -p {outside}; echo x > {outside}/a")
    result = run(engine, ws, f"echo x > {outside}/b", readable=(str(outside),))
    assert not result.ok
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("place", ["/etc", "/usr/bin", "/var/lib"])
def test_the_system_cannot_be_written(engine, ws, place):
    result = run(engine, ws, f"touch {place}/agentctl-sandbox-test")
    assert not result.ok
    assert not Path(place, "agentctl-sandbox-test").exists()


def test_a_link_in_the_workspace_leads_to_nothing_writable(engine, ws, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("old")
    (ws / "link").symlink_to(outside)
    (ws / "file").symlink_to(outside / "file")
    allowed = {"readable": (str(outside),)}
    assert not run(engine, ws, "echo x > link/new", **allowed).ok
    assert not run(engine, ws, "echo x > file", **allowed).ok
    assert not run(engine, ws, "ln -s /etc e && touch e/agentctl-sandbox-test", **allowed).ok
    assert (outside / "file").read_text() == "old"
    assert len(list(outside.iterdir())) == 1


def test_home_is_empty_and_private(engine, ws, home):
    result = run(engine, ws, f"cat {home}/diary.txt; cat ~/diary.txt; ls -A ~; echo n > ~/new")
    assert "canary" not in result.text
    assert sorted(path.name for path in home.iterdir()) == ["diary.txt"]
    assert run(engine, ws, "echo kept > ~/.cache; cat ~/.cache").text == "kept\n"


def test_the_temporary_folder_is_private_and_kept_between_commands(engine, ws, tmp_path):
    (tmp_path / "canary").write_text("canary-tmp")
    result = run(engine, ws, f"cat {tmp_path}/canary; echo x > ${{TMPDIR:-/tmp}}/mine")
    assert "canary" not in result.text.replace(f"{tmp_path}/canary", "")
    assert not Path("/tmp/mine").exists()
    assert run(engine, ws, 'cat "$TMPDIR/mine"').text == "x\n"


def test_programs_on_path_run(engine, ws):
    assert run(engine, ws, python("import json; print(json.dumps(1))")).text == "1\n"
    if shutil.which("git"):
        assert run(engine, ws, "git --version").ok


def test_programs_below_home_run_and_what_lies_beside_does_not_show(engine, ws, home, monkeypatch):
    top = home / ".manager" / "tools" / "v1"
    (top / "lib").mkdir(parents=True)
    (top / "bin").mkdir()
    (top / "lib" / "part").write_text("part")
    program = top / "bin" / "hello"
    program.write_text("#!/bin/sh\ncat $(dirname $(readlink -f $0))/../lib/part\n")
    program.chmod(0o755)
    (home / ".local" / "bin").mkdir(parents=True)
    (home / ".local" / "token").write_text("canary")
    (home / ".local" / "bin" / "hello").symlink_to(program)
    monkeypatch.setenv("PATH", f"{home}/.local/bin:{os.environ['PATH']}")
    assert run(engine, ws, "hello").text == "part"
    assert "canary" not in run(engine, ws, f"cat {home}/.local/token").text
    assert not run(engine, ws, f"echo x > {home}/.local/bin/hello").ok


def test_a_read_only_workspace_cannot_be_written(engine, ws):
    (ws / "file").write_text("old")
    result = run(engine, ws, "cat file; echo x > new || echo x > file", mode="read-only")
    assert result.text.startswith("old")
    assert not result.ok
    assert [path.name for path in ws.iterdir()] == ["file"]
    assert (ws / "file").read_text() == "old"


def test_a_further_folder_can_be_written_by_name(engine, ws, tmp_path):
    (tmp_path / "more").mkdir()
    assert run(engine, ws, f"echo x > {tmp_path}/more/f", writable=(str(tmp_path / "more"),)).ok
    assert (tmp_path / "more" / "f").exists()


GIT_ATTEMPTS = (
    "echo x > .git/hooks/pre-commit",
    "echo x >> .git/config",
    "rm .git/config",
    "mv .git/hooks .git/h",
    "mv .git g && mkdir -p .git/hooks && echo x > .git/hooks/pre-commit",
    "ln .git/config c && echo x >> c",
    "rm -rf .git/hooks .git/config; mkdir -p .git/hooks && echo x > .git/hooks/x",
)


@pytest.mark.parametrize("attempt", GIT_ATTEMPTS)
def test_hooks_and_configuration_of_git_cannot_be_changed(spaces, ws, attempt):
    (ws / ".git" / "hooks").mkdir(parents=True)
    (ws / ".git" / "config").write_text("old")
    (ws / ".git" / "HEAD").write_text("old")
    result = run(spaces, ws, f"{{ {attempt}; }} 2>/dev/null; echo new > .git/HEAD && echo went on")
    assert result.text.endswith("went on\n")
    assert (ws / ".git" / "config").read_text() == "old"
    assert list((ws / ".git" / "hooks").iterdir()) == []
    assert (ws / ".git" / "HEAD").read_text() == "new\n"


def test_hooks_that_do_not_exist_yet_cannot_be_made(spaces, ws):
    assert not run(spaces, ws, "mkdir -p .git/hooks && echo x > .git/hooks/pre-commit").ok
    (ws / ".git" / "config").touch()
    assert not run(spaces, ws, "mkdir -p .git/hooks && echo x > .git/hooks/pre-commit").ok
    assert list((ws / ".git").rglob("pre-commit")) == []


def test_hooks_can_be_written_when_asked_for_by_name(spaces, ws):
    hooks = ws / ".git" / "hooks"
    hooks.mkdir(parents=True)
    (ws / ".git" / "config").touch()
    assert run(spaces, ws, "echo x > .git/hooks/pre-commit", writable=(str(hooks),)).ok


def test_a_git_repository_works(complete, ws):
    if not shutil.which("git"):
        pytest.skip("git is not installed: apt install git")
    subprocess.run(["git", "init", "-q", str(ws)], check=True)
    commit = "git -c user.name=a -c user.email=a@b commit -qm one && git log --oneline"
    result = run(complete, ws, f"echo x > f && git add f && {commit}")
    assert result.text.rstrip().endswith("one")
    assert result.ok


@pytest.mark.parametrize("place", ["home/.local/state/agentctl", "elsewhere/state", "ws/.state/a"])
@pytest.mark.parametrize("exists", [True, False])
def test_state_is_neither_readable_nor_writable(spaces, ws, tmp_path, place, exists):
    state = tmp_path / place
    if exists:
        state.mkdir(parents=True)
        (state / "events.db").write_text("canary")
    attempts = f"cat {state}/events.db; mkdir -p {state}; echo x > {state}/events.db; ls {state}"
    moved = f"mv {state.parent} {state.parent}2 2>/dev/null; cat {state.parent}2/a/events.db"
    result = run(spaces, ws, f"{attempts}; {moved}", hidden=(str(state),))
    assert "canary" not in result.text
    found = list(state.iterdir()) if state.exists() else []
    assert [path.read_text() for path in found] == (["canary"] if exists else [])


TCP = 'import socket; s=socket.create_connection(("127.0.0.1", {}), 5); print(s.recv(9))'
UDP = 'import socket; s=socket.socket(2, 2); s.connect(("127.0.0.1", {})); s.send(b"x")'


@pytest.mark.parametrize("allowed", [False, True])
def test_tcp_reaches_a_local_server_only_when_allowed(engine, ws, allowed):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(0 if not allowed else 10)
        code = TCP.format(server.getsockname()[1]).replace("print(s.recv(9))", "print(1)")
        result = run(engine, ws, python(code), network=allowed)
        assert result.ok == allowed
        if allowed:
            server.accept()[0].close()
        else:
            with pytest.raises(BlockingIOError):
                server.accept()


@pytest.mark.parametrize("allowed", [False, True])
def test_udp_is_sent_only_when_allowed(engine, ws, allowed):
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10 if allowed else 0)
        run(engine, ws, python(UDP.format(server.getsockname()[1])), network=allowed)
        if allowed:
            assert server.recv(9) == b"x"
        else:
            with pytest.raises(BlockingIOError):
                server.recv(9)


def test_abstract_and_named_sockets_outside_are_not_reached(engine, ws, tmp_path):
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as two:
        one.bind(f"\0agentctl-{os.getpid()}")
        two.bind(str(tmp_path / "s"))
        for server in (one, two):
            server.listen()
            server.settimeout(0)
        names = (f"\\0agentctl-{os.getpid()}", str(tmp_path / "s"))
        for name in names:
            code = f'import socket; socket.socket(1).connect("{name}")'
            assert not run(engine, ws, python(code)).ok
        for server in (one, two):
            with pytest.raises(BlockingIOError):
                server.accept()


def test_an_abstract_socket_outside_is_not_reached_with_the_network_either(engine, ws):
    if landlock_version() < SCOPES_VERSION:
        pytest.skip("this kernel cannot confine abstract sockets: it is older than 6.12")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0agentctl-net-{os.getpid()}")
        server.listen()
        code = f'import socket; socket.socket(1).connect("\\0agentctl-net-{os.getpid()}")'
        result = run(engine, ws, python(code), network=True)
        assert "PermissionError" in result.text


def test_other_processes_lead_to_no_file(engine, ws, home):
    """By /proc/N/root and /proc/N/cwd, were they visible, all would be open."""
    with subprocess.Popen(SLEEPER, cwd=home) as other:
        try:
            paths = f"/proc/*/cwd/diary.txt /proc/*/root/{home}/diary.txt"
            text = run(engine, ws, f"for p in {paths}; do cat $p; done").text
        finally:
            other.kill()
    assert "canary" not in text


@pytest.mark.parametrize("path", ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"])
def test_the_kernels_settings_cannot_be_written(engine, ws, path):
    """Opened only: nothing is written, should it be possible."""
    assert not run(engine, ws, f": >> {path}").ok


def test_devices_that_lead_to_disks_and_memory_are_out_of_reach(engine, ws):
    command = (
        "for d in /dev/[shvm]d[a-z] /dev/nvme0n1 /dev/mem /dev/kmsg /dev/fuse; do : < $d; done"
    )
    attempts = run(engine, ws, f"( {command} ) 2>&1 | grep -vcE 'denied|not permitted|cannot open'")
    assert attempts.text.startswith("0")


def test_a_command_can_talk_to_itself(spaces, ws):
    code = (
        'import socket; s=socket.create_server(("127.0.0.1", 0)); '
        'socket.create_connection(s.getsockname()).send(b"x"); print(s.accept()[0].recv(1))'
    )
    assert run(spaces, ws, python(code)).text == "b'x'\n"


def test_other_sockets_cannot_be_made(engine, ws):
    code = "import socket; socket.socket(40, 1)"  # vsock: a way out of a virtual machine
    assert "PermissionError" in run(engine, ws, python(code)).text


def test_other_processes_are_invisible(complete, ws):
    with subprocess.Popen([*SLEEPER, "canary-argument"]) as other:
        try:
            command = "ls /proc | grep -c '^[0-9]'; cat /proc/[0-9]*/cmdline | tr '\\0' ' '"
            text = run(complete, ws, command).text
        finally:
            other.kill()
    assert int(text.split("\n")[0]) <= 5
    assert "canary" not in text


def test_other_processes_cannot_be_signalled(engine, ws):
    with subprocess.Popen(SLEEPER) as other:
        try:
            run(engine, ws, f"kill -9 {other.pid}; kill -9 -1")
            assert other.poll() is None
        finally:
            other.kill()


def test_a_key_is_in_no_environment_that_can_be_read(engine, ws, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary-key")
    key = {**os.environ, "SOME_KEY": "canary-key"}
    with subprocess.Popen(SLEEPER, env=key) as other:
        try:
            text = run(engine, ws, "env; cat /proc/[0-9]*/environ; cat /proc/*/task/*/environ").text
        finally:
            other.kill()
    assert "canary-key" not in text
    assert "PATH=" in text


def test_variables_that_the_user_named_are_passed(engine, ws, monkeypatch):
    monkeypatch.setenv("MY_SETTING", "blue")
    tool = RunShell(policy=Policy(variables=("MY_SETTING",)), engines=(engine,))
    assert call(tool, context_of(ws), command="echo $MY_SETTING").text == "blue\n"


def test_what_cannot_be_started_is_told(engine, ws):
    enforced = probe(Policy(), str(ws), (engine,))
    wrapped = wrap(["/nosuch/program"], Policy(), str(ws), enforced)
    done = subprocess.run(wrapped.argv, capture_output=True, cwd=ws, check=False)
    assert done.returncode == 126
    assert b"cannot start /nosuch/program" in done.stderr


def test_input_and_output_pass_through(engine, ws):
    """So that a tool server can be spoken to."""
    enforced = probe(Policy(), str(ws), (engine,))
    wrapped = wrap(["/bin/cat"], Policy(), str(ws), enforced)
    done = subprocess.run(wrapped.argv, input=b"hello", capture_output=True, cwd=ws, check=False)
    assert (done.stdout, done.stderr) == (b"hello", b"")
