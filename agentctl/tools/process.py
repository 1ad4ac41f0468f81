"""Commands whose every process ends with the task, however agentctl itself ends.

A command runs under supervisor.py. Only agentctl holds the write end of the supervisor's standard
input: when agentctl closes it, or dies by any means, the kernel ends that pipe and the supervisor
kills whatever the command started. The order (folder, arguments, environment) goes through the same
pipe, so the supervisor's own command line never matches what a command looks for with `pkill -f`.
"""

from __future__ import annotations

import asyncio
import codecs
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from agentctl.core.environment import tool_environment
from agentctl.errors import ToolError
from agentctl.ports import Emit

SUPERVISOR = Path(__file__).with_name("supervisor.py")
MAX_ORDER_BYTES = 60_000
"""An order must fit into an empty pipe, so that sending it never waits."""
MAX_KEPT_BYTES = 10_000_000
CHUNK_BYTES = 65_536
PIPE_CHUNKS = 16
"""The most chunks that a pipe can hold."""
END_WAIT_S = 2.0


def environment(folder: str, further: Collection[str] = ()) -> dict[str, str]:
    """The allow-listed part of our environment, for a command in `folder`.

    `further` are variables that the user named.
    """
    return {"PATH": os.defpath, **tool_environment(os.environ, tuple(further)), "PWD": folder}


