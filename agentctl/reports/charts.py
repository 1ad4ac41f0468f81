"""Charts as SVG for pages: drawn to any width, with every figure to be read by pointing at it.

Words and numbers stand beside the drawing, in HTML: within it they would be drawn out with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from msgspec import Struct

LEAST_SLOTS = 16
"""A few bars are not drawn as wide as a page."""
HIGH = 100.0


class Series(Struct, frozen=True):
    """Amounts of one kind, one for each step; bars of several stand on each other."""

    name: str
    amounts: Sequence[int]
    tone: str = "a"
    """Its colour: a, b (pale) or c, as the style sheet has them."""


def chart(
    title: str,
    series: Sequence[Series],
    words: Callable[[int], str],
    *,
    line: Series | None = None,
    cap: tuple[str, int] | None = None,
) -> str:
    """A bar for each step, and with `line` and `cap` what they add up to and a bound of that.

    Bars and line have one scale each if both are given, named at their own sides.
    """
    count = len(series[0].amounts)
    if not count:
        return ""
    tops = [sum(each.amounts[step] for each in series) for step in range(count)]
    most = max(*tops, 1)
    slots = max(count, LEAST_SLOTS)
    drawn = [
        f'<svg viewBox="0 0 {slots} {HIGH:g}" preserveAspectRatio="none" role="img"'
        f' aria-label="{escape(title)}">'
    ]
    drawn += [f'<path class="grid" d="M0 {y}H{slots}"/>' for y in (0.5, 50, 99.5)]
    for step in range(count):
        drawn += _bar(step, series, words, most, thin=slots > 150)
    right = ""
    if line is not None:
        end = max(line.amounts[-1], cap[1] if cap and _is_near(cap[1], line) else 0, 1)
        points = " ".join(
            f"{place + 0.5:g},{HIGH - amount * HIGH / end:.2f}"
            for place, amount in enumerate(line.amounts)
        )
        drawn.append(f'<polyline class="line" points="{points}"/>')
        if cap and _is_near(cap[1], line):
            y = max(HIGH - cap[1] * HIGH / end, 0.5)
            drawn.append(f'<path class="cap" d="M0 {y:.2f}H{slots}"/>')
        right = _scale(end, words, "right")
    drawn.append("</svg>")
    legend = "".join(
        f'<span><i class="{each.tone}"></i>{escape(each.name)}</span>' for each in series
    )
    if line is not None:
        legend += f'<span><i class="sum"></i>{escape(line.name)} (right)</span>'
        if cap and _is_near(cap[1], line):
            legend += f'<span><i class="bound"></i>{escape(cap[0])}</span>'
    share = f"{count * 100 / slots:.2f}%"
    return (
        f"<figure><figcaption>{escape(title)}<span class=legend>{legend}</span></figcaption>"
        f"<div class=plot>{_scale(most, words, 'left')}{''.join(drawn)}{right}</div>"
        f'<div class=steps><span style="width:{share}"><b>step 1</b>'
        f"{f'<b>{count}</b>' if count > 1 else ''}</span></div></figure>"
    )


def _is_near(cap: int, line: Series) -> bool:
    """Whether a bound can be drawn without making the line flat."""
    return cap <= line.amounts[-1] * 4


def _bar(
    step: int, series: Sequence[Series], words: Callable[[int], str], most: int, *, thin: bool
) -> list[str]:
    told = ", ".join(f"{each.name} {words(each.amounts[step])}" for each in series)
    drawn, base = [f"<g><title>{escape(f'step {step + 1}: {told}')}</title>"], HIGH
    wide, left = (1.0, step) if thin else (0.8, step + 0.1)
    for each in series:
        high = each.amounts[step] * HIGH / most
        if high > 0:
            base -= high
            drawn.append(
                f'<rect class="{each.tone}" x="{left:g}" y="{base:.2f}"'
                f' width="{wide:g}" height="{high:.2f}"/>'
            )
    # The whole slot can be pointed at, however low its bar is.
    drawn.append(f'<rect class="hit" x="{step}" y="0" width="1" height="{HIGH:g}"/></g>')
    return drawn


def _scale(most: int, words: Callable[[int], str], side: str) -> str:
    return (
        f'<div class="scale {side}"><span>{escape(words(most))}</span>'
        f"<span>{escape(words(most // 2))}</span><span>0</span></div>"
    )
