"""Driving tasks from the command line: what run and resume have in common."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from agentctl import app, forks, mcp_servers, orders, own_tools, settings, signals
from agentctl.cli.approval import ask_user, can_ask
from agentctl.cli.background import in_background
from agentctl.cli.ending import ending
from agentctl.cli.goal import read_goal
from agentctl.cli.output import console, paragraphs, say, say_json, tell, without_secrets
from agentctl.cli.tokens import ratio
from agentctl.control import Desk
from agentctl.core.rows import TaskRow
from agentctl.core.sanitize import goal_problem
from agentctl.core.state import fold
from agentctl.errors import EXIT_CODES, AgentctlError, NotResumable, TaskBusy, UsageError
from agentctl.listeners.jsonl import JsonLines
from agentctl.listeners.progress import Progress
from agentctl.listeners.tokens import TokenMonitor
from agentctl.ports import Listener
from agentctl.reports.result import result
from agentctl.store.lease import Lease, owner


class Screen(Struct, frozen=True, kw_only=True):
    """How the user wants to see a run."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    output: str | None = None
    detach: bool = False


def run_goal(
    goal: str | None,
    *,
    file: str | None,
    cwd: str | None,
    name: str,
    agent: str,
    schema: str | None,
    script: str | None,
    tools: Sequence[str],
    mcp: Sequence[str],
    flags: Mapping[str, object],
    rules: Mapping[str, Sequence[str]],
    estimate: bool,
    screen: Screen,
) -> int:
    """Create a task and drive it, or only say what it may cost; return the exit code."""
    order = orders.read(
        "",
        flags,
        base=settings.here(),
        cwd=cwd,
        name=name,
        agent=agent,
        schema=schema,
        script=script,
        tools=tools,
        mcp=mcp,
        rules=rules,
    )
    chosen = order.settings
    for warning in chosen.warnings:
        tell(f"Note: {warning}")
    if estimate:
        from agentctl.cli.estimate import estimate_goal  # here, because runs do not need it

        return estimate_goal(chosen, json=screen.json)
    order = replace(order, goal=read_goal(goal, file))
    _check_output(screen)
    if screen.detach and chosen.approve == "ask":
        tell("Note: nobody can be asked in the background: calls that need approval are denied.")
    with Desk() as desk:
        task_id = orders.create(desk, order)
        if not screen.detach:
            return _drive(desk, task_id, chosen, screen, {})
        held = desk.leases.pop(task_id)  # it outlives this connection, which no child may have

    def drive(desk: Desk, ready: Listener) -> int:
        return _drive(desk, task_id, chosen, screen, {}, ready)

    return in_background(desk.home, task_id, drive, held=held, json=screen.json)


class Given(Struct, frozen=True, kw_only=True):
    """What the user says when a task is taken up again; what is not given stays as it was."""

    limits: Mapping[str, object] = {}
    provider: str = ""
    model: str = ""
    fallback: str | None = None
    approve: str | None = None
    rules: Mapping[str, Sequence[str]] = {}
    sandbox: str | None = None
    context: str | None = None
    tools: Sequence[str] = ()
    mcp: Sequence[str] = ()
    no_cache: bool = False
    on_unknown: str = "tell"
    reason: str = ""


def resume_tasks(
    task: str,
    *,
    everything: bool,
    due: bool,
    given: Given,
    screen: Screen,
    dry_run: bool = False,
) -> int:
    """Go on with one task, all that stand still or all that are due; return the exit code."""
    _check_which(task, everything=everything, due=due, detach=screen.detach)
    _check_output(screen)
    changes = _changes(given)
    if task and not dry_run:
        return _resume_one(lambda desk: desk.find(task).id, screen, changes)
    with Desk() as desk:
        if dry_run:
            from agentctl.cli.foretelling import foretell  # here, because few ask for it

            ids = app.due(desk) if due else app.resumable(desk) if everything else [task]
            return foretell(desk, [desk.find(each) for each in ids], changes, json=screen.json)
        return _resume_all(desk, app.due(desk) if due else app.resumable(desk), screen, changes)


