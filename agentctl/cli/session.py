"""Driving tasks from the command line: what run and resume have in common."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from agentctl import app, mcp_servers, orders, own_tools, schemas, settings, signals
from agentctl.cli.approval import ask_user, can_ask
from agentctl.cli.ending import ending
from agentctl.cli.goal import read_goal
from agentctl.cli.output import console, paragraphs, say, say_json, tell
from agentctl.cli.tokens import ratio
from agentctl.control import Desk
from agentctl.core.permissions import parse_rule
from agentctl.core.state import State, fold
from agentctl.core.values import Effect, Rule
from agentctl.errors import EXIT_CODES, AgentctlError, NotResumable, TaskBusy, UsageError
from agentctl.listeners.jsonl import JsonLines
from agentctl.listeners.progress import Progress
from agentctl.listeners.tokens import TokenMonitor
from agentctl.ports import Listener


class Screen(Struct, frozen=True, kw_only=True):
    """How the user wants to see a run."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    output: str | None = None


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
    folder = workspace(cwd)
    chosen, found = orders.chosen(flags, folder, agent)
    if script and not chosen.provider:
        chosen, found = orders.chosen({**flags, "provider": "scripted"}, folder, agent)
    for warning in chosen.warnings:
        tell(f"Note: {warning}")
    if estimate:
        from agentctl.cli.estimate import estimate_goal  # here, because runs do not need it

        return estimate_goal(chosen, json=screen.json)
    order = orders.Order(
        goal=read_goal(goal, file),
        settings=chosen,
        cwd=folder,
        name=name,
        script=str(Path(script).resolve()) if script else "",
        tools=own_tools.entries(tools, settings.here()),
        mcp=mcp_servers.entries(mcp, settings.here()),
        rules=_rules(rules),
        agent=found,
        schema=schemas.read(settings.here() / Path(schema).expanduser()) if schema else "",
    )
    _check_output(screen)
    with Desk() as desk:
        task_id = orders.create(desk, order)
        return _drive(desk, task_id, chosen, screen, {})


def resume_tasks(
    task: str,
    *,
    everything: bool,
    due: bool,
    limits: Mapping[str, object],
    provider: str,
    model: str,
    fallback: str | None,
    approve: str | None,
    rules: Mapping[str, Sequence[str]],
    sandbox: str | None,
    context: str | None,
    tools: Sequence[str],
    mcp: Sequence[str],
    no_cache: bool,
    on_unknown: str,
    screen: Screen,
) -> int:
    """Go on with one task, all that stand still or all that are due; return the exit code."""
    if [bool(task), everything, due].count(True) != 1:
        raise UsageError(
            "Which task?",
            next_step="Type one of: agentctl resume TASK_ID   agentctl resume --all   "
            "agentctl resume --due",
        )
    if on_unknown not in ("ask", "rerun", "skip", "tell"):
        raise UsageError(
            f"--on-unknown: {on_unknown!r} is none of its words.",
            next_step="Write ask, rerun, skip or tell.",
        )
    _check_output(screen)
    changes: dict[str, Any] = {
        "limits": limits,
        "provider": provider,
        "model": model,
        "on_unknown": on_unknown,
        "approve": settings.read_flag("approve", approve) if approve else None,
        "fallback": None if fallback is None else settings.read_flag("fallback", fallback),
    }
    if tools:
        changes["tools"] = own_tools.entries(tools, settings.here())
    if mcp:
        changes["mcp"] = mcp_servers.entries(mcp, settings.here())
    if no_cache:
        changes["lookup_ttl_ms"] = None
    if sandbox:
        changes["sandbox"] = settings.read_flag("sandbox", sandbox)
    changes["rules"] = _rules(rules)
    if context:
        changes["context"] = settings.read_flag("context", context)
    with Desk() as desk:
        if task:
            return _resume(desk, desk.find(task).id, screen, changes)
        return _resume_all(desk, app.due(desk) if due else app.resumable(desk), screen, changes)


