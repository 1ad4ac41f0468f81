"""Runs one command so that nothing it starts outlives agentctl. Stand-alone, see process.py.

Started by path with `python -I -S`: it must start fast and imports the standard library only.

fd 0  the lifeline. First the order (see `read_order`); when it then ends, or says anything more,
      every process that the command started is killed, also those that left its process group.
fd 1  the command's output.
fd 2  the status: "pid N" when the command runs, "exit N" when it ended (negative: by that signal).

A command that is confined to a process namespace (sandbox_start.py) ends only when nothing is left
in there. So it gets one more descriptor, 3, by which it tells "exit N" before that, or
"exit N last" when it ends at once.

A command that somebody talks to gets two descriptors of agentctl as its standard input and output;
fd 1 is then its standard error only.

It ends when no process of the command is left. On Linux orphans come to it as the nearest
"child subreaper", so a daemon cannot get away by forking twice. Elsewhere the process tree and the
command's process group are what can be reached.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
RETRY_S = 0.01
"""First pause between two rounds of killing; it doubles up to MAX_RETRY_S."""
MAX_RETRY_S = 0.32

REPORT_FD = 3

Order = tuple[str, list[str], dict[str, str], bool, tuple[int, ...]]


class Told:
    """How the command ended, told once: by itself, or else when it is collected."""

    def __init__(self, shell: int, report: int) -> None:
        """`report` is what it tells by, not blocking, or -1."""
        self.shell = shell
        self.report = report
        self._said = b""
        self._code: int | None = None
        self._done = False

    def hear(self) -> None:
        """Take what the command tells of itself."""
        try:
            data = os.read(self.report, 4096)
        except BlockingIOError:
            return
        if not data:
            os.close(self.report)
            self.report = -1
        self._said += data
        word, _, rest = self._said.partition(b"\n")[0].partition(b" ")
        if b"\n" not in self._said or word != b"exit" or self._code is not None:
            return
        number, _, last = rest.partition(b" ")
        self._code = int(number)
        if last != b"last":
            self.ended(self._code)

    def ended(self, code: int) -> None:
        """It has ended so, unless it has told something else."""
        if not self._done:
            self._done = True
            tell(f"exit {code}\n")

    def collected(self, code: int) -> None:
        """Its process is gone."""
        if self.report >= 0:
            self.hear()
        self.ended(code if self._code is None else self._code)


def main() -> None:
    """Start the ordered command, wait for it and its orphans, kill them all when told to."""
    order = read_order()
    if order is None:
        return  # agentctl died before it could say what to run
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # clean up first, whoever wants us gone
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    os.set_blocking(wake_read, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    if sys.platform == "linux":
        prctl(PR_SET_CHILD_SUBREAPER, 1)
    told = start(order)
    tell(f"pid {told.shell}\n")
    release_output()
    while reap(told):
        watched = [0, wake_read, *((told.report,) if told.report >= 0 else ())]
        ready, _, _ = select.select(watched, [], [])
        if wake_read in ready:
            drain(wake_read)
        if told.report in ready:
            told.hear()
        if 0 in ready:
            end_all(told)
            return


def read_order() -> Order | None:
    """Read a line with a length and so many bytes. None when the lifeline ended first.

    They are: folder, number of arguments (and " report" if the command tells how it ended, and
    " stdio IN OUT" if somebody talks to it), arguments, environment, separated by NUL, which none
    of them can contain.
    """
    data = b""
    while b"\n" not in data:
        more = os.read(0, 65_536)
        if not more:
            return None
        data += more
    length, _, data = data.partition(b"\n")
    while len(data) < int(length):
        more = os.read(0, 65_536)
        if not more:
            return None
        data += more
    folder, count, *rest = os.fsdecode(data).split("\0")
    number, *words = count.split(" ")
    arguments, environment = rest[: int(number)], rest[int(number) :]
    stdio = tuple(map(int, words[words.index("stdio") + 1 :])) if "stdio" in words else ()
    env = dict(item.split("=", 1) for item in environment)
    return folder, arguments, env, "report" in words, stdio


def start(order: Order) -> Told:
    """Fork the command into its own session. Its pid is also its group's."""
    parent = os.getpid()
    hear, report = os.pipe() if order[3] else (-1, -1)
    child = os.fork()
    if child:
        for fd in order[4]:  # so that each end of the talk sees when the other is gone
            os.close(fd)
        if report >= 0:
            os.close(report)
            os.set_blocking(hear, False)
        return Told(child, hear)
    try:
        become(order, parent, report)
    except OSError as error:
        os.write(1, f"cannot start {order[1][0]}: {error}\n".encode(errors="replace"))
    finally:
        os._exit(127)


