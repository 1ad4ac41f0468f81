"""What a task would be sent now, message by message. Nothing here prints.

Only the whole can be reported by a provider; the tokens of each message are our estimate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from agentctl.core.rows import TaskRow
from agentctl.core.values import POLICIES
from agentctl.reports.columns import Column, ascii_only, table, wrapped
from agentctl.reports.text import count, visible

if TYPE_CHECKING:
    # Only for the checker: they bring a task's whole state with them.
    from agentctl.core.context_view import Piece, Sight
    from agentctl.core.tokens import NextRequest
    from agentctl.core.values import Message

SAID_CHARS = 60
TOGETHER = 3
"""So many dropped messages in a row are shown as one line."""
SHOWN = {"arguments": "shortened"}


class ContextReport(Struct, frozen=True):
    """Everything that `context` shows."""

    row: TaskRow
    sight: Sight
    bytes_per_ktoken: int
    """With this every estimate is made."""
    tools: int
    tools_bytes: int
    """Names, descriptions and parameters of the tools."""
    next: NextRequest
    window: int | None
    """Tokens that the model's context holds; None: nobody knows."""
    most: int | None
    """Above so many tokens a request is shortened in any case; None: the policy has no such."""
    most_why: str = ""

    def tokens(self, size_bytes: int) -> int:
        """Estimate."""
        return size_bytes * 1000 // self.bytes_per_ktoken

    @property
    def system_tokens(self) -> int:
        """Of the system prompt, estimated."""
        return self.tokens(len(self.sight.state.created.system.encode()))

    @property
    def whole_tokens(self) -> int:
        """Of the next request: what was reported, and an estimate of what came since."""
        # Before the first report nothing knows of the tools but we.
        return self.next.tokens + (0 if self.next.reported else self.tokens(self.tools_bytes))


class _Line(Struct, frozen=True):
    """A row of the table."""

    key: str
    role: str = ""
    tokens: int = 0
    whole: int = 0
    fate: str = "kept"
    why: str = ""
    said: str = ""


def text(report: ContextReport, width: int, *, plain: bool = False) -> str:
    """Return the total, a line for each message and how to read them, at most `width` wide."""
    row, rows = report.row, list(_lines(report))
    title = visible(" ".join(f"Task {row.id} {row.name or row.goal}".split()))
    head = title if len(title) <= width else title[: max(width - 1, 1)] + "…"
    columns = [
        Column("Role", [line.role for line in rows], left=True),
        Column("Tokens", [count(line.tokens) for line in rows]),
        Column("Whole", [_other(line) for line in rows], rank=3),
        Column("Sent", [SHOWN.get(line.fate, line.fate) for line in rows], left=True),
        Column("Why", [line.why for line in rows], left=True, least=8, rank=1),
        Column("Text", [line.said for line in rows], left=True, least=8, rank=2),
    ]
    lines = [*_wrapped([head, *_totals(report)], width, plain=plain), ""]
    lines += table("No.", [line.key for line in rows], columns, width, rules=(2,), plain=plain)
    return "\n".join([*lines, "", *_wrapped(_remarks(report), width, plain=plain)])


def as_json(report: ContextReport) -> dict[str, Any]:
    """Return the next request, and each message with what becomes of it."""
    sight, ahead = report.sight, report.next
    return {
        "schema": 1,
        "task_id": report.row.id,
        "provider": sight.state.provider,
        "model": sight.state.model,
        "policy": sight.state.policy.name,
        "tokens": report.whole_tokens,
        "reported": ahead.reported,
        "estimated": report.whole_tokens - ahead.reported,
        "bytes_per_ktoken": report.bytes_per_ktoken,
        "window_tokens": report.window,
        "most_tokens": report.most,
        "most_why": report.most_why,
        "prunes": sight.prunes,
        "why": sight.pruned.why if sight.pruned is not None else "",
        "system_tokens": report.system_tokens,
        "tools": report.tools,
        "tools_tokens": report.tokens(report.tools_bytes),
        "messages": [
            {
                "number": piece.number,
                "role": piece.message.role,
                "tokens": report.tokens(piece.sent_bytes),
                "whole_tokens": report.tokens(piece.whole_bytes),
                "sent": piece.fate,
                "why": piece.why,
                "calls": [call.id for call in piece.message.calls],
                "call_id": piece.message.call_id,
                "begins": _said(piece.message, {}),
            }
            for piece in sight.pieces
        ],
    }