def _resume(desk: Desk, task_id: str, screen: Screen, changes: Mapping[str, Any]) -> int:
    """Go on under the settings of the task's own folder, wherever this is typed."""
    row = desk.find(task_id)
    created = fold(desk.store.read(task_id)[:1]).created
    place = Path(row.cwd) if Path(row.cwd).is_dir() else settings.here()
    begun = {"account": row.account, "tier": created.tier, "profile": created.profile}
    flags = {name: changes.get(name) for name in ("context", "sandbox")}
    chosen = settings.load(flags, env=os.environ, cwd=place, task=begun)
    if flags["context"]:
        changes = {**changes, "context": chosen.context()}
    if flags["sandbox"]:
        changes = {**changes, "sandbox": chosen.sandbox()}
    changes = {**changes, "rules": (*changes["rules"], *chosen.permissions)}
    return _drive(desk, task_id, chosen, screen, changes)


def _rules(given: Mapping[str, Sequence[str]]) -> tuple[Rule, ...]:
    """Read --allow and --deny. Raises UsageError."""
    found: list[Rule] = []
    effects: tuple[Effect, ...] = ("allow", "deny")
    for effect in effects:
        for text in given[effect]:
            try:
                found.append(parse_rule(text, effect, "flag"))
            except ValueError as error:
                raise UsageError(
                    f"--{effect}: {error}.",
                    next_step=f"Write e.g. --{effect} 'run_shell: git status *'",
                ) from error
    return tuple(found)


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
) -> int:
    row = desk.find(task_id)
    listeners: list[Listener] = []
    progress = None
    if screen.json:
        lines = JsonLines(sys.stdout)
        per_token = ratio(desk, row.provider, row.model)
        listeners += [lines, TokenMonitor(lines.write, desk.store.read, per_token)]
    elif not screen.quiet:
        progress = Progress(console(stderr=True), row, verbose=screen.verbose)
        listeners.append(progress)
    run = app.Run(
        listeners=listeners,
        ask=ask_user(progress) if can_ask() and not screen.json else None,
        complain=tell,
        ledger=Path(chosen.ledger),
        prices=chosen.prices,
        silence_ms=chosen.silence_timeout_ms,
        shared=chosen.limits(),
        address=lambda name: chosen.address(name, os.environ),
        embedder=chosen.embedder,
        max_concurrent=chosen.max_concurrent_tools,
        concurrency=chosen.concurrency,
        **{
            "lookup_ttl_ms": None if chosen.no_cache else chosen.lookup_ttl_ms,
            "rules": chosen.permissions,
            **changes,
        },
    )
    with signals.leaving(f"agentctl resume {task_id}", tell):
        ended = app.drive(desk, task_id, run)
    _show_end(task_id, ended, screen, progress)
    return ended.exit_code


def _show_end(task_id: str, ended: app.Ended, screen: Screen, progress: Progress | None) -> None:
    state = ended.state
    answer = state.finished.text if state.finished is not None else ""
    if screen.output and state.status == "done":
        _write_answer(task_id, Path(screen.output), answer)
    if screen.json:
        say_json(
            {
                "task_id": task_id,
                "kind": "Result",
                "outcome": state.status,
                "exit_code": ended.exit_code,
                "answer": answer,
                "data": _data(state, answer),
                "steps": state.steps,
                "cost_micros": state.spent_micros,
                "unpriced_calls": state.unpriced,
                "tokens_processed": state.tokens_processed,
                "tokens_total": state.tokens_total,
                "account": state.created.account,
                "switched": [
                    {"provider": event.provider, "model": event.model, "why": event.why}
                    for event in state.switches
                ],
            }
        )
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


def _data(state: State, answer: str) -> Any:
    """The value that the answer is, where a schema makes it JSON."""
    import json  # here, because most runs have no schema

    return json.loads(answer) if state.status == "done" and state.created.schema else None


def _write_answer(task_id: str, path: Path, answer: str) -> None:
    try:
        path.write_text(answer + "\n", encoding="utf-8")
    except OSError as error:
        raise AgentctlError(
            f"The result could not be written to {path}: {error.strerror}.",
            kept="The task is done and its answer is kept.",
            next_step=f"See it with: agentctl show {task_id}",
        ) from error


def workspace(cwd: str | None) -> Path:
    """The folder to work in, absolute and links resolved. Raises UsageError."""
    folder = (settings.here() / Path(cwd or ".").expanduser()).resolve()
    if not folder.is_dir():
        raise UsageError(f"--cwd: {folder} is not a folder.", next_step="Name an existing folder.")
    return folder


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