def _resume_one(find: Callable[[Desk], str], screen: Screen, changes: Mapping[str, Any]) -> int:
    """Go on with the task of the id that `find` gives, here or in the background."""
    with Desk() as desk:
        task_id = find(desk)
        if not screen.detach:
            return _resume(desk, task_id, screen, changes)
        held = desk.leases.pop(task_id, None)  # as in `run_goal`
        if held is None and owner(desk.locks, task_id):
            Lease(desk.locks, task_id).release()  # it is told here that somebody else has it

    def drive(desk: Desk, ready: Listener) -> int:
        return _resume(desk, task_id, screen, changes, ready)

    return in_background(desk.home, task_id, drive, held=held, json=screen.json)


def continue_last(
    goal: str | None, *, file: str | None, cwd: str | None, given: Given, screen: Screen
) -> int:
    """Go on with the last task of a folder, which is told something; return the exit code."""
    _check_output(screen)
    changes = _changes(given)
    folder = orders.workspace(cwd, settings.here())
    text = read_goal(goal, file)
    problem = goal_problem(text, "message")
    if problem:
        raise UsageError(problem, next_step='Try: agentctl run -c "Now the tests too"')
    return _resume_one(lambda desk: forks.go_on(desk, str(folder), text), screen, changes)


def fork_task(task: str, wanted: forks.Fork, *, run: bool, screen: Screen) -> int:
    """Make a fork of a task and say its id, or drive it; return the exit code."""
    _check_output(screen)
    with Desk() as desk:
        made = forks.fork(desk, desk.find(task), wanted)
        step = "its goal" if made.at_step == 0 else f"step {made.at_step}"
        if run:
            if not screen.quiet:
                tell(f"Fork of {made.parent} after {step}.")
            return _resume(desk, made.task_id, screen, _changes(Given()))
    if screen.json:
        say_json({"task_id": made.task_id, "parent": made.parent, "at_step": made.at_step})
    else:
        say(made.task_id)
        tell(f"Fork of {made.parent} after {step}. Drive it with: agentctl resume {made.task_id}")
    return EXIT_CODES["done"]


def _changes(given: Given) -> dict[str, Any]:
    """What was given, as fields of `app.Run`. Raises UsageError."""
    if given.on_unknown not in ("ask", "rerun", "skip", "tell"):
        raise UsageError(
            f"--on-unknown: {given.on_unknown!r} is none of its words.",
            next_step="Write ask, rerun, skip or tell.",
        )
    fallback, approve = given.fallback, given.approve
    changes: dict[str, Any] = {
        "limits": given.limits,
        "provider": given.provider,
        "model": given.model,
        "on_unknown": given.on_unknown,
        "reason": without_secrets(given.reason),
        "approve": settings.read_flag("approve", approve) if approve else None,
        "fallback": None if fallback is None else settings.read_flag("fallback", fallback),
    }
    if given.tools:
        changes["tools"] = own_tools.entries(given.tools, settings.here())
    if given.mcp:
        changes["mcp"] = mcp_servers.entries(given.mcp, settings.here())
    if given.no_cache:
        changes["lookup_ttl_ms"] = None
    if given.sandbox:
        changes["sandbox"] = settings.read_flag("sandbox", given.sandbox)
    changes["rules"] = orders.read_permissions(given.rules)
    if given.context:
        changes["context"] = settings.read_flag("context", given.context)
    return changes


def _check_which(task: str, *, everything: bool, due: bool, detach: bool) -> None:
    if [bool(task), everything, due].count(True) != 1:
        raise UsageError(
            "Which task?",
            next_step="Type one of: agentctl resume TASK_ID   agentctl resume --all   "
            "agentctl resume --due",
        )
    if detach and not task:
        raise UsageError(
            "--detach: one task at a time.", next_step="Type: agentctl resume TASK_ID --detach"
        )


