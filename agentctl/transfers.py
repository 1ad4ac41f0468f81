"""Moving tasks between machines: written to a file, and read from one that is not trusted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from agentctl import __version__, atomic, schemas, secrets, settings
from agentctl.control import Desk, now_ms
from agentctl.core import events as e
from agentctl.core import transfer
from agentctl.core.rows import TaskRow
from agentctl.core.state import State, fold
from agentctl.core.values import Sandbox
from agentctl.errors import AgentctlError, UsageError
from agentctl.orders import new_id
from agentctl.store.lease import Lease

FILE_BYTES_MAX = 1_000_000_000
AHEAD_MS = 86_400_000
"""The clock of another machine may be ahead by so much."""
STRICTER = ("read-only", "workspace", "strict")
"""Modes of the sandbox that a file may ask for: none of them allows more than is usual."""


class Brought(Struct, frozen=True):
    """What became of an import."""

    task_id: str
    exported_as: str
    """Its id where it was exported."""
    events: int
    status: str
    dropped: tuple[str, ...]
    """What the file said and a file may not choose; it must be said again."""


def lines(desk: Desk, row: TaskRow) -> Iterator[bytes]:
    """The lines of a task's file, without secrets. Raises AgentctlError if its texts are gone."""
    log = desk.store.read(row.id)
    if fold(log).removed is not None:
        raise AgentctlError(
            f"The texts of task {row.id} were taken out of its log: there is nothing to export.",
            kept="Its costs are kept.",
        )
    redact = secrets.redactor(os.environ).text
    for line in transfer.written(row.id, log, desk.store.output, __version__, redact):
        yield line + b"\n"


def export(desk: Desk, row: TaskRow, path: Path) -> int:
    """Write a task to a file, whole or not at all; return its size. Raises AgentctlError."""
    data = b"".join(lines(desk, row))
    try:
        atomic.replace(path, data)
    except OSError as error:
        raise AgentctlError(
            f"The task could not be written to {path}: {error.strerror}.",
            kept="The task is kept; a file that was there is as it was.",
            next_step=f"Write it elsewhere: agentctl export {row.id} -o FILE",
        ) from error
    return len(data)


def load(path: Path) -> transfer.Transfer:
    """Read an exported file strictly. Raises UsageError that names the line."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise UsageError(f"{path} has more than {FILE_BYTES_MAX:,} bytes: no task is so large.")
        with path.open("rb") as file:
            return transfer.read(iter(lambda: file.readline(transfer.LINE_BYTES_MAX + 1), b""))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.",
            next_step="Name a file that agentctl export has written.",
        ) from error
    except transfer.BadLine as error:
        raise UsageError(
            f"{path}, line {error.number}: {error.why}.",
            kept="Nothing was imported.",
            next_step="Name a file that agentctl export has written, whole and unchanged.",
        ) from error


def bring(desk: Desk, path: Path, cwd: Path) -> Brought:
    """Write the task of a file into this state home; it works in `cwd`. It is not driven.

    The history is taken as it is. What may be done here, where data is sent and what may be spent
    is never chosen by a file. Raises UsageError.
    """
    found = load(path)
    state = _folded(path, found)
    if state.created.schema:
        schemas.checker(state.created.schema, f"{path}: its schema")  # else no answer could fit it
    chosen = settings.load({}, env=os.environ, cwd=cwd)
    created, dropped = _here(state, chosen, cwd, found.header.task_id)
    moment_ms = now_ms()
    last_ms = max(record.at_ms for record in found.log)
    if last_ms > moment_ms + AHEAD_MS:
        raise UsageError(
            f"{path}: the task is of the future.",
            kept="Nothing was imported.",
            next_step="Set the clock of this machine right, then type the same again.",
        )
    mark = e.Imported(created, found.header.agentctl[:80])
    log = [*found.log, e.Recorded(len(found.log), max(moment_ms, last_ms), mark)]
    task_id = found.header.task_id
    while True:
        held = Lease(desk.locks, task_id) if not desk.store.has(task_id) else None
        try:
            if held is not None and desk.store.take_over(task_id, log, found.outputs):
                break
        finally:
            if held is not None:
                held.release(forget=True)
        task_id = new_id()
    return Brought(task_id, found.header.task_id, len(found.log), fold(log).status, tuple(dropped))


def _folded(path: Path, found: transfer.Transfer) -> State:
    """The state at its end: a log that cannot be followed is refused."""
    try:
        return fold(found.log)
    except (ValueError, KeyError, IndexError, TypeError, OverflowError) as error:
        raise UsageError(
            f"{path}: its events do not follow from each other ({error}).",
            kept="Nothing was imported.",
            next_step="Name a file that agentctl export has written, whole and unchanged.",
        ) from error


def _here(
    state: State, chosen: settings.Settings, cwd: Path, task_id: str
) -> tuple[e.TaskCreated, list[str]]:
    """What holds for the task here, and what the file said that is left out."""
    old, sandbox = state.created, state.sandbox
    limits = chosen.limits()
    mode = sandbox.mode if sandbox.mode in STRICTER else "auto"
    rules = tuple(rule for rule in old.rules if rule.effect != "allow")
    approve = "ask" if state.approve == "auto" else state.approve
    dropped = [
        name
        for name, is_lost in (
            ("script, addresses, own tools and MCP servers", bool(old.options)),
            ("--approve auto", state.approve == "auto"),
            ("--allow", rules != old.rules),
            ("--sandbox", sandbox != Sandbox(mode)),
            ("limits", state.limits != limits),
            ("--fallback", bool(state.fallbacks)),
            ("--reuse", old.reuse),
            ("--delegate", old.delegates),
            ("--account", old.account != chosen.account),
        )
        if is_lost
    ]
    created = replace(
        old,
        provider=state.home[0],
        model=state.home[1],
        cwd=str(cwd),
        limits=limits,
        context=state.policy,
        approve=approve,
        options={},
        account=chosen.account,
        tier="",
        fallbacks=(),
        reuse=False,
        sandbox=Sandbox(mode),
        rules=rules,
        origin="import",
        parent=task_id,
        item=0,
        profile="",
        agent="",
        delegates=False,
        depth=0,
        key="",
    )
    return created, dropped