def _lines(report: ContextReport) -> Iterator[_Line]:
    system, tools = report.system_tokens, report.tokens(report.tools_bytes)
    yield _Line("system", "", system, system, why="always", said="prompt and rules")
    yield _Line("tools", "", tools, tools, why="always", said=f"{report.tools} descriptions")
    pieces = report.sight.pieces
    names = {call.id: call.name for piece in pieces for call in piece.message.calls}
    for run in _runs(report.sight.pieces):
        if len(run) >= TOGETHER:
            whole = report.tokens(sum(piece.whole_bytes for piece in run))
            key = f"{run[0].number}-{run[-1].number}"
            said = f"{count(len(run))} messages"
            yield _Line(key, "", 0, whole, run[0].fate, run[0].why, said)
        else:
            yield from (_line(report, piece, names) for piece in run)


def _runs(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Each piece alone, but dropped ones in a row together."""
    run: list[Piece] = []
    for piece in pieces:
        if run and not (piece.fate == run[-1].fate in ("dropped", "summarised")):
            yield run
            run = []
        run.append(piece)
    if run:
        yield run


def _line(report: ContextReport, piece: Piece, names: dict[str, str]) -> _Line:
    return _Line(
        str(piece.number or "note"),
        piece.message.role,
        report.tokens(piece.sent_bytes),
        report.tokens(piece.whole_bytes),
        "kept" if piece.fate == "note" else piece.fate,
        piece.why,
        _said(piece.message, names),
    )


def _other(line: _Line) -> str:
    """The size of the message itself, where something else is sent."""
    return count(line.whole) if line.whole != line.tokens and line.whole else ""


def _said(message: Message, names: dict[str, str]) -> str:
    """How a message begins, on one line."""
    parts = [f"{names[message.call_id]}:"] if message.call_id in names else []
    parts += [message.text[: 4 * SAID_CHARS]]
    parts += [f"{call.name} {call.arguments[: 4 * SAID_CHARS]}" for call in message.calls[:4]]
    said = visible(" ".join(" ".join(parts).split()))
    return said if len(said) <= SAID_CHARS else said[: SAID_CHARS - 1] + "…"


def _totals(report: ContextReport) -> Iterator[str]:
    whole, ahead, sight = report.whole_tokens, report.next, report.sight
    about = "~" if whole != ahead.reported else ""
    said = f"Next request: {about}{count(whole)} tokens"
    if report.window:
        said += f", {_percent(whole, report.window)} of the window of {count(report.window)}"
    yield said
    name = sight.state.policy.name
    if name not in POLICIES:
        yield f"Policy {visible(name)}: an installed package decides what is left out"
    elif report.most is None:
        yield f"Policy {name}: nothing is left out unless the model says it is too much"
    else:
        yield (
            f"Policy {name}: at {_percent(whole, report.most)} of {count(report.most)} tokens, "
            f"above which a request is shortened ({report.most_why})"
        )
    if sight.pruned is None:
        yield "Shortened: never yet"
    else:
        times = "once" if sight.prunes == 1 else f"{count(sight.prunes)} times"
        yield f"Shortened: {times}; the last time because {visible(sight.pruned.why)}"


def _percent(part: int, whole: int) -> str:
    return f"{part * 100 // max(whole, 1)} %"


def _remarks(report: ContextReport) -> Iterator[str]:
    each = f"{report.bytes_per_ktoken / 1000:.2f} bytes a token"
    reported = report.next.reported
    if reported:
        yield (
            f"{count(reported)} tokens of the whole were reported with the last answer. Those of "
            f"each line are estimated, at {each}, and need not add up to it."
        )
    else:
        yield f"All tokens are estimated, at {each}: nothing is reported yet."
    if any(piece.fate not in ("kept", "note") for piece in report.sight.pieces):
        yield (
            "What is left out can be read again: by the model with read_output, by you with "
            f"agentctl show {report.row.id} --output CALL."
        )


def _wrapped(texts: Sequence[str] | Iterator[str], width: int, *, plain: bool) -> list[str]:
    return [line for text in texts for line in wrapped(ascii_only(text) if plain else text, width)]
