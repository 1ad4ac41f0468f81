"""--detach: a run goes on in the background, and its id is printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agentctl import detached
from agentctl.cli.output import say, say_json, tell
from agentctl.control import Desk
from agentctl.errors import AgentctlError
from agentctl.ports import Listener
from agentctl.store.lease import Lease


def in_background(
    home: Path,
    task_id: str,
    drive: Callable[[Desk, Listener], int],
    *,
    held: Lease | None = None,
    json: bool = False,
) -> int:
    """Have a process in the background drive a task, and say so once it does.

    Returns twice: there with the exit code of the run, here with 0 or with that of its failure to
    begin. `held` is the task's lease if it is held already.
    """
    try:
        child = detached.fork(home, task_id)
    except AgentctlError:
        if held is not None:
            held.release()
        raise
    if isinstance(child, detached.Ready):
        with Desk() as desk:
            if held is not None:
                held.take_over()
                desk.leases[task_id] = held
            return drive(desk, child)
    if held is not None:
        held.let_go()
    try:
        code = child.failed()
    except KeyboardInterrupt:
        tell(f"Left before task {task_id} had begun. See it with: agentctl show {task_id}")
        raise
    if code is not None:
        tell(child.words())
        return code
    if json:
        say_json({"task_id": task_id, "pid": child.pid, "log": str(child.log)})
        return 0
    say(task_id)
    tell(
        f"It runs in the background (process {child.pid}) and outlives this terminal.\n"
        f"See it:    agentctl attach {task_id}   or: agentctl logs {task_id} -f\n"
        f"Stop it:   agentctl pause {task_id}\n"
        f"Wait:      agentctl wait {task_id}"
    )
    return 0
