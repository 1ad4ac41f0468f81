"""What the Linux kernel can take from a process for good: Landlock, seccomp, capabilities.

Standard library only, by ctypes: sandbox_start.py uses it in the child, between fork and exec.
Nothing here can be undone, not even by the process itself. Every function raises OSError.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys
from collections.abc import Iterable

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 4, 22, 24, 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
CAPABILITIES_V3 = 0x20080522

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
READING = EXECUTE | READ_FILE | READ_DIR
FOR_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
RULES_BY_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
TCP = 3
"""Binding and connecting, since version 4."""
SCOPES = 3
"""Abstract sockets and signals stay among the confined, since version 6."""
TCP_VERSION, SCOPES_VERSION = 4, 6

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
ERRNO_EPERM, ERRNO_ENOSYS, ALLOW = 0x00050001, 0x00050026, 0x7FFF0000
NEW_NAMESPACES = 0x7E020000
TERMINAL_INPUT = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX type into a terminal on behalf of its user."""

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_COMMON = (*range(425, 434), 438, 440, 442, 467)
"""io_uring, the newer ways to mount, and reaching into other processes: the same number
everywhere, because they are new."""
# ptrace, process_vm_*, mount and relatives, keys, bpf, userfaultfd, perf, modules, kexec, reboot,
# swap, accounting, quota, namespaces, files by handle, the kernel's log, clocks, names, kcmp.
# fmt: off
_REFUSED = {
    "x86_64": (
        101, 310, 311, 165, 166, 155, 161, 250, 248, 249, 321, 323, 298, 246, 320, 175, 313, 176,
        169, 167, 168, 163, 179, 308, 272, 304, 103, 164, 227, 159, 305, 170, 171, 312, 172, 173,
        300,
    ),
    "aarch64": (
        117, 270, 271, 40, 39, 41, 51, 219, 217, 218, 280, 282, 241, 104, 294, 105, 273, 106,
        142, 224, 225, 89, 60, 268, 97, 265, 116, 170, 112, 171, 266, 161, 162, 272, 262,
    ),
}
# fmt: on
_CLONE = {"x86_64": 56, "aarch64": 220}
_SOCKET = {"x86_64": 41, "aarch64": 198}
_IOCTL = {"x86_64": 16, "aarch64": 29}
_CLONE3 = 435
_X32 = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> int:
    """Return the result of a C call, or raise what errno says."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def prctl(option: int, value: int, pointer: ctypes.c_void_p | int = 0) -> None:
    """Set an attribute of this process."""
    zero = ctypes.c_ulong(0)
    checked(_libc.prctl(option, ctypes.c_ulong(value), pointer, zero, zero))


def landlock_version() -> int:
    """Version of the kernel's Landlock, 0 without."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(1))))


def restrict(
    read: Iterable[str], write: Iterable[str], *, files: bool, no_tcp: bool, version: int
) -> None:
    """Confine this process and all that come from it.

    With `files` it may read and run only what lies below `read` and `write`, and change only what
    lies below `write`. Paths that do not exist are left out. With version 6 its signals and
    abstract sockets reach only the confined. Whatever the version lacks is not enforced.
    """
    handled = _rights(version) if files else 0
    net = TCP if no_tcp and version >= TCP_VERSION else 0
    scoped = SCOPES if version >= SCOPES_VERSION else 0
    if not (handled or net or scoped):
        return
    attributes = struct.pack("QQQ", handled, net, scoped)
    size = 8 if version < TCP_VERSION else 16 if version < SCOPES_VERSION else 24
    ruleset = checked(_libc.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(size), 0))
    for path in read if files else ():
        _allow(ruleset, path, READING & handled)
    for path in write if files else ():
        _allow(ruleset, path, handled)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    checked(_libc.syscall(RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)


def _rights(version: int) -> int:
    """All file rights that this version knows."""
    return next((RULES_BY_VERSION[v] for v in (5, 3, 2, 1) if version >= v), 0)


def _allow(ruleset: int, path: str, rights: int) -> None:
    """Add a rule for what lies below a path, if that exists."""
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there, or not ours to see, needs no leave
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= FOR_FILES
        rule = struct.pack("=Qi", rights, fd)
        checked(_libc.syscall(ADD_RULE, ruleset, 1, rule, 0))
    finally:
        os.close(fd)


def drop_capabilities() -> None:
    """Give up every privilege, also those that a program run later would bring."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    for number in range(64):
        try:
            prctl(PR_CAPBSET_DROP, number)
        except OSError:
            break  # EINVAL: the kernel knows no more; EPERM: there is nothing to give up
    header = struct.pack("Ii", CAPABILITIES_V3, 0)
    checked(_libc.capset(header, bytes(24)))


def seccomp_known() -> bool:
    """Whether the numbers of this machine's system calls are known here."""
    return sys.platform == "linux" and os.uname().machine in _ARCHITECTURES


def forbid_calls(domains: Iterable[int]) -> None:
    """Refuse system calls that reach into the kernel or others, and sockets but of `domains`.

    Does nothing where `seccomp_known` is False.
    """
    if not seccomp_known():
        return
    program = _program(os.uname().machine, tuple(domains))
    buffer = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: a length, padding, a pointer.
    filters = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_SECCOMP, 2, ctypes.cast(ctypes.c_char_p(filters), ctypes.c_void_p))


def _program(machine: str, domains: tuple[int, ...]) -> bytes:
    """The filter as classic BPF: first the architecture, then one call after the other."""
    load, equal, at_least, any_bit, answer = 0x20, 0x15, 0x35, 0x45, 0x06

    def line(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
        return struct.pack("=HBBI", code, then, otherwise, value)

    refuse = line(answer, ERRNO_EPERM)
    number = line(load, 0)
    lines = [line(load, 4), line(equal, _ARCHITECTURES[machine], 1), refuse, number]
    if machine == "x86_64":
        lines += [line(at_least, _X32, 0, 1), refuse]
    for refused in (*_REFUSED[machine], *_COMMON):
        lines += [line(equal, refused, 0, 1), refuse]
    # The C library falls back to clone, whose flags can be seen here.
    lines += [line(equal, _CLONE3, 0, 1), line(answer, ERRNO_ENOSYS)]
    lines += [
        line(equal, _CLONE[machine], 0, 4),
        line(load, 16),
        line(any_bit, NEW_NAMESPACES, 0, 1),
    ]
    lines += [refuse, number]
    lines += [line(equal, _IOCTL[machine], 0, 6), line(load, 24)]
    lines += [part for each in TERMINAL_INPUT for part in (line(equal, each, 0, 1), refuse)]
    lines += [number]
    allowed = [line(equal, each, len(domains) - at) for at, each in enumerate(domains)]
    lines += [line(equal, _SOCKET[machine], 0, len(domains) + 2), line(load, 16), *allowed, refuse]
    lines += [line(answer, ALLOW)]
    return b"".join(lines)
