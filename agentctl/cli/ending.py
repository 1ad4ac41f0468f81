"""The last words of a run: how it ended, what was kept and the command to go on."""

from __future__ import annotations

from datetime import datetime

from agentctl.core.state import State
from agentctl.reports.text import count, usd


def ending(task_id: str, state: State) -> str:
    """One paragraph for the terminal."""
    used = summary(state)
    resume = f"agentctl resume {task_id}"
    stopped = state.stopped
    if state.status == "done":
        return f"Done: {used}."
    if stopped is None:
        return f"Cancelled: {used}. Its log and costs are kept: agentctl show {task_id}"
    kept = f"Everything up to here is on disk ({used})."
    if state.status == "limit":
        return f"{_limit(state)} {kept}\nGo on with: {resume} {_more(state)}"
    if state.status == "waiting":
        return f"Waiting until {_clock(stopped.wake_ms)}: {stopped.reason}. {kept}\nThen: {resume}"
    if state.status == "failed":
        return f"Failed: {stopped.reason}\n{kept}\nOnce that is mended: {resume}"
    return f"Paused ({stopped.reason}). {kept}\nGo on with: {resume}"


def summary(state: State) -> str:
    """Steps, tokens and cost; what has no price is said to have none."""
    cost = usd(state.spent_micros)
    if state.unpriced:
        cost = f"{cost} + ? {state.unpriced} unpriced"
    steps = "1 step" if state.steps == 1 else f"{state.steps} steps"
    tokens = f"{count(state.tokens_processed)} tokens processed"
    if state.tokens_total != state.tokens_processed:
        tokens += f" of {count(state.tokens_total)} sent and received"
    return f"{steps}, {tokens}, {cost}"


def _limit(state: State) -> str:
    stopped = state.stopped
    if stopped is None:
        return ""
    show = usd if stopped.limit.endswith("_micros") else count
    if stopped.limit == "wall_ms":
        return f"Stopped at the limit of {stopped.cap / 1000:g} s running time."
    what = {
        "task_cost_micros": "the task's cost limit",
        "hour_cost_micros": "the cost limit of an hour, which all tasks share",
        "task_tokens": "the task's token limit",
        "steps": "the limit of steps",
    }.get(stopped.limit, stopped.limit)
    text = f"Stopped at {what}: {show(stopped.used)} of {show(stopped.cap)} used"
    if stopped.need and stopped.limit != "steps":
        text += f", the next call may need {show(stopped.need)}"
    return text + "."


def _more(state: State) -> str:
    """The flag that gives the stopped limit room, with a value that is enough."""
    stopped = state.stopped
    if stopped is None:
        return ""
    if stopped.limit == "wall_ms":
        return f"--timeout {(stopped.used + max(stopped.cap, 1000)) // 1000 + 1}s"
    if stopped.limit in ("task_tokens", "steps"):
        flag = "--max-tokens" if stopped.limit == "task_tokens" else "--max-steps"
        return f"{flag} {max(stopped.cap * 2, stopped.used + 2 * stopped.need)}"
    micros = max(stopped.cap * 2, stopped.used + 2 * stopped.need, 10_000)
    cents = -(-micros // 10_000)
    if stopped.limit == "hour_cost_micros":
        later = f"\nor without it after {_clock(stopped.wake_ms)}" if stopped.wake_ms else ""
        return f"--max-cost-hour {cents / 100:.2f}{later}"
    return f"--max-cost {cents / 100:.2f}"


def _clock(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
