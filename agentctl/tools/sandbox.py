"""Confines what a command can do: which engine, what it really enforces, and how to start it.

`probe` tries each engine with a real child that attempts what must not work. `wrap` turns a command
into one that starts confined; the result is an ordinary command line, so that it fits whoever
starts processes: the supervisor, or the SDK of a tool server. What is left unsaid is not promised:
see `Enforced.missing`.
"""

from __future__ import annotations

import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from agentctl.core.values import Sandbox as Policy
from agentctl.errors import UsageError
from agentctl.tools.process import environment
from agentctl.tools.sandbox_bwrap import INSTALL, SHM_BYTES, arguments, bwrap
from agentctl.tools.sandbox_landlock import AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, landlock_version
from agentctl.tools.sandbox_private import private_folder, remove_at_end
from agentctl.tools.sandbox_view import SAFE_DEVICES, View, Wanted, seen, view_of

PROBE_S = 2.0
"""All engines together may take so long to be tried."""
STRICT_PARTS = ("files", "network", "processes", "privileges")
RESERVED_PIDS = 300
"""Ids that a namespace does not use again."""
PARTS = (*STRICT_PARTS, "hooks", "system calls", "memory", "process count")
ALLOW_NAMESPACES = "let this user make user namespaces (sysctl kernel.unprivileged_userns_clone=1)"

START = Path(__file__).with_name("sandbox_start.py")
PROBE = Path(__file__).with_name("sandbox_probe.py")


class Engine(Struct, frozen=True):
    """One way to confine."""

    name: Literal["bubblewrap", "landlock", "none"]
    namespaces: bool = True
    """It has its own processes, mounts and network."""
    proc: bool = True
    """It has its own /proc, which many containers refuse."""


ENGINES = (
    Engine("bubblewrap"),
    Engine("landlock"),
    Engine("bubblewrap", proc=False),
    Engine("landlock", proc=False),
    Engine("landlock", namespaces=False),
)
"""Best first."""
NONE = Engine("none", namespaces=False)


class Enforced(Struct, frozen=True):
    """What a sandbox really does here, as far as a real child could not get round it."""

    engine: str
    """`bubblewrap`, `landlock` or `none`."""
    parts: tuple[str, ...] = ()
    missing: tuple[str, ...] = PARTS
    advice: str = ""
    """What would make more possible; empty when nothing is missing."""
    how: Engine = NONE

    def line(self) -> str:
        """One line for people."""
        if self.engine == "none" and not self.missing:
            return "sandbox: off"
        lacking = f", without {', '.join(self.missing)}" if self.missing else ", complete"
        return f"sandbox: {self.engine}{lacking}"


class Wrapped(Struct, frozen=True):
    """How to start a command confined."""

    argv: tuple[str, ...]
    env: dict[str, str] = {}
    """Variables to set on top of the allow-listed ones. Nothing else may be in the environment."""
    reports: bool = False
    """It takes leave to tell by descriptor 3 how the command ended: see `supervised`."""


@cache
def probe(policy: Policy, cwd: str, engines: tuple[Engine, ...] = ENGINES) -> Enforced:
    """Find the engine that enforces most, by trying. Takes at most PROBE_S; kept per process."""
    if policy.mode == "off":
        return Enforced("none", missing=())
    wanted = tuple(part for part in PARTS if part not in _unwanted(policy))
    best = Enforced("none", missing=wanted)
    end = time.monotonic() + PROBE_S
    for engine in engines if sys.platform == "linux" else ():
        if not _possible(engine):
            continue
        found = _try(engine, policy, end)
        parts = tuple(part for part in wanted if part in found)
        # An engine that keeps no files is of no use, whatever else it does.
        if "files" in parts and len(parts) > len(best.parts):
            missing = tuple(part for part in wanted if part not in parts)
            best = Enforced(engine.name, parts, missing, "", engine)
        if not best.missing:
            break
    missing = (*best.missing, *_uncovered(policy, cwd, best.how))
    advice = "" if not best.missing else ALLOW_NAMESPACES if bwrap() else INSTALL
    return msgspec.structs.replace(best, missing=missing, advice=advice)


def require(policy: Policy, enforced: Enforced) -> None:
    """Raise UsageError where the mode that was asked for by name cannot be had."""
    needed: tuple[str, ...] = ()
    if policy.mode == "strict":
        needed = (*STRICT_PARTS, "home", "state")
    elif policy.mode in ("workspace", "read-only"):
        needed = ("files",)
    lacking = [part for part in needed if part in enforced.missing]
    if lacking:
        raise UsageError(
            f"--sandbox {policy.mode} cannot be had here: nothing confines {', '.join(lacking)}.",
            next_step=f"Try: {enforced.advice}." if enforced.advice else "",
        )


