"""Starts one command confined. Stand-alone: `python -I -S sandbox_start.py PLAN… -- COMMAND…`.

It runs as a child of agentctl or, with bubblewrap, as the first process inside. sandbox.py writes
the plan; each word is `name=value`, those that begin with `mount-` are followed by their source.
Standard library only, and little of it: it is started anew for every command.

As the first process of a process namespace (`init=1`) it stays, collects orphans and tells by
descriptor 3, if `report=1`, how the command ended: "exit N last" when nothing else is left, else
"exit N". When it ends, the kernel ends everything inside.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import stat
import struct
import sys

# By path it was started, from there it finds the one module that it shares; the end of the list,
# so that nothing there can stand in for the standard library.
sys.path.append(os.path.abspath(__file__).rsplit(os.sep, 3)[0])  # noqa: PTH100 - as above

from agentctl.tools import sandbox_landlock as kernel

NEWNS, NEWUTS, NEWIPC = 0x00020000, 0x04000000, 0x08000000
NEWUSER, NEWPID, NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MOUNT_SETATTR, AT_RECURSIVE, AT_EMPTY_PATH = 442, 0x8000, 0x1000
PR_SET_PDEATHSIG = 1
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
WATCH_S = 0.02
REPORT_FD = 3

_libc = ctypes.CDLL(None, use_errno=True)


class Plan:
    """What the words before `--` say."""

    def __init__(self, words: list[str]) -> None:
        self.options: dict[str, str] = {}
        self.read: list[str] = []
        self.write: list[str] = []
        self.mounts: list[tuple[str, str, str]] = []
        split = words.index("--")
        self.command = words[split + 1 :]
        rest = iter(words[:split])
        for word in rest:
            name, _, value = word.partition("=")
            if name == "read":
                self.read.append(value)
            elif name == "write":
                self.write.append(value)
            elif name.startswith("mount-"):
                self.mounts.append((name[6:], value, next(rest)))
            else:
                self.options[name] = value

    def number(self, name: str) -> int:
        """A number of the plan, 0 when it says nothing."""
        return int(self.options.get(name, "0"))


def main() -> None:
    """Confine this process as planned and become the command, or its guardian."""
    plan = Plan(sys.argv[1:])
    try:
        if plan.number("namespaces"):
            enter(plan)
        if plan.number("init"):
            guard(plan)
        confine(plan)
        os.execvpe(plan.command[0], plan.command, os.environ)  # noqa: S606 - what the user approved
    except OSError as error:
        text = f"cannot start {plan.command[0]} confined: {error}\n"
        os.write(2, text.encode(errors="replace"))
        os._exit(126)


def enter(plan: Plan) -> None:
    """Move into namespaces of our own. Returns in their first process only."""
    user, group = os.getuid(), os.getgid()
    flags = NEWUSER | NEWNS | NEWPID | NEWIPC | NEWUTS
    kernel.checked(_libc.unshare(flags | (0 if plan.number("network") else NEWNET)))
    put("/proc/self/setgroups", "deny")
    put("/proc/self/uid_map", f"{user} {user} 1")
    put("/proc/self/gid_map", f"{group} {group} 1")
    child = os.fork()
    if child:
        # The command's report goes by the first process inside; here only the end is waited for.
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        os._exit(code if code >= 0 else 128 - code)
    kernel.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if not plan.number("network"):
        raise_loopback()
    arrange(plan)


def put(path: str, text: str) -> None:
    """Write a file of /proc in one call."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def raise_loopback() -> None:
    """Let the command talk to itself by 127.0.0.1."""
    import _socket  # the C part is enough, and four times as fast to import

    with_index = struct.pack("16sH22x", b"lo", 1)  # IFF_UP
    link = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    fcntl.ioctl(link.fileno(), 0x8914, with_index)
    link.close()


def arrange(plan: Plan) -> None:
    """Mount what the plan says, outer folders first; then devices and processes of our own."""
    folder = os.getcwd()  # noqa: PTH109 - without pathlib
    mount("", "/", "", MS_REC | MS_PRIVATE)
    # Everything is opened before anything is covered.
    sources = {source: os.open(source, os.O_PATH) for _, _, source in plan.mounts if source}
    devices = {name: os.open(f"/dev/{name}", os.O_PATH) for name in DEVICES}
    for kind, path, source in plan.mounts:
        if kind == "empty":
            mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m")
            continue
        if not os.path.lexists(path):
            make_place(path, is_folder=stat.S_ISDIR(os.fstat(sources[source]).st_mode))
        mount(f"/proc/self/fd/{sources[source]}", path, "", MS_BIND | MS_REC)
        if kind == "read":
            make_read_only(path)
    own_devices(devices, plan.options.get("shm_bytes", "64m"))
    if plan.number("proc"):
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    if plan.number("pids"):
        put("/proc/sys/kernel/pid_max", plan.options["pids"])
    for fd in (*sources.values(), *devices.values()):
        os.close(fd)
    os.chdir(folder)  # else the working folder would be the one below all that was mounted


