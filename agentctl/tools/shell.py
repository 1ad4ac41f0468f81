"""run_shell: a shell command in the workspace."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from collections.abc import Callable
from functools import cache
from typing import Annotated

from msgspec import Meta

from agentctl.core.values import Sandbox
from agentctl.errors import ToolError, UsageError
from agentctl.ports import ToolContext, ToolResult
from agentctl.tools.base import Arguments, BuiltIn, spec_of
from agentctl.tools.process import MAX_KEPT_BYTES, Command, environment
from agentctl.tools.sandbox import ENGINES, Engine, probe, require, supervised, wrap

MAX_TIMEOUT_S = 600
UNCONFINED = Sandbox("off")


class RunShellArguments(Arguments, frozen=True):
    """The command, and how long it may take."""

    command: Annotated[str, Meta(min_length=1)]
    timeout_s: Annotated[int, Meta(ge=1, le=MAX_TIMEOUT_S)] = 30


class RunShell(BuiltIn[RunShellArguments]):
    """Runs `/bin/sh -c`. What it leaves running in the background ends with the task."""

    arguments = RunShellArguments
    spec = spec_of(
        "run_shell",
        "Run a /bin/sh command in the workspace. Background processes end with the task.",
        RunShellArguments,
        category="shell",
        repeat="unsafe",
        changes=True,
        # The call's own time-out comes first, and its message says more.
        timeout_ms=(MAX_TIMEOUT_S + 10) * 1000,
    )

    def __init__(
        self,
        timer: Callable[[float], asyncio.Timeout] = asyncio.timeout,
        *,
        policy: Sandbox = UNCONFINED,
        engines: tuple[Engine, ...] = ENGINES,
    ) -> None:
        """`timer` makes the time-out of a call from seconds; a test may hold its own clock.

        `policy` confines commands by one of `engines`.
        """
        self._timer = timer
        self._policy = policy
        self._engines = engines
        self._running: set[Command] = set()

    def confinement(self, cwd: str) -> str:
        """Say what confines commands here, as was found by trying. Raises UsageError for strict."""
        enforced = probe(self._policy, cwd, self._engines)
        require(self._policy, enforced)
        return enforced.line()

    async def act(self, arguments: RunShellArguments, context: ToolContext) -> ToolResult:
        """Return the output and how the command ended. Raises ToolError if it could not start."""
        command = self._start(arguments.command, context)
        self._running.add(command)
        try:
            async with self._timer(arguments.timeout_s):
                code = await command.wait()
        except TimeoutError:
            note = f"timed out after {arguments.timeout_s} s, "
            note += "ended" if await command.end() else "told to end, but some of it resists"
            return _result(command, note)
        except BaseException:
            await command.end()
            raise
        finally:
            self._running = {each for each in self._running if not each.gone}
        note = f"outcome unknown: {command.problem}" if code is None else _ending(code)
        return _result(command, note)

    def _start(self, text: str, context: ToolContext) -> Command:
        """Start a command, confined as the policy says. Raises ToolError."""
        enforced = probe(self._policy, context.cwd, self._engines)
        try:
            shell = wrap(["/bin/sh", "-c", text], self._policy, context.cwd, enforced)
        except UsageError as error:
            raise ToolError(error.what, next_step=error.next_step) from error
        env = {**environment(context.cwd, self._policy.variables), **shell.env}
        if shell.env:  # confined: git's settings are out of sight
            env = {**_identity(), **env}
        return Command(
            supervised(shell),
            context.cwd,
            context.emit,
            env=env,
            reports=shell.reports,
        )

    async def close(self) -> None:
        """End what commands left running in the background."""
        await asyncio.gather(*(command.end() for command in self._running))
        self._running.clear()


@cache
def _identity() -> dict[str, str]:
    """Who commits, as the user's own settings of git say; nothing else of them is passed on."""
    found: dict[str, str] = {}
    git = shutil.which("git")
    for field in ("name", "email") if git else ():
        asked = [git or "", "config", "--global", "--get", f"user.{field}"]
        try:
            told = subprocess.run(  # noqa: S603 - no shell, and nothing of the workspace is read
                asked,
                capture_output=True,
                timeout=2,
                check=False,
                stdin=subprocess.DEVNULL,
                cwd="/",
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        value = told.stdout.decode(errors="replace").strip()
        if value and not told.returncode:
            found |= {f"GIT_{who}_{field.upper()}": value for who in ("AUTHOR", "COMMITTER")}
    return found


def _result(command: Command, note: str) -> ToolResult:
    """The output, then what there is to say about it. An empty note means success."""
    notes = [note] if note else []
    if command.cut:
        notes.append(f"[output beyond {MAX_KEPT_BYTES:,} bytes was not kept]")
    if not note and command.output_open:
        notes.append("[something runs on in the background; its further output is not kept]")
    text = command.output
    if notes and text and not text.endswith("\n"):
        text += "\n"
    return ToolResult((text + "\n".join(notes)) or "(no output)", ok=not note)


def _ending(code: int) -> str:
    """Say how a command ended, unless well."""
    if code == 0:
        return ""
    if code > 0:
        return f"exit code {code}"
    try:
        return f"ended by signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"ended by signal {-code}"
