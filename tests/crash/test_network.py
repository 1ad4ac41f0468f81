"""Nothing leaves the machine unasked: real processes, every connection that they try is seen."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.crash.helpers import Place, Ran, check_told, finish, small_life

KEY = "sk-canary-0123456789abcdef"
OLLAMA = ("127.0.0.1", 11434)
CALLS = "connect,sendto,sendmsg,sendmmsg"
_PORT = re.compile(r"sin6?_port=htons\((\d+)\)")
_V4 = re.compile(r'sin_addr=inet_addr\("([^"]+)"\)')
_V6 = re.compile(r'inet_pton\(AF_INET6, "([^"]+)"')
LIGHT = (
    "list --all --json", "show @last", "show @last --tokens", "show @last --tools",
    "context @last", "costs report --by model", "costs show @last", "costs status",
    "costs forecast", "costs check", "costs rebuild", "costs prices gpt-4o", "limits",
    "credits show", "permissions list", "tools list", "tools show http_get", "info", "init -",
    "gc", "tokens count --model openai/gpt-4o notes.txt",
    "--version",
)  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return small_life(tmp_path)


def traced(place: Place, script: str, **env: str) -> tuple[Ran, set[tuple[str, int]]]:
    """Run a shell script in which "$@" is agentctl; return every address that was tried.

    Skips where processes cannot be traced.
    """
    if shutil.which("strace") is None:
        pytest.skip("there is no strace: apt-get install strace")
    log = place.copies / "trace"
    # Only what names an address of the internet: others are this machine's own sockets.
    strace = ["strace", "-f", "-q", "-e", f"trace={CALLS}", "-o", str(log), "/bin/sh", "-c", script]
    ran = finish(
        subprocess.Popen(
            [*strace, "sh", *place.command()],
            env={**place.env, **env},
            cwd=place.work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    )
    if not log.exists() or "PTRACE" in ran.err:
        pytest.skip("tracing is not allowed here")
    return ran, addresses(log.read_text(encoding="utf-8", errors="replace"))


def addresses(log: str) -> set[tuple[str, int]]:
    found = set()
    for line in log.splitlines():
        port = _PORT.search(line)
        host = _V4.search(line) or _V6.search(line)
        if port and host:
            found.add((host[1], int(port[1])))
    return found


def run(place: Place, *more: str, provider: str = "scripted") -> str:
    words = [*place.run_arguments, *more]
    if not provider:
        at = words.index("--provider")
        words[at : at + 2] = []
        at = words.index("--script")
        words[at : at + 2] = []
    return f'"$@" {shlex.join(words)}'


def test_what_is_watched_is_seen(place: Place) -> None:
    """Both kinds of addresses, by TCP and UDP: else the other tests here would show nothing."""
    tries = (
        "import socket as s\n"
        "for family, host in ((s.AF_INET, '127.0.0.1'), (s.AF_INET6, '::1')):\n"
        "    for kind, port in ((s.SOCK_STREAM, 9), (s.SOCK_DGRAM, 53)):\n"
        "        try:\n"
        "            it = s.socket(family, kind)\n"
        "            it.connect((host, port)) if port == 9 else it.sendto(b'x', (host, port))\n"
        "        except OSError:\n"
        "            pass\n"
    )
    _, tried = traced(place, f"{shlex.quote(place.command()[0])} -c {shlex.quote(tries)}")
    assert {host for host, _ in tried} >= {"127.0.0.1"}
    assert {("127.0.0.1", 9), ("127.0.0.1", 53)} <= tried


def test_a_run_with_a_chosen_provider_that_needs_no_network_tries_none(place: Place) -> None:
    """Not even to look for Ollama, nor to count or price, with keys of others set."""
    env = {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY}
    ran, tried = traced(place, run(place, "--sandbox", "off"), **env)
    check_told(ran, 0)
    assert tried == set()


def test_a_sandbox_is_tried_out_within_this_machine(place: Place) -> None:
    ran, tried = traced(place, run(place))
    check_told(ran, 0)
    assert {host for host, _ in tried} <= {"127.0.0.1"}


def test_without_a_chosen_provider_only_a_local_ollama_is_looked_for(place: Place) -> None:
    ran, tried = traced(place, run(place, "--sandbox", "off", provider=""))
    assert "offline" in ran.err
    assert tried <= {OLLAMA}


def test_no_other_command_tries_any(place: Place) -> None:
    (place.work / "notes.txt").write_text("some words", encoding="utf-8")
    check_told(place.run(*place.run_arguments), 0)
    lines = [f'"$@" {words} || echo "ended badly: {words}"' for words in LIGHT]
    lines += ['"$@" pause @last', '"$@" cancel @last', run(place, "--estimate")]
    lines.append(f'"$@" db backup {place.copies}/copy.db')
    env = {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY, "LLM_PROVIDER": "scripted"}
    ran, tried = traced(place, "\n".join(lines), **env)
    assert "ended badly" not in ran.out, ran
    assert tried == set()


def test_doctor_looks_for_a_local_ollama_and_nothing_else(place: Place) -> None:
    env = {"OPENAI_API_KEY": KEY, "LLM_PROVIDER": "openai"}
    ran, tried = traced(place, '"$@" doctor --json', **env)
    assert ran.out.startswith("{")
    assert {(host, port) for host, port in tried if host != "127.0.0.1"} == set()
    assert OLLAMA in tried


def test_a_run_ends_well_where_there_is_no_network_at_all(place: Place) -> None:
    """In a namespace whose only interface is down."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare")
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("a network namespace cannot be had here")
    ran = finish(
        subprocess.Popen(
            ["unshare", "-rn", *place.command(*place.run_arguments)],
            env=place.env,
            cwd=place.work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    )
    check_told(ran, 0)