def wrap(argv: Sequence[str], policy: Policy, cwd: str, enforced: Enforced) -> Wrapped:
    """Return how to start a command confined to this policy. Raises UsageError, see `require`."""
    require(policy, enforced)
    if policy.mode == "off" or enforced.engine == "none":
        return Wrapped(tuple(argv))
    private = private_folder()
    view = view_of(_wanted(policy, cwd, private), os.environ)
    remove_at_end(view.made)
    how = enforced.how
    if not how.namespaces and any(Path(private).resolve().is_relative_to(r) for r in view.writable):
        raise UsageError("TMPDIR is in the workspace.", next_step="Set it to a folder outside.")
    plan = [*_limits(policy, how), "sockets=" + ",".join(map(str, _sockets(policy, how)))]
    if how.namespaces:
        plan += ["init=1", *_limits_of_root(policy, how)]
    # Mounts alone keep the files with bubblewrap. But a process that Landlock confines cannot look
    # into any process outside, which counts where those are seen in /proc.
    plan += _rules(view, how, private)
    plan += ["no_tcp=1"] if not (how.namespaces or policy.network) else []
    if how.name == "landlock" and how.namespaces:
        plan += ["namespaces=1", f"network={int(policy.network)}", f"proc={int(how.proc)}"]
        plan += [f"shm_bytes={SHM_BYTES}"]
        for mount in view.mounts:
            plan += [f"mount-{mount.kind}={mount.path}", mount.source]
    outer: list[str] = []
    if how.name == "bubblewrap":
        real = os.path.realpath(cwd)
        outer = [*arguments(view, real, network=policy.network, proc=how.proc), "--"]
    env = {"TMPDIR": "/tmp"}  # noqa: S108 - the private one, inside
    if not how.namespaces:
        env = {"TMPDIR": str(Path(private, "tmp")), "HOME": str(Path(private, "home"))}
    python = [os.path.realpath(sys.executable), "-I", "-S", str(START)]
    return Wrapped((*outer, *python, *plan, "--", *argv), env, how.namespaces)


def supervised(wrapped: Wrapped) -> tuple[str, ...]:
    """The command line for a supervisor that listens to descriptor 3."""
    if not wrapped.reports:
        return wrapped.argv
    at = wrapped.argv.index(str(START)) + 1
    return (*wrapped.argv[:at], "report=1", *wrapped.argv[at:])


def _wanted(policy: Policy, cwd: str, private: str) -> Wanted:
    return Wanted(
        cwd=cwd,
        private=private,
        writable=policy.writable,
        readable=policy.readable,
        # Where it lies in the workspace, a command could put a link to anything in its place.
        hidden=(*policy.hidden, private),
        workspace_writable=policy.mode != "read-only",
        network=policy.network,
    )


def _limits(policy: Policy, how: Engine) -> list[str]:
    """Limits for the command.

    Without a namespace its processes count with all others of the user, which comes near what was
    asked for, and `probe` does not call it enforced.
    """
    others = 0 if how.namespaces else _own_threads()
    limits = {
        "data_bytes": policy.memory_bytes,
        "processes": policy.processes and policy.processes + others,
        "file_bytes": policy.file_bytes,
        "cpu_s": policy.cpu_s,
    }
    return [f"{name}={value}" for name, value in limits.items() if value]


def _limits_of_root(policy: Policy, how: Engine) -> list[str]:
    """Root is bound by no limit on processes, but by how many ids its namespace has.

    Where that cannot be had they are counted and ended, which comes too late for the worst.
    """
    if os.getuid() != 0 or not policy.processes:
        return []
    if _ids_bind(how):
        return [f"pids={RESERVED_PIDS + policy.processes}"]
    return [f"watch={policy.processes}"] if how.proc else []


def _ids_bind(how: Engine) -> bool:
    """Whether a process namespace has a bound of its own. Older kernels have one for all."""
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    version = tuple(map(int, release.groups())) if release else (0, 0)
    return how.name == "landlock" and how.namespaces and version >= (6, 14)


def _own_threads() -> int:
    """Threads of this user, all programs together."""
    count = 0
    for entry in Path("/proc").glob("[0-9]*/task"):
        try:
            found = entry.stat()
        except OSError:  # it has ended
            continue
        count += found.st_nlink - 2 if found.st_uid == os.getuid() else 0
    return count


