"""Own tools that ask for a sandbox: each call runs in a confined process of its own.

The process is given a folder with the order in it and leaves its result there. What it prints is
live output. Nothing of it outlives the call.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from agentctl.core.values import Sandbox
from agentctl.errors import ToolError, UsageError
from agentctl.ports import ToolContext, ToolResult
from agentctl.tools.process import MAX_KEPT_BYTES, Command, environment
from agentctl.tools.sandbox import ENGINES, Engine, Wrapped, probe, supervised, wrap

CHILD = Path(__file__).with_name("own_child.py")
ORDER, RESULT = "order.json", "result.json"


class Order(Struct, frozen=True):
    """What the process is to do."""

    file: str
    tool: str
    arguments: str
    cwd: str
    call_id: str
    key: str
    package: str
    """The folder that holds agentctl itself."""


class Outcome(Struct, frozen=True):
    """What the process leaves behind."""

    text: str = ""
    error: str = ""
    """What the model is told where it failed."""
    broke: str = ""
    """What a function raised that was meant for nobody."""


class Confined:
    """Calls one tool of a file in processes of their own."""

    def __init__(self, file: str, name: str) -> None:
        """The tool of this name at the top level of the file."""
        self._file, self._name = str(Path(file).resolve()), name
        self.policy = Sandbox()
        """What the process may do."""
        self.engines: tuple[Engine, ...] = ENGINES

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        """Return the function's result. Raises ToolError, and RuntimeError for what it raised."""
        with tempfile.TemporaryDirectory(
            prefix="agentctl-call-", ignore_cleanup_errors=True
        ) as made:
            folder = self._ordered(made, arguments, context)
            wrapped = self._wrapped(folder, context.cwd)
            command = Command(
                supervised(wrapped),
                context.cwd,
                context.emit,
                env={**environment(context.cwd, self.policy.variables), **wrapped.env},
                reports=wrapped.reports,
            )
            try:
                code = await command.wait()
            finally:
                await command.end()
            found = _result(Path(folder, RESULT))
            if found is None:
                how = command.problem if code is None else f"exit code {code}"
                said = command.output.strip()[-1000:]
                raise RuntimeError(f"its process ended without a result, {how}: {said}")
        if found.broke:
            raise RuntimeError(found.broke)
        if found.error:
            raise ToolError(found.error)
        return ToolResult(found.text)

    def _ordered(self, made: str, arguments: str, context: ToolContext) -> str:
        """Write the order; return the real path of the folder."""
        order = Order(
            file=self._file,
            tool=self._name,
            arguments=arguments,
            cwd=context.cwd,
            call_id=context.call_id,
            key=context.key,
            package=str(Path(__file__).parents[2]),
        )
        folder = Path(made).resolve()
        (folder / ORDER).write_bytes(msgspec.json.encode(order))
        return str(folder)

    def _wrapped(self, folder: str, cwd: str) -> Wrapped:
        """How to start the process. Raises ToolError where the sandbox cannot be had."""
        enforced = probe(self.policy, cwd, self.engines)
        policy = replace(
            self.policy,
            writable=(*self.policy.writable, folder),
            readable=(*self.policy.readable, self._readable()),
        )
        python = [sys.executable, "-I", str(CHILD), folder]
        try:
            return wrap(python, policy, cwd, enforced)
        except UsageError as error:
            raise ToolError(error.what, next_step=error.next_step) from error

    def _readable(self) -> str:
        """The file's folder, so that it can import its neighbours; never all of home."""
        folder = Path(self._file).parent
        home = Path(os.environ.get("HOME") or "/").resolve()
        is_wide = home.is_relative_to(folder) or Path(tempfile.gettempdir()).resolve() == folder
        return self._file if is_wide else str(folder)


def _result(path: Path) -> Outcome | None:
    """What was left behind, if it is a file and of a sane size: whoever wrote it was confined."""
    with contextlib.suppress(OSError, msgspec.DecodeError):
        # A link would let it have us read what it may not.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            if stat.S_ISREG(os.fstat(fd).st_mode):
                return msgspec.json.decode(file.read(MAX_KEPT_BYTES), type=Outcome)
    return None
