"""resume --dry-run: what a resume would do, without doing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agentctl import limits_desk
from agentctl.cli.limits import change_words
from agentctl.cli.output import say_json, tell
from agentctl.control import ENDED, Desk
from agentctl.core.rows import TaskRow
from agentctl.core.state import State, fold
from agentctl.errors import NotResumable, TaskBusy
from agentctl.reports.text import visible


def foretell(desk: Desk, rows: Sequence[TaskRow], changes: Mapping[str, Any], *, json: bool) -> int:
    """Say of each task where it would go on and what would change. Raises what a resume would."""
    found = [_foretold(desk, row, changes) for row in rows]
    if json:
        say_json({"dry_run": True, "tasks": found})
        return 0
    for each in found:
        tell("\n".join(each["would"]))
    tell("Nothing was done (--dry-run)." if found else "No task would be resumed.")
    return 0


def _foretold(desk: Desk, row: TaskRow, changes: Mapping[str, Any]) -> dict[str, Any]:
    if row.status in ENDED:
        raise NotResumable(
            f"Task {row.id} has ended ({row.status}).",
            kept="Its answer and costs are kept.",
            next_step=f"See them with: agentctl show {row.id}",
        )
    if row.status == "running":
        raise TaskBusy(
            f"Task {row.id} is being driven by process {row.pid}.",
            next_step=f"Stop it with: agentctl pause {row.id}",
        )
    state = fold(desk.store.read(row.id))
    limits = changes["limits"]
    done = limits_desk.set_limits(desk, row, limits, reason="", dry_run=True)
    would = [f"Task {row.id} ({row.status}) would go on {_place(state)}"]
    would += [f"  {change_words(change)}" for change in done.changes]
    for name in ("provider", "model", "approve", "on_unknown"):
        new, old = changes[name], _now(state, name)
        if new and new != old:
            would.append(visible(f"  {name.replace('_', '-')}: {old} -> {new}"))
    open_calls = [visible(started.tool) for started in state.started.values()]
    if open_calls:
        word = changes["on_unknown"]
        would.append(f"  cut off were {', '.join(open_calls)}: on-unknown is {word}")
    return {"task_id": row.id, "status": row.status, "step": state.steps + 1, "would": would}


def _place(state: State) -> str:
    words = f"with step {state.steps + 1}" if state.ready_to_ask else f"in step {state.steps}"
    return f"{words}, asking {visible(f'{state.home[0]}/{state.home[1]}')}"


def _now(state: State, name: str) -> str:
    known = {"provider": state.home[0], "model": state.home[1], "approve": state.approve}
    return known.get(name, state.on_unknown)
