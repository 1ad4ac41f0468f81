"""A cost report as CSV or Markdown: every line and every field. Nothing here prints.

What stands in a cell may come from a model or a folder's name, and a spreadsheet or a web page
would act on it: formulas are made text, control characters visible, Markdown's signs escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agentctl.core.values import Micros
from agentctl.reports.costs import CostLine, CostReport
from agentctl.reports.text import visible

FIELDS = (
    "calls", "unpriced", "input", "cache_read", "cache_write", "output", "tokens_processed",
    "cost_usd", "estimated", "open_usd", "saved_usd", "pruned_usd",
)  # fmt: skip
_FORMULA = "=+-@＝＋－＠"  # spreadsheets take the wide ones for the others
_QUOTED = set(",;|\"' ")
_SIGNS = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_[]<>|&#~!"})


def csv(report: CostReport) -> str:
    """Return the lines as CSV with a head and without a total, so that a column can be summed.

    With a breakdown there is a row for each model, not for the line as a whole.
    """
    parted = any(line.parts for line in report.lines)
    rows = [_heads(report, parted=parted)]
    for line, part in _each(report, parted=parted):
        rows.append([line.key, *_more(report, line, part, parted=parted), *_numbers(part)])
    return "\r\n".join(",".join(map(csv_cell, row)) for row in rows)


def markdown(report: CostReport) -> str:
    """Return the lines and their total as a table in Markdown."""
    parted = any(line.parts for line in report.lines)
    heads = _heads(report, parted=parted)
    words = len(heads) - len(FIELDS)
    rows = [heads, ["---"] * words + ["---:"] * len(FIELDS)]
    for line, part in _each(report, parted=parted):
        cells = [line.key, *_more(report, line, part, parted=parted)]
        rows.append([*map(markdown_cell, cells), *_numbers(part)])
    rows.append(["Total", *[""] * (words - 1), *_numbers(report.total)])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    if report.total.unpriced:
        lines += ["", f"? {report.total.unpriced} calls unpriced: not in the cost"]
    return "\n".join(lines)


def csv_cell(text: str) -> str:
    """One cell: no formula, no control character, in quotes where it needs them."""
    shown = visible(text)
    if shown.strip() and shown.lstrip()[0] in _FORMULA and not _is_number(shown):
        shown = f"'{shown}"
    return '"' + shown.replace('"', '""') + '"' if _QUOTED & set(shown) else shown


def _is_number(text: str) -> bool:
    whole, dot, rest = (text[1:] if text[:1] in ("+", "-") else text).partition(".")
    digits = [whole, rest] if dot else [whole]
    return all(part.isascii() and part.isdigit() for part in digits)


def markdown_cell(text: str) -> str:
    """One cell: nothing in it is Markdown or HTML."""
    return visible(text).translate(_SIGNS)


def dollars(micros: Micros) -> str:
    """Dollars to the micro-dollar, without a sign or thousands: 12.345678."""
    whole, rest = divmod(abs(micros), 1_000_000)
    return f"{'-' if micros < 0 else ''}{whole}.{rest:06d}"


def _heads(report: CostReport, *, parted: bool) -> list[str]:
    label = ["goal"] if report.by == "task" else []
    return [report.by, *label, *(["by model"] if parted else []), *FIELDS]


def _each(report: CostReport, *, parted: bool) -> Iterator[tuple[CostLine, CostLine]]:
    for line in report.lines:
        for part in line.parts if parted else (line,):
            yield line, part


def _more(report: CostReport, line: CostLine, part: CostLine, *, parted: bool) -> Sequence[str]:
    label = [line.label] if report.by == "task" else []
    return [*label, part.key] if parted else label


def _numbers(line: CostLine) -> list[str]:
    money = {
        "cost_usd": line.cost_micros,
        "open_usd": line.open_micros,
        "saved_usd": line.saved_micros,
        "pruned_usd": line.pruned_micros,
    }
    return [dollars(money[name]) if name in money else str(getattr(line, name)) for name in FIELDS]
