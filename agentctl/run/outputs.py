"""What a tool gave, as it is told to the model: large outputs are set aside and shown in part."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from msgspec.structs import replace

from agentctl.core.events import ToolEnded
from agentctl.core.rows import StoredOutput
from agentctl.core.sanitize import storable
from agentctl.core.values import Millis, ToolCall
from agentctl.ports import ToolResult

SHOWN_BYTES_MAX = 14_000
"""About 4,000 tokens: a larger output is stored whole and shown as head and tail."""
HEAD_BYTES = 8_000
TAIL_BYTES = 4_000


def ended(
    call: ToolCall, status: str, result: ToolResult, duration_ms: Millis
) -> tuple[ToolEnded, Sequence[StoredOutput]]:
    """The fact of a call that has ended, and what is to be stored beside it."""
    whole = _ended(call, status, result, duration_ms)
    work = result.work
    if work is not None:
        used = {"child_cost_micros": work.cost_micros, "child_tokens": work.tokens}
        whole = (replace(whole[0], child=work.task_id, **used), whole[1])
    return whole


def _ended(
    call: ToolCall, status: str, result: ToolResult, duration_ms: Millis
) -> tuple[ToolEnded, Sequence[StoredOutput]]:
    text = storable(result.text)
    if len(text) <= SHOWN_BYTES_MAX // 4 or len(raw := text.encode()) <= SHOWN_BYTES_MAX:
        return ToolEnded(call.id, call.name, text, status, duration_ms), ()
    ref = hashlib.sha256(raw).hexdigest()[:16]
    head = raw[:HEAD_BYTES].decode(errors="ignore")
    tail = raw[-TAIL_BYTES:].decode(errors="ignore")
    shown = (
        f"{head}\n[… {len(raw) - HEAD_BYTES - TAIL_BYTES:,} of {len(raw):,} bytes left out; "
        f'read_output(id="{ref}") shows them …]\n{tail}'
    )
    whole = ToolEnded(call.id, call.name, shown, status, duration_ms, ref, len(raw))
    return whole, (StoredOutput(ref, text),)
