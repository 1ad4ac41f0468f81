"""A whole task as one HTML page that needs nothing else: to be kept or mailed.

Every text of a person, a model or a tool is escaped; there is no script.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from agentctl.core.steps import Act, Step
from agentctl.reports.charts import Series, chart
from agentctl.reports.html_style import STYLE
from agentctl.reports.task_look import (
    Look,
    cost,
    duration,
    facts,
    model,
    price,
    related_words,
    status,
    tokens_words,
)
from agentctl.reports.task_markdown import short
from agentctl.reports.task_step import arguments
from agentctl.reports.text import count, usd, visible

TONES = {"done": "good", "running": "good", "failed": "bad", "interrupted": "bad"}


def page(look: Look) -> str:
    """Its answer, figures, charts, tools and every step."""
    title = _text(look, f"{look.row.id} {look.row.name or look.row.goal}"[:120])
    return (
        "<!doctype html>\n"
        '<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # Nothing is fetched or run, whatever might have come through.
        '<meta http-equiv="Content-Security-Policy"'
        " content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{title}</title><style>{STYLE}</style></head><body><main>\n"
        + "\n".join(_parts(look))
        + "\n</main></body></html>\n"
    )


def _parts(look: Look) -> Iterator[str]:
    row, state = look.row, look.state
    tone = TONES.get(row.status, "dull" if row.status == "cancelled" else "slow")
    name = f"<strong>{_text(look, row.name)}</strong> " if row.name else ""
    yield (
        f'<header><p class="id">{name}<code>{row.id}</code>'
        f'<span class="status {tone}">{_text(look, row.status)}</span></p>'
        f"<h1>{_text(look, state.created.goal)}</h1></header>"
    )
    yield f'<section class="tiles">{"".join(_tiles(look))}</section>'
    if state.stopped is not None and row.status != "done":
        yield f'<p class="stopped">{_text(look, state.stopped.reason)}</p>'
    if state.answer and row.status == "done":
        answer = f'<div class="answer">{_text(look, state.answer)}</div>'
        yield f"<section><h2>Answer</h2>{answer}</section>"
    answered = [step for step in look.steps if step.answer is not None]
    if answered:
        yield f'<section class="charts">{_charts(look, answered)}</section>'
    if any(step.acts for step in look.steps):
        yield f"<section><h2>Tools</h2>{_tools(look)}</section>"
    if look.steps:
        yield "<section><h2>Steps</h2>"
        yield from (_step(look, step) for step in look.steps)
        yield "</section>"
    rows = "".join(
        f"<tr><th>{name}</th><td>{_text(look, value)}</td></tr>"
        for name, value in (*facts(look), *related_words(look))
        if name not in ("Goal", "Task")
    )
    table = f'<div class="wide"><table class="facts">{rows}</table></div>'
    yield f"<section><h2>Task</h2>{table}</section>"


def _tiles(look: Look) -> Iterator[str]:
    state, limits = look.state, look.state.limits
    cap = limits.task_cost_micros
    for name, value, more in (
        ("Cost", cost(look.row), "" if cap is None else f"of {usd(cap)}"),
        ("Steps", count(state.steps), f"of {count(limits.steps)}" if limits.steps else ""),
        ("Tokens", count(state.tokens_processed), f"{count(state.tokens_total)} with cached ones"),
        ("Time", duration(state.active_ms), "of work"),
    ):
        yield f"<div><span>{name}</span><b>{escape(value)}</b><span>{escape(more)}</span></div>"


def _charts(look: Look, steps: list[Step]) -> str:
    usages = [step.answer.answered.usage for step in steps if step.answer and step.answer.answered]
    sums, total = [], 0
    for step in steps:
        total += step.cost_micros
        sums.append(total)
    cap = look.state.limits.task_cost_micros
    costs = ""
    if total:
        costs = chart(
            "Cost of each step",
            [Series("step", [step.cost_micros for step in steps])],
            usd,
            line=Series("in all", sums),
            cap=None if cap is None else ("limit", cap),
        )
    return costs + chart(
        "Tokens of each request",
        [
            Series("from the cache", [usage.cache_read for usage in usages], "b"),
            Series("read anew", [usage.input - usage.cache_read for usage in usages]),
            Series("answer", [usage.output for usage in usages], "c"),
        ],
        _short_count,
    )


def _short_count(number: int) -> str:
    if number < 10_000:
        return count(number)
    return f"{number / 1000:.0f}k" if number < 1_000_000 else f"{number / 1_000_000:.1f}M"


def _tools(look: Look) -> str:
    sums: dict[str, list[int]] = {}
    for act in (act for step in look.steps for act in step.acts):
        calls = sums.setdefault(act.tool, [0, 0, 0])
        calls[0] += 1
        calls[1] += act.ended is not None and act.ended.status != "ok"
        calls[2] += act.ended.duration_ms if act.ended is not None else 0
    rows = "".join(
        f"<tr><td>{_text(look, name)}</td><td>{count(calls)}</td>"
        f"<td>{count(failed) if failed else ''}</td><td>{duration(took_ms)}</td></tr>"
        for name, (calls, failed, took_ms) in sorted(sums.items(), key=lambda item: -item[1][0])
    )
    head = "<tr><th>Tool</th><th>Calls</th><th>Failed</th><th>Time</th></tr>"
    return f'<div class="wide"><table class="tools">{head}{rows}</table></div>'


def _step(look: Look, step: Step) -> str:
    answer = step.answer.answered if step.answer is not None else None
    said = " ".join(answer.message.text.split())[:160] if answer is not None else ""
    names = ", ".join(act.tool for act in step.acts if not act.parent)
    bad = any(act.ended is not None and act.ended.status != "ok" for act in step.acts)
    bad = bad or any(tried.failed is not None for tried in step.tries)
    tries = "".join(
        f"<li>{_text(look, _tried(look, step, place))}</li>" for place in range(len(step.tries))
    )
    text = answer.message.text if answer is not None else ""
    whole = f'<div class="said">{_text(look, text)}</div>' if text else ""
    told = "".join(
        f'<p><b>{_text(look, by)}</b></p><div class="said">{_text(look, words)}</div>'
        for by, words in step.told
    )
    return (
        f'<details id="step-{step.number}"><summary><span class="no">{step.number}</span>'
        f'<span class="what">{f"<b>{_text(look, names)}</b> " if names else ""}'
        f"{_text(look, said)}</span>"
        f"{'<span class=problem>problem</span>' if bad else ''}"
        f'<span class="cost">{escape(usd(step.cost_micros))}</span></summary>'
        f'<div class="in"><ul>{tries}</ul>{whole}'
        f"{''.join(_act(look, act) for act in step.acts)}{told}</div></details>"
    )


def _tried(look: Look, step: Step, place: int) -> str:
    tried = step.tries[place]
    what = "" if tried.asked.purpose == "step" else f"{tried.asked.purpose}: "
    took = f", {duration(tried.answered.duration_ms)}" if tried.answered is not None else ""
    words = f"{what}{model(tried)}, {tokens_words(tried)}, {price(tried)}{took}"
    if tried.asked.left_out_tokens:
        words += f", about {count(tried.asked.left_out_tokens)} tokens left out"
    if tried.failed is not None:
        words += f", failed ({tried.failed.reason}): {tried.failed.detail}"
    return words


def _act(look: Look, act: Act) -> str:
    took = f", {duration(act.ended.duration_ms)}" if act.ended is not None else ""
    bad = act.ended is not None and act.ended.status != "ok"
    inner = f" for {act.parent}" if act.parent else ""
    given = escape(short(look, "\n".join(arguments(act)), f"args:{act.call_id}"))
    result = act.ended.text if act.ended is not None else ""
    shown = f"<pre>{escape(short(look, result, act.call_id))}</pre>" if result else ""
    return (
        f'<div class="act"><p><b>{_text(look, act.tool)}</b> '
        f"<code>{_text(look, act.call_id)}</code>{_text(look, inner)} "
        f'<span class="{"problem" if bad else "fine"}">{_text(look, status(act))}{took}</span></p>'
        f"{f'<pre class=args>{given}</pre>' if given else ''}{shown}</div>"
    )


def _text(look: Look, text: str) -> str:
    """A text without secrets, control characters made visible, and nothing in it a tag."""
    return escape(visible(look.clean(text), newlines=True))