def _sockets(policy: Policy, how: Engine) -> tuple[int, ...]:
    """Which kinds of sockets can be made. With a network of its own, all ordinary ones.

    Without mounts of its own any named socket could be reached, e.g. that of a container engine.
    """
    if how.namespaces:
        return (AF_UNIX, AF_INET, AF_INET6, AF_NETLINK)
    return (AF_INET, AF_INET6, AF_NETLINK) if policy.network else (AF_NETLINK,)


def _rules(view: View, how: Engine, private: str) -> list[str]:
    """What Landlock allows."""
    places = tuple(mount.path for mount in view.mounts if mount.kind == "private")
    if how.namespaces:
        read, write = ["/"], [*places, "/dev"]
    else:
        read = [*seen(view.hidden), *view.readable]
        read += [
            mount.path
            for mount in view.mounts
            if mount.kind == "read" and mount.source == mount.path
        ]
        write = [str(Path(private, name)) for name in ("tmp", "home")]
        write += [f"/dev/{name}" for name in SAFE_DEVICES]
    write += view.writable
    return ["files=1", *(f"read={path}" for path in read), *(f"write={path}" for path in write)]


def _possible(engine: Engine) -> bool:
    """Whether trying makes sense."""
    return landlock_version() > 0 if engine.name == "landlock" or not engine.proc else bool(bwrap())


def _uncovered(policy: Policy, cwd: str, how: Engine) -> tuple[str, ...]:
    """What cannot be hidden because of where it lies: within what can be written to."""
    roots = [Path(root).resolve() for root in (cwd, *policy.writable)]

    def held(path: str) -> bool:
        return any(Path(path).resolve().is_relative_to(root) for root in roots)

    home = ("home",) if held(os.environ.get("HOME") or "/") else ()
    state = not how.namespaces and any(held(path) for path in policy.hidden)
    return (*home, "state") if state else home


def _unwanted(policy: Policy) -> set[str]:
    """Parts that this policy does not ask for."""
    unwanted = {"network"} if policy.network else set()
    unwanted |= set() if policy.memory_bytes else {"memory"}
    return unwanted | (set() if policy.processes else {"process count"})


def _try(engine: Engine, policy: Policy, end: float) -> set[str]:
    """Let a real child try to get out. Returns the parts that held."""
    with (
        tempfile.TemporaryDirectory(prefix="agentctl-probe-") as top,
        socket.socket() as tcp,
        socket.socket(type=socket.SOCK_DGRAM) as udp,
    ):
        outside, secret, workspace = (Path(top, name) for name in ("outside", "secret", "ws"))
        for folder in (outside, secret, workspace / ".git" / "hooks"):
            folder.mkdir(parents=True)
        for file in (outside / "old", secret / "old", workspace / ".git" / "config"):
            file.touch()
        for link in (tcp, udp):
            link.bind(("127.0.0.1", 0))
            link.setblocking(False)
        tcp.listen()
        trial = msgspec.structs.replace(
            policy, mode="auto", writable=(), readable=(str(outside),), hidden=()
        )
        ports = [str(link.getsockname()[1]) for link in (tcp, udp)]
        watched = str(int(_ids_bind(engine)))
        numbers = [str(policy.memory_bytes or 0), str(policy.processes or 0), watched]
        words = [str(outside), str(secret), str(workspace), *ports, *numbers]
        python = [os.path.realpath(sys.executable), "-I", "-S", str(PROBE)]
        held = Enforced(engine.name, how=engine)
        own = str(Path("/proc/self/ns/pid").readlink())
        wrapped = wrap([*python, *words, own], trial, str(workspace), held)
        found = _said(wrapped, str(workspace), end)
        if (outside / "new").exists():
            found.discard("files")
        if (workspace / ".git" / "hooks" / "new").exists():
            found.discard("hooks")
        if _heard(tcp, udp):
            found.discard("network")
        return found


def _said(wrapped: Wrapped, cwd: str, end: float) -> set[str]:
    """What a child inside found to hold; nothing when it did not run well."""
    left_s = end - time.monotonic()
    if left_s <= 0:
        return set()
    env = {**environment(cwd), **wrapped.env}
    try:
        done = subprocess.run(  # noqa: S603 - our own script, no shell
            wrapped.argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=left_s, check=False, start_new_session=True,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return set()
    return set(done.stdout.decode(errors="replace").split("\n")) if done.returncode == 0 else set()


def _heard(tcp: socket.socket, udp: socket.socket) -> bool:
    """Whether anything reached the listeners."""
    return any(select.select([tcp, udp], [], [], 0))