def become(order: Order, parent: int, report: int) -> None:
    """Turn this forked child into the command. Returns only by an OSError."""
    folder, arguments, environment, _, stdio = order
    os.setsid()
    if sys.platform == "linux":
        # Second line, should somebody kill the supervisor itself.
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            return
    # Python and agentctl may have changed these; a command expects the defaults.
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # every other descriptor but 0, 1 and 2 closes itself on exec
    os.dup2(1, 2)
    for place, fd in enumerate(stdio):
        os.dup2(fd, place)
        os.close(fd)
    if report == REPORT_FD:
        os.set_inheritable(report, True)
    elif report >= 0:
        os.dup2(report, REPORT_FD)
    os.chdir(folder)
    os.execve(arguments[0], arguments, environment)  # noqa: S606 - the command the user approved


def release_output() -> None:
    """Let go of the command's output, so that its end shows that all who hold it have ended."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)


def tell(line: str) -> None:
    """Report to agentctl. It may be dead: the lifeline tells us that, not this."""
    try:
        os.write(2, line.encode())
    except BrokenPipeError:
        return


def reap(told: Told) -> bool:
    """Collect who has ended and tell how the command did. False when nobody is left."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True
        if pid == told.shell:
            told.collected(os.waitstatus_to_exitcode(status))


def end_all(told: Told) -> None:
    """Kill until nobody is left: who forks meanwhile is found in the next round."""
    pause_s = RETRY_S
    while True:
        if sys.platform != "linux":
            kill(-told.shell)
        for pid in descendants(processes()):
            kill(pid)
        if not reap(told):
            return
        select.select([], [], [], pause_s)
        pause_s = min(2 * pause_s, MAX_RETRY_S)


def kill(pid: int) -> None:
    """SIGKILL a process or, negative, a group. One that is gone or not ours is left alone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def processes() -> dict[int, int]:
    """Parent of every process."""
    if sys.platform != "linux":
        with os.popen("/bin/ps -A -o pid=,ppid=") as table:  # noqa: S605 - a fixed command
            return {int(pid): int(parent) for pid, parent in (line.split() for line in table)}
    with os.scandir("/proc") as entries:
        pids = [int(entry.name) for entry in entries if entry.name.isdigit()]
    return {pid: parent_of(pid) for pid in pids}


def parent_of(pid: int) -> int:
    """Parent of a process, 0 when it is gone or hidden from us."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return 0
    try:
        line = os.read(fd, 4096)
    except ProcessLookupError:
        return 0
    finally:
        os.close(fd)
    # "pid (name) state parent …": the name may contain anything, also brackets.
    return int(line[line.rindex(b")") + 1 :].split()[1])


def descendants(parents: dict[int, int]) -> list[int]:
    """All who come from this process, nearest first."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found = [os.getpid()]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found[1:]


def drain(fd: int) -> None:
    """Empty the wake-up pipe."""
    try:
        while os.read(fd, 4096):
            pass
    except BlockingIOError:
        return


def prctl(option: int, value: int) -> None:
    """Set a process attribute that Python has no name for. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


if __name__ == "__main__":
    main()
