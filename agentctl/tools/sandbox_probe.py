"""Run inside a sandbox: tries what must not work, prints what did not. Stand-alone, see sandbox.py.

Arguments: a folder that may be read, one that may not, the workspace (it runs there), ports of a
TCP and a UDP listener, the limits of memory and of processes, whether its namespace bounds the
latter, and the name of the process namespace outside.
"""
# ruff: noqa: PTH115, PTH123, PTH208 - pathlib would double the time that this takes

from __future__ import annotations

import mmap
import os
import resource
import sys
from collections.abc import Callable


def fails(attempt: Callable[[], object]) -> bool:
    """Whether the system refuses this."""
    try:
        attempt()
    except OSError:
        return True
    return False


def write(path: str) -> None:
    """Make a file."""
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))


def network_off(tcp: int, udp: int) -> bool:
    """Whether neither TCP nor UDP can be sent; the listener has the last word."""
    import _socket  # the C part is enough, and four times as fast to import

    def connect() -> None:
        _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM).connect(("127.0.0.1", tcp))

    def send() -> None:
        link = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
        link.connect(("127.0.0.1", udp))
        link.send(b"x")
        link.send(b"x")  # the first one is told of only now

    return fails(connect) and fails(send)


def status() -> dict[str, str]:
    """What /proc says of this process."""
    try:
        with open("/proc/self/status") as lines:
            return {name: text.strip() for name, _, text in (line.partition(":") for line in lines)}
    except OSError:
        return {}


def alone(outer: str) -> bool:
    """Whether this is a process namespace of its own and /proc shows just that."""
    try:
        fresh = os.readlink("/proc/self") == str(os.getpid())
        return fresh and os.readlink("/proc/self/ns/pid") != outer
    except OSError:
        return False


def main() -> None:
    """Print one word for each part that is enforced."""
    outside, secret, workspace = sys.argv[1:4]
    tcp, udp, memory, processes, bounded = map(int, sys.argv[4:9])
    own = status()
    found = {
        "files": fails(lambda: write(f"{outside}/new"))
        and fails(lambda: os.listdir(secret))
        and bool(os.listdir(outside)),
        "hooks": fails(lambda: write(f"{workspace}/.git/hooks/new"))
        and fails(lambda: write(".git/hooks/new")),
        "network": network_off(tcp, udp),
        "processes": alone(sys.argv[9]),
        "privileges": own.get("NoNewPrivs") == "1" and int(own.get("CapPrm", "1"), 16) == 0,
        "system calls": own.get("Seccomp") == "2",
        "memory": memory > 0
        and fails(lambda: mmap.mmap(-1, memory + 1, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)),
        "process count": bool(bounded)
        or (os.getuid() > 0 and resource.getrlimit(resource.RLIMIT_NPROC)[0] == processes > 0),
    }
    os.write(1, "\n".join(part for part, enforced in found.items() if enforced).encode())


if __name__ == "__main__":
    main()
