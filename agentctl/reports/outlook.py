"""Looking ahead, as values, text and JSON: status, forecast, estimate, prices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from agentctl.core.values import Micros, Millis, Rates
from agentctl.reports.books import number_of
from agentctl.reports.columns import Column, table, wrapped
from agentctl.reports.text import count, usd, visible

# --- status --------------------------------------------------------------------------------------


class Window(Struct, frozen=True):
    """A limit over time, and how much of it is used."""

    name: str
    """hour or day: the last 60 minutes, the last 24 hours."""
    spent_micros: Micros
    """Settled, and reserved by calls that are open."""
    cap_micros: Micros | None
    reached_ms: Millis | None = None
    """When it is used up at the present rate; None: not within the window."""


class Status(Struct, frozen=True):
    """Spending at this moment."""

    at_ms: Millis
    today_micros: Micros
    """Since local midnight, settled and estimated."""
    today_open_micros: Micros
    """At most this much more."""
    today_unpriced: int
    rate_micros_per_hour: Micros
    """At the pace of the last 15 minutes, without what is only reserved."""
    windows: tuple[Window, ...]


def status_line(status: Status, when: Sequence[str]) -> str:
    """Return one line of ASCII; `when` has the words for each window's `reached_ms`."""
    today = f"today {usd(status.today_micros)}"
    if status.today_open_micros:
        today += f" + up to {usd(status.today_open_micros)}"
    if status.today_unpriced:
        today += f" + ? {number_of(status.today_unpriced, 'call')} unpriced"
    parts = [today]
    for window in status.windows:
        if window.cap_micros is None:
            if window.name == "hour":
                parts.append(f"hour {usd(window.spent_micros)}")
            continue
        used = f"{window.name} {usd(window.spent_micros)} of {usd(window.cap_micros)}"
        if window.cap_micros:
            used += f" ({window.spent_micros * 100 // window.cap_micros} %)"
        parts.append(used)
    parts.append(f"{usd(status.rate_micros_per_hour)}/h")
    parts += [
        f"{window.name} limit reached at {words} at this rate"
        for window, words in zip(status.windows, when, strict=True)
        if words
    ]
    return " | ".join(parts)


def status_json(status: Status) -> dict[str, Any]:
    """Return the status as plain values."""
    return {"schema": 1, **msgspec.to_builtins(status)}


# --- forecast ------------------------------------------------------------------------------------


class Outlook(Struct, frozen=True):
    """The end of the month at the rate of the last days."""

    days: int
    """How many were asked for: 7 or 30."""
    full_days: int
    """How many of them there were since the first call."""
    days_with_calls: int
    low_micros: Micros | None = None
    """None: not enough data."""
    expected_micros: Micros | None = None
    high_micros: Micros | None = None


class Forecast(Struct, frozen=True):
    """The month so far, and as it may end."""

    month: str
    """As 2026-11."""
    ends: str
    """Its last day, as 2026-11-30."""
    spent_micros: Micros
    open_micros: Micros
    unpriced: int
    outlooks: tuple[Outlook, ...]


def forecast_text(forecast: Forecast) -> str:
    """Return the month so far and a line for each rate."""
    so_far = f"{forecast.month} so far: {usd(forecast.spent_micros)}"
    if forecast.open_micros:
        so_far += f", and at most {usd(forecast.open_micros)} unsettled"
    lines = [so_far]
    if forecast.unpriced:
        lines.append(f"? {number_of(forecast.unpriced, 'call')} unpriced: in none of these sums")
    for each in forecast.outlooks:
        head = f"at the rate of the last {each.days} days:"
        if each.expected_micros is None:
            with_calls = f"calls on {number_of(each.days_with_calls, 'day')} before today"
            lines.append(f"{head} not enough data ({with_calls}, 3 are needed)")
            continue
        low, high = usd(each.low_micros or 0), usd(each.high_micros or 0)
        days = (
            ""
            if each.full_days == each.days
            else f"; of {each.full_days} days since the first call"
        )
        lines.append(
            f"{head} {usd(each.expected_micros)} by {forecast.ends} (80 %: {low} to {high}{days})"
        )
    return "\n".join(lines)


def forecast_json(forecast: Forecast) -> dict[str, Any]:
    """Return the forecast as plain values."""
    return {"schema": 1, **msgspec.to_builtins(forecast)}


# --- estimate ------------------------------------------------------------------------------------


class Usual(Struct, frozen=True):
    """What half and nine tenths of the tasks stayed within."""

    tasks: int
    """How many tell."""
    p50: int
    p90: int


class Estimate(Struct, frozen=True):
    """What a task of a model usually takes here."""

    provider: str
    model: str
    why: str
    """Why this provider: chosen, or what stands for it."""
    tasks: int
    """Done by this model on this machine."""
    cost_micros: Usual | None
    """None: too few tasks tell."""
    steps: Usual | None
    active_ms: Usual | None
    unpriced: int
    """Tasks with calls that have no known price: their cost tells nothing."""
    limits: dict[str, int | None]
    """In force for a new task, by name; the names end in their units."""