class Command:
    """A running command and everything that it started. Must be ended by `end`."""

    def __init__(
        self,
        arguments: Sequence[str],
        folder: str,
        emit: Emit,
        *,
        env: Mapping[str, str] | None = None,
        reports: bool = False,
        stdio: tuple[int, int] | None = None,
    ) -> None:
        """Start it within the running event loop. Raises ToolError.

        `arguments[0]` is an absolute path; `emit` hears the output until `wait` has returned. `env`
        stands for `environment(folder)`; with `reports` the command tells by descriptor 3 how it
        ended. `stdio` are pipes to be its standard input and output, which the caller closes; what
        is heard is then its standard error.
        """
        passed = environment(folder) if env is None else env
        order = _order(arguments, folder, passed, reports=reports, stdio=stdio or ())
        try:
            self._supervisor = subprocess.Popen(  # noqa: S603 - our own script, no shell
                [sys.executable, "-I", "-S", str(SUPERVISOR)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=passed,
                cwd="/",
                start_new_session=True,
                pass_fds=stdio or (),
            )
        except OSError as error:
            raise ToolError(f"The command could not be started: {error.strerror}.") from error
        self._lifeline, self._output, self._status = _pipes(self._supervisor)
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int | None] = self._loop.create_future()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._emit: Emit | None = emit
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._kept: list[str] = []
        self._kept_bytes = 0
        self._said = b""
        self._group = 0
        self.cut = False
        """Some output was not kept: there was more than MAX_KEPT_BYTES."""
        self.output_open = True
        """Some process still holds the command's output."""
        for fd, hear in ((self._output, self._hear_output), (self._status, self._hear_status)):
            os.set_blocking(fd, False)
            self._loop.add_reader(fd, hear)
        # When the supervisor is gone already this fails, and the end of its status tells why.
        try:
            os.write(self._lifeline, order)
        except BrokenPipeError:
            return

    @property
    def gone(self) -> bool:
        """Whether no process of it is left."""
        return self._gone.done()

    @property
    def output(self) -> str:
        """What it printed so far, standard output and error as they came."""
        return "".join(self._kept)

    @property
    def problem(self) -> str:
        """What a supervisor that broke has said about it."""
        return self._said.decode(errors="replace").strip() or "its supervisor was killed"

    async def wait(self) -> int | None:
        """Return the exit code (negative: by that signal) when the command itself has ended.

        Processes that it left behind go on. None when the supervisor broke, see `problem`.
        """
        code = await self._ended
        for _ in range(PIPE_CHUNKS):  # all that was printed is in the pipe by now
            if not self._hear_output():
                break
        self._take(b"", final=True)
        self._stop_listening()
        return code

    async def end(self) -> bool:
        """Kill everything that it started and wait until that is done. False if some resist."""
        self._stop_listening()
        self._close_lifeline()
        if not self.gone:
            await asyncio.wait({self._gone}, timeout=END_WAIT_S)
        return self.gone

    def _hear_output(self) -> bool:
        """Take a chunk of output; when nobody listens any more, drop it so that nobody blocks."""
        if not self.output_open:
            return False
        try:
            data = os.read(self._output, CHUNK_BYTES)
        except BlockingIOError:
            return False
        if data:
            self._take(data)
            return True
        self._close_output()
        return False

    def _take(self, data: bytes, *, final: bool = False) -> None:
        """Keep and pass on output, up to the bound."""
        if self._emit is None:
            return
        room = MAX_KEPT_BYTES - self._kept_bytes
        self.cut = self.cut or len(data) > room
        self._kept_bytes += min(room, len(data))
        text = self._decoder.decode(data[:room], final)
        if text:
            self._kept.append(text)
            self._emit(text)

    def _hear_status(self) -> None:
        """Take what the supervisor says; at its end, clean up."""
        data = os.read(self._status, CHUNK_BYTES)
        if not data:
            self._bury()
            return
        *lines, self._said = (self._said + data).split(b"\n")
        for line in lines:
            word, _, number = line.partition(b" ")
            if word == b"pid":
                self._group = int(number)
            elif word == b"exit":
                if not self._ended.done():
                    self._ended.set_result(int(number))
            else:
                self._said = line + b"\n" + self._said

    def _bury(self) -> None:
        """The supervisor has ended: free what belongs to it."""
        self._loop.remove_reader(self._status)
        os.close(self._status)
        self._close_lifeline()
        self._supervisor.wait()
        if not self._ended.done():
            self._ended.set_result(None)
        if self._supervisor.returncode != 0 and self._group:
            # It was killed itself: its command dies with it, this reaches what that left behind.
            try:
                os.killpg(self._group, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                self._group = 0
        self._gone.set_result(None)
        if self._emit is None:
            self._close_output()

    def _stop_listening(self) -> None:
        """From now on output is read only so that a background process does not block."""
        self._emit = None
        if self.gone:
            self._close_output()

    def _close_output(self) -> None:
        if self.output_open:
            self.output_open = False
            self._loop.remove_reader(self._output)
            os.close(self._output)

    def _close_lifeline(self) -> None:
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1


def _order(
    arguments: Sequence[str],
    folder: str,
    passed: Mapping[str, str],
    *,
    reports: bool,
    stdio: tuple[int, ...],
) -> bytes:
    """What supervisor.py reads first. Raises ToolError for what cannot be passed on."""
    count = str(len(arguments)) + (" report" if reports else "")
    if stdio:
        count += f" stdio {stdio[0]} {stdio[1]}"
    items = [folder, count, *arguments, *(f"{k}={v}" for k, v in passed.items())]
    if any("\0" in item for item in items):
        raise ToolError("A command cannot contain a NUL character.")
    try:
        body = b"\0".join(map(os.fsencode, items))
    except UnicodeEncodeError as error:
        raise ToolError("The command is not valid Unicode text.") from error
    if len(body) > MAX_ORDER_BYTES:
        raise ToolError(
            f"The command is longer than {MAX_ORDER_BYTES:,} bytes: "
            "write it to a file and run that."
        )
    return b"%d\n%s" % (len(body), body)


def _pipes(process: subprocess.Popen[bytes]) -> tuple[int, int, int]:
    """Take over the descriptors of a process's three pipes."""
    pipes = (process.stdin, process.stdout, process.stderr)
    fds = [os.dup(pipe.fileno()) for pipe in pipes if pipe is not None]
    for pipe in pipes:
        if pipe is not None:
            pipe.close()
    return fds[0], fds[1], fds[2]
