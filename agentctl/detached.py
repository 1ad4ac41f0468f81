"""Runs in the background: a process of its own session that outlives its terminal and its parent.

It is forked, not started anew, so that every option of the command line holds for it as it stands,
and so that the task's lease goes over without a moment in which nobody holds it.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

from agentctl.core.events import Recorded
from agentctl.core.live import Signal
from agentctl.errors import AgentctlError
from agentctl.store.opening import translated

LOGS = "logs"
"""The folder of the state home for what these runs would have printed."""
STREAMS = (0, 1, 2)


class Ready:
    """A listener that tells the parent of the first event: now the child drives the task."""

    live = False

    def __init__(self, handle: int) -> None:
        """Write to this end of a pipe."""
        self._handle = handle

    def hear(self, task_id: str, item: Recorded | Signal) -> None:
        """Tell it once."""
        if self._handle >= 0:
            with suppress(BrokenPipeError):  # the parent has gone: nobody is left to be told
                os.write(self._handle, b"1")
            self.close()

    def close(self) -> None:
        """Nothing more will be told."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


class Child:
    """The process in the background, as its parent sees it."""

    def __init__(self, pid: int, pipe: int, log: Path, printed: int) -> None:
        """`printed` bytes stood in the log before it began."""
        self.pid = pid
        self.log = log
        self._pipe = pipe
        self._printed = printed

    def failed(self) -> int | None:
        """Wait until it drives its task, and return None; if it ended before, its exit code."""
        ready = os.read(self._pipe, 1)
        os.close(self._pipe)
        if ready:
            return None
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def words(self) -> str:
        """What it has printed. Raises StoreError."""
        with translated(self.log):
            return self.log.read_bytes()[self._printed :].decode(errors="replace").strip()


def fork(home: Path, task_id: str) -> Child | Ready:
    """Go on as two processes: the parent is given the child, and the child its way to tell it.

    The child has no terminal, reads nothing and prints to the task's log file. Connections to the
    database must be closed before. Raises StoreError, and AgentctlError if there can be no process.
    """
    log = home / LOGS / f"{task_id}.log"
    with translated(log):
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        printed_to = os.open(log, flags, 0o600)
        printed = os.fstat(printed_to).st_size
        reading, writing = os.pipe()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # or both processes would print it
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join()  # a lock that it holds would never be free in the child
    try:
        pid = os.fork()
    except OSError as error:
        for handle in (printed_to, reading, writing):
            os.close(handle)
        raise AgentctlError(
            f"No process could be started in the background: {error.strerror}.",
            kept=f"Task {task_id} is kept.",
            next_step=f"Try again, or here: agentctl resume {task_id}",
        ) from error
    if pid:
        for handle in (printed_to, writing):
            os.close(handle)
        return Child(pid, reading, log, printed)
    os.close(reading)
    _leave_terminal(printed_to)
    return Ready(writing)


def _leave_terminal(printed_to: int) -> None:
    """Become a session of its own, with nothing of the shell's open."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    for stream, handle in zip(STREAMS, (nothing, printed_to, printed_to), strict=True):
        os.dup2(handle, stream)
    for handle in (nothing, printed_to):
        os.close(handle)
    # What Python opens is not inheritable; what is, the shell left open, perhaps for a reader that
    # waits for its end.
    for handle in [int(path.name) for path in Path("/dev/fd").iterdir()]:
        try:
            if handle not in STREAMS and os.get_inheritable(handle):
                os.close(handle)
        except OSError:
            continue  # the folder's own handle, which is closed by now


def resume(task_id: str) -> tuple[int, str]:
    """Have another process resume a task in the background; return its exit code and its words.

    For programs with a screen and threads of their own, which cannot be forked.
    """
    import subprocess  # here, because only such programs need it

    words = ("resume", task_id, "--detach", "--json")
    done = subprocess.run(  # noqa: S603 - this program itself, and an id of ours
        # -P: whatever stands in the current folder is no part of it.
        [sys.executable, "-P", "-c", "from agentctl.cli import main; main()", *words],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr.strip()