def estimate_text(found: Estimate) -> str:
    """Return what is known, a line for each number, and the limits in force."""
    model = f"{visible(found.provider)}/{visible(found.model) or '(its own model)'}"
    if found.steps is None:
        lines = [f"not enough history: {number_of(found.tasks, 'task')} of this model ({model})"]
    else:
        lines = [f"{model}: {number_of(found.tasks, 'finished task')} on this machine"]
    shown = (
        ("cost", found.cost_micros, usd),
        ("steps", found.steps, count),
        ("time", found.active_ms, duration),
    )
    for name, usual, show in shown:
        if usual is not None:
            fewer = "" if usual.tasks == found.tasks else f" (of {number_of(usual.tasks, 'task')})"
            lines.append(
                f"{name}: half up to {show(usual.p50)}, nine in ten up to {show(usual.p90)}{fewer}"
            )
    if found.unpriced:
        lines.append(
            f"  ? {number_of(found.unpriced, 'task')} with unpriced calls: not in the cost"
        )
    lines.append("limits in force: " + ", ".join(_limits(found.limits)))
    lines.append("No call was made.")
    return "\n".join(lines)


def _limits(limits: dict[str, int | None]) -> Iterator[str]:
    for name, cap in limits.items():
        words = name.removesuffix("_micros").removesuffix("_ms").replace("_", " ")
        if cap is None:
            yield f"{words} none"
        elif name.endswith("_micros"):
            yield f"{words} {usd(cap)}"
        else:
            yield f"{words} {duration(cap) if name.endswith('_ms') else count(cap)}"


def duration(ms: Millis) -> str:
    """Return e.g. "340 ms", "4.2 s", "3 min 20 s" or "2 h 5 min"."""
    if ms < 1_000:
        return f"{ms} ms"
    if ms < 60_000:
        return f"{ms // 1_000}.{ms % 1_000 // 100} s"
    minutes, seconds = divmod(ms // 1_000, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    return f"{minutes // 60} h {minutes % 60} min"


def estimate_json(found: Estimate) -> dict[str, Any]:
    """Return the estimate as plain values."""
    return {"schema": 1, **msgspec.to_builtins(found)}


# --- prices --------------------------------------------------------------------------------------


class Step(Struct, frozen=True):
    """Unit prices of requests with more input than `above` tokens."""

    above: int
    rates: Rates


class PriceLine(Struct, frozen=True):
    """What a model's tokens will be charged at."""

    provider: str
    model: str
    steps: tuple[Step, ...]
    """Empty: no price is known."""
    source: str
    """configuration, genai-prices and its version, local, script or unpriced."""
    where: str = ""
    """The file of a price from the configuration."""


def prices_text(lines: Sequence[PriceLine], width: int, plain: bool = False) -> str:
    """Return a table of prices."""
    if not lines:
        return "No model has been used here, and none is configured."
    rows = list(_price_rows(lines))
    heads = ("Input", "Read", "Write", "Output")
    columns = [Column(head, [row[1][n] for row in rows]) for n, head in enumerate(heads)]
    columns.append(Column("From", [row[2] for row in rows], left=True, least=12, rank=1))
    made = table("Model", [row[0] for row in rows], columns, width, plain=plain)
    remarks = ["In dollars per million tokens; Read and Write are those of the provider's cache."]
    if any(not line.steps for line in lines):
        remarks.append("? no price is known: it is never taken for free. Set it under [prices].")
    remarks += [f"{line.source}: {visible(line.where)}" for line in lines if line.where][:1]
    made += ["", *(piece for remark in remarks for piece in wrapped(remark, width))]
    return "\n".join(made)


def prices_json(lines: Sequence[PriceLine]) -> dict[str, Any]:
    """Return the prices as plain values, in micro-dollars per million tokens."""
    return {"schema": 1, "models": msgspec.to_builtins(list(lines))}


def _price_rows(lines: Sequence[PriceLine]) -> Iterator[tuple[str, list[str], str]]:
    """Yield name, the four prices and the source of each step, as text."""
    for line in lines:
        name = f"{visible(line.provider)}/{visible(line.model)}"
        if not line.steps:
            yield name, ["?"] * 4, line.source
        for step in line.steps:
            rates = step.rates
            amounts = (rates.input, rates.cache_read, rates.cache_write, rates.output)
            shown = [_unit(amount) for amount in amounts]
            if step.above:
                yield f"  input above {count(step.above)}", shown, ""
            else:
                yield name, shown, line.source


def _unit(micros: Micros) -> str:
    """A price of a million tokens: cents at least, and never rounded."""
    dollars, rest = divmod(micros, 1_000_000)
    return f"${dollars:,}.{f'{rest:06d}'.rstrip('0').ljust(2, '0')}"