def mount(source: str, path: str, kind: str, flags: int, data: str = "") -> None:
    """Make one mount, as the system call of this name does."""
    words = [os.fsencode(word) for word in (source, path, kind)]
    kernel.checked(_libc.mount(*words, ctypes.c_ulong(flags), os.fsencode(data) or None))


def make_read_only(path: str) -> None:
    """Nothing below a mount can be changed, what is mounted inside it included."""
    fd = os.open(path, os.O_PATH)
    attributes = struct.pack("QQQQ", MS_RDONLY, 0, 0, 0)
    flags = AT_RECURSIVE | AT_EMPTY_PATH
    size = ctypes.c_size_t(len(attributes))
    result = _libc.syscall(MOUNT_SETATTR, fd, b"", ctypes.c_uint(flags), attributes, size)
    os.close(fd)
    kernel.checked(result)


def make_place(path: str, *, is_folder: bool) -> None:
    """Make a place to mount on, within a folder that is ours."""
    folder = path if is_folder else path.rsplit("/", 1)[0]
    os.makedirs(folder, mode=0o755, exist_ok=True)  # noqa: PTH103 - without pathlib
    if not is_folder:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))


def own_devices(devices: dict[str, int], shm_bytes: str) -> None:
    """A /dev with nothing in it that leads to a disk, a terminal or another program."""
    mount("tmpfs", "/dev", "tmpfs", MS_NOSUID, "mode=0755,size=1m")
    for name, fd in devices.items():
        make_place(f"/dev/{name}", is_folder=False)
        mount(f"/proc/self/fd/{fd}", f"/dev/{name}", "", MS_BIND)
    for name, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(f"/proc/self/{target}", f"/dev/{name}")  # noqa: PTH211 - without pathlib
    os.mkdir("/dev/shm")  # noqa: S108, PTH102 - a mount of our own; without pathlib
    mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, f"mode=0777,size={shm_bytes}")  # noqa: S108 - as above


def guard(plan: Plan) -> None:
    """Fork; return in the child, which becomes the command. The parent ends with the last one."""
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)  # no reading or changing us by /proc/1
    watched = plan.number("watch")
    if watched:
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD,))
    child = os.fork()
    if not child:
        os.setsid()
        if watched:
            os.nice(5)  # so that whoever counts gets his turn
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if plan.number("report"):
            os.close(REPORT_FD)
        return
    code = 0
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG if watched else 0)
        except ChildProcessError:
            break
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            tell(plan, code)
        elif pid == 0 and too_many(watched):
            os.write(2, f"sandbox: more than {watched} processes, all ended\n".encode())
            code = -signal.SIGKILL
            tell(plan, code, last=True)
            break
    os._exit(code if code >= 0 else 128 - code)


def too_many(most: int) -> bool:
    """Wait a moment, then count: a last resort where nothing else binds root."""
    signal.sigtimedwait((signal.SIGCHLD,), WATCH_S)
    return sum(name.isdigit() for name in os.listdir("/proc")) > most + 2  # noqa: PTH208 - without pathlib


def tell(plan: Plan, code: int, *, last: bool = False) -> None:
    """Say how the command ended, if somebody wants to know. Then that descriptor is done with."""
    if not plan.number("report"):
        return
    alone = last or nobody_left()
    try:
        os.write(REPORT_FD, b"exit %d%s\n" % (code, b" last" if alone else b""))
        os.close(REPORT_FD)
    except OSError:
        return  # whoever asked is dead, and this namespace ends with it


def nobody_left() -> bool:
    """Collect who has ended. True when that was everybody."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


def confine(plan: Plan) -> None:
    """Take from this process what the command must not have, limits first."""
    limits = {
        "data_bytes": resource.RLIMIT_DATA,
        "file_bytes": resource.RLIMIT_FSIZE,
        "cpu_s": resource.RLIMIT_CPU,
        "processes": resource.RLIMIT_NPROC,
    }
    for name, limit in limits.items():
        wanted = plan.number(name)
        if wanted:
            _, most = resource.getrlimit(limit)
            wanted = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
            resource.setrlimit(limit, (wanted, wanted))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    kernel.drop_capabilities()
    kernel.restrict(
        plan.read,
        plan.write,
        files=bool(plan.number("files")),
        no_tcp=bool(plan.number("no_tcp")),
        version=kernel.landlock_version(),
    )
    domains = plan.options.get("sockets", "")
    kernel.forbid_calls(int(each) for each in domains.split(",") if each)


if __name__ == "__main__":
    main()