def _resume(
    desk: Desk,
    task_id: str,
    screen: Screen,
    changes: Mapping[str, Any],
    ready: Listener | None = None,
) -> int:
    """Go on under the settings of the task's own folder, wherever this is typed."""
    row = desk.find(task_id)
    created = fold(desk.store.read(task_id)).created
    place = Path(row.cwd) if Path(row.cwd).is_dir() else settings.here()
    begun = {"account": row.account, "tier": created.tier, "profile": created.profile}
    flags = {name: changes.get(name) for name in ("context", "sandbox")}
    chosen = settings.load(flags, env=os.environ, cwd=place, task=begun)
    if flags["context"]:
        changes = {**changes, "context": chosen.context()}
    if flags["sandbox"]:
        changes = {**changes, "sandbox": chosen.sandbox()}
    changes = {**changes, "rules": (*changes["rules"], *chosen.permissions)}
    return _drive(desk, task_id, chosen, screen, changes, ready)


def _resume_all(
    desk: Desk, task_ids: Sequence[str], screen: Screen, changes: Mapping[str, Any]
) -> int:
    """One after the other; one that fails does not keep the others waiting."""
    code = EXIT_CODES["done"]
    for task_id in task_ids:
        try:
            ended = _resume(desk, task_id, screen, changes)
        except (TaskBusy, NotResumable):
            continue  # another process took it up since the list was read
        except AgentctlError as error:
            tell(f"{task_id}: {error}")
            ended = error.exit_code
        code = code or ended
        if ended in (EXIT_CODES["SIGINT"], EXIT_CODES["SIGTERM"], EXIT_CODES["SIGHUP"]):
            return ended
    return code


def _drive(
    desk: Desk,
    task_id: str,
    chosen: settings.Settings,
    screen: Screen,
    changes: Mapping[str, Any],
    ready: Listener | None = None,
) -> int:
    """Drive a task here; `ready` is told of its events too, as the process in the background."""
    row = desk.find(task_id)
    if ready is not None:  # what the parent printed is not printed again
        screen = replace(screen, json=False)
    listeners: list[Listener] = []
    progress = None
    if screen.json:
        listeners += json_lines(desk, row)
    elif not screen.quiet:
        progress = Progress(console(stderr=True), row, verbose=screen.verbose)
        listeners.append(progress)
    if ready is not None:
        listeners.append(ready)
    run = app.run_as(
        chosen,
        listeners=listeners,
        ask=ask_user(progress) if can_ask() and not screen.json else None,
        complain=tell,
        **changes,
    )
    with signals.leaving(f"agentctl resume {task_id}", tell):
        ended = app.drive(desk, task_id, run)
    show_end(task_id, ended, screen, progress)
    return ended.exit_code


def json_lines(desk: Desk, row: TaskRow) -> list[Listener]:
    """What gives the lines of `--json`, but for the last one."""
    lines = JsonLines(sys.stdout)
    per_token = ratio(desk, row.provider, row.model)
    return [lines, TokenMonitor(lines.write, desk.store.read, per_token)]


def show_end(task_id: str, ended: app.Ended, screen: Screen, progress: Progress | None) -> None:
    """Say how a run has ended, and its answer where the user wants it."""
    state = ended.state
    answer = state.finished.text if state.finished is not None else ""
    if screen.output and state.status == "done":
        _write_answer(task_id, Path(screen.output), answer)
    if screen.json:
        found = result(task_id, state, ended.exit_code)
        say_json(found | {"outcome": ended.outcome})
        return
    if state.status == "done" and not screen.output:
        # On a terminal the answer has just been streamed; it need not stand there twice.
        streamed = progress is not None and progress.terminal and sys.stdout.isatty()
        if not streamed or state.created.schema:
            say(answer)
    if state.refused and screen.quiet:  # else its words have been shown as they came
        tell(state.answer)
    if not (screen.quiet and state.status == "done"):
        paragraphs(ending(task_id, state))


def _write_answer(task_id: str, path: Path, answer: str) -> None:
    try:
        path.write_text(answer + "\n", encoding="utf-8")
    except OSError as error:
        raise AgentctlError(
            f"The result could not be written to {path}: {error.strerror}.",
            kept="The task is done and its answer is kept.",
            next_step=f"See it with: agentctl show {task_id}",
        ) from error


def _check_output(screen: Screen) -> None:
    """Find out before any money is spent that the result's file cannot be written."""
    if screen.output is None:
        return
    path = Path(screen.output)
    folder = path.absolute().parent
    if path.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise UsageError(
            f"-o: {path} cannot be written.", next_step="Name a file in a folder of yours."
        )
