"""Confined commands have no privileges and bounded means: real ones try for more."""

import os
import sys

import pytest

from agentctl.tools.sandbox import Policy, probe
from tests.tools.sandbox_parts import named, python, run


def test_privileges_are_gone(engine, ws):
    text = run(engine, ws, "grep -E 'CapPrm|CapEff|NoNewPrivs|Seccomp:' /proc/self/status").text
    assert [int(line.split()[1], 16) for line in text.splitlines()] == [0, 0, 1, 2]


SYSTEM_CALLS = {
    "ptrace": "101",
    "mount": "165",
    "unshare": "272",
    "bpf": "321",
    "keyctl": "250",
    "io_uring_setup": "425",
    "userfaultfd": "323",
}


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are those of x86_64")
@pytest.mark.parametrize(("name", "number"), SYSTEM_CALLS.items())
def test_dangerous_system_calls_are_refused(engine, ws, name, number):
    code = (
        "import ctypes; c=ctypes.CDLL(None, use_errno=True); "
        f"print(c.syscall({number}, 0x10000000, 0, 0, 0, 0), ctypes.get_errno())"
    )
    assert run(engine, ws, python(code)).text == "-1 1\n"


def test_memory_has_a_limit(engine, ws):
    code = "x = bytearray(300 << 20); print(len(x))"
    result = run(engine, ws, python(code), memory_bytes=200 << 20)
    assert "MemoryError" in result.text
    assert run(engine, ws, python(code), memory_bytes=600 << 20).ok


def test_a_file_has_a_limit(engine, ws):
    result = run(engine, ws, "head -c 3000000 /dev/zero > big", file_bytes=1_000_000)
    assert not result.ok
    assert (ws / "big").stat().st_size <= 1_000_000


def test_processor_time_has_a_limit(engine, ws):
    assert not run(engine, ws, "while :; do :; done", cpu_s=1).ok


BOMB = """
import os, time
for n in range(10):  # 1,024 of them, should nothing stop it
    try:
        if os.fork() == 0:
            os.write(1, b"x")
    except OSError:
        break
time.sleep(600)
"""


def test_a_fork_bomb_is_bounded(engine, ws):
    """Wherever a bound is said to be enforced."""
    if "process count" not in probe(Policy(), "/", (engine,)).parts:
        pytest.skip(f"{named(engine)} has no bound for this user")
    (ws / "bomb.py").write_text(BOMB)
    command = f"{sys.executable} -S bomb.py & sleep 1; echo alive"
    result = run(engine, ws, command, processes=60)
    assert "alive" in result.text
    assert 5 < result.text.count("x") < 500


def test_outputs_are_bounded(engine, ws):
    result = run(engine, ws, "head -c 11000000 /dev/zero | tr '\\0' x")
    assert result.text.endswith("was not kept]")
