"""The last words of a run: how it ended, what was kept and the command to go on."""

from __future__ import annotations

from datetime import datetime

from agentctl.core.state import State
from agentctl.reports.text import count, usd, visible


def ending(task_id: str, state: State) -> str:
    """One paragraph for the terminal."""
    used = summary(state)
    resume = f"agentctl resume {task_id}"
    stopped = state.stopped
    if state.status == "done":
        return f"Done: {used}.{_instead(state)}"
    if state.status == "running":
        return f"Interrupted: its process has died. {_kept(used)}\nGo on with: {resume}"
    if stopped is None:
        return f"Cancelled: {used}. Its log and costs are kept: agentctl show {task_id}"
    kept = _kept(used)
    if state.status == "limit":
        return f"{_limit(state)} {kept}\nGo on with: {resume} {_more(state)}"
    if state.status == "waiting":
        return (
            f"Waiting until {_clock(stopped.wake_ms)}: {stopped.reason.rstrip('.')}. {kept}\n"
            f"Then: {resume}   (or for all that are due: agentctl resume --due)"
        )
    if state.status == "failed" and stopped.limit:
        return f"{_limit(state)} {kept}\nGo on with: {resume} {_more(state)}"
    if state.status == "failed":
        return f"Failed: {stopped.reason}\n{kept}{_instead(state)}\nOnce that is mended: {resume}"
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
    if state.children_micros:
        cost += f" + {usd(state.children_micros)} by others for it"
    spared = f" ({usd(state.spared_micros)} spared by reuse)" if state.spared_micros else ""
    return f"{steps}, {tokens}, {cost}{spared}"


def _kept(used: str) -> str:
    return f"Everything up to here is on disk ({used})."


def _instead(state: State) -> str:
    """Who answered in the place of the chosen provider, and why."""
    if not state.switches:
        return ""
    last = state.switches[-1]
    others = ", ".join(dict.fromkeys(f"{s.provider}/{s.model}" for s in state.switches))
    return f"\nAsked instead of {'/'.join(state.home)}: {visible(others)} ({visible(last.why)})."


LIMITS = {
    "task_cost_micros": "the task's cost limit",
    "batch_cost_micros": "the cost limit of its batch",
    "step_cost_micros": "the cost limit of a step",
    "hour_cost_micros": "the cost limit of an hour, which all tasks share",
    "day_cost_micros": "the cost limit of a day, which all tasks share",
    "task_tokens": "the task's token limit",
    "steps": "the limit of steps",
    "task_credits": "the task's limit of credits",
    "step_credits": "the limit of credits for a step",
    "account_credits": "the end of the account's credits",
}


def _limit(state: State) -> str:
    stopped = state.stopped
    if stopped is None:
        return ""
    show = usd if stopped.limit.endswith("_micros") else count
    if stopped.limit == "wall_ms":
        return f"Stopped at the limit of {stopped.cap / 1000:g} s running time."
    if stopped.limit == "account_credits":
        return f"Stopped at the end of the account's credits: {stopped.reason}."
    if stopped.limit.endswith("_micros") and not stopped.need:  # no price is known
        return f"Stopped: {stopped.reason}."
    what = LIMITS.get(stopped.limit, stopped.limit.replace("_", " "))
    text = f"Stopped at {what}: {show(stopped.used)} of {show(stopped.cap)} used"
    if stopped.need and stopped.limit != "steps":
        text += f", the next call may need {show(stopped.need)}"
    over = stopped.used - stopped.cap
    if over > 0 and stopped.limit == "task_cost_micros":
        text += f"; {show(over)} more than estimated was reported by the provider"
    return text + "."


def _more(state: State) -> str:
    """The flag that gives the stopped limit room, with a value that is enough."""
    stopped = state.stopped
    if stopped is None:
        return ""
    if stopped.limit == "wall_ms":
        return f"--timeout {(stopped.used + max(stopped.cap, 1000)) // 1000 + 1}s"
    room = max(stopped.cap * 2, stopped.used + 2 * stopped.need)
    if stopped.limit in COUNTED:
        return f"{COUNTED[stopped.limit]} {room}"
    if stopped.limit == "account_credits":
        account = state.created.account
        return f"\nonce there are more: agentctl credits add {stopped.need} --account {account}"
    if stopped.limit.endswith("_calls_per_minute"):
        return "\nonce some are allowed: [rates] in the configuration"
    if stopped.limit == "batch_cost_micros":
        return "\nonce its batch has more: agentctl batch FILE --resume --max-cost USD"
    if not stopped.limit.endswith("cost_micros"):
        return ""
    if not stopped.need:
        return "--allow-unpriced"
    micros = max(stopped.cap * 2, stopped.used + 2 * stopped.need, 10_000)
    cents = -(-micros // 10_000)
    flag = {
        "hour_cost_micros": "--max-cost-hour",
        "day_cost_micros": "--max-cost-day",
        "step_cost_micros": "--max-cost-step",
    }.get(stopped.limit, "--max-cost")
    if stopped.wake_ms:
        later = f"\nor without it after {_clock(stopped.wake_ms)}"
    else:
        later = "\nor with a cheaper model: --model NAME"
    return f"{flag} {cents / 100:.2f}{later}"


COUNTED = {
    "task_tokens": "--max-tokens",
    "steps": "--max-steps",
    "task_credits": "--max-credits",
    "step_credits": "--max-credits-step",
}
"""The flags that raise limits of whole numbers."""


def _clock(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
