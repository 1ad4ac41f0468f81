"""The end of a run as a document. A promise: see docs/events.md."""

from __future__ import annotations

from typing import Any

import msgspec

from agentctl.core.state import State


def result(task_id: str, state: State, exit_code: int | None) -> dict[str, Any]:
    """How a task stands at the end of a run."""
    answer = state.finished.text if state.finished is not None else ""
    return {
        "task_id": task_id,
        "kind": "Result",
        "outcome": state.status,
        "exit_code": exit_code,
        "answer": answer,
        "data": _data(state, answer),
        "steps": state.steps,
        "cost_micros": state.spent_micros,
        "children_cost_micros": state.children_micros,
        "unpriced_calls": state.unpriced,
        "tokens_processed": state.tokens_processed,
        "tokens_total": state.tokens_total,
        "account": state.created.account,
        "switched": [
            {"provider": event.provider, "model": event.model, "why": event.why}
            for event in state.switches
        ],
    }


def _data(state: State, answer: str) -> Any:
    """The value that the answer is, where a schema makes it JSON."""
    return msgspec.json.decode(answer) if state.status == "done" and state.created.schema else None
