"""Look-ups that are not paid twice: an earlier result in place of a new one.

The tool says whether the earlier result still holds; here it is found, and what the model is told
is settled: the result again, or, if the model has it before it, one line that refers to it.
"""

from __future__ import annotations

from msgspec.structs import replace

from agentctl.core import lookups
from agentctl.core.events import ToolEnded
from agentctl.core.lookups import Lookup
from agentctl.core.state import State
from agentctl.core.values import Millis, ToolCall
from agentctl.ports import Store, ToolResult


class Reuse:
    """Earlier results that one task may be given."""

    def __init__(self, store: Store, task_id: str, state: State, ttl_ms: Millis) -> None:
        """Those of other tasks are good for `ttl_ms`, its own until they change."""
        self._store, self._task_id, self._state, self._ttl_ms = store, task_id, state, ttl_ms

    def earlier(self, call: ToolCall, now_ms: Millis) -> Lookup | None:
        """The last result of the same call, if this task may be given it. Raises StoreError."""
        found = self._store.looked_up(self._key(call))
        if found is None or not lookups.usable(found, self._task_id, now_ms, self._ttl_ms):
            return None
        return found

    def settled(
        self,
        ended: ToolEnded,
        call: ToolCall,
        result: ToolResult,
        earlier: Lookup | None,
        now_ms: Millis,
    ) -> ToolEnded:
        """The fact of a look-up: says where its result is from, or how it can be found again."""
        if ended.status != "ok" or not result.proof:
            return ended
        if earlier is None or not result.again:
            return replace(ended, lookup=self._key(call), proof=result.proof)
        reference = lookups.reference(earlier, self._task_id)
        if ended.parent:  # another tool takes it, which has nothing before it to be referred to
            return replace(ended, reused=reference)
        standing_id = lookups.standing(earlier, call, self._state.sent)
        told = lookups.pointer(call.name, standing_id)
        spared_bytes = len(ended.text.encode()) - len(told.encode())
        if standing_id and spared_bytes >= lookups.SPARED_MIN_BYTES:
            short = ToolEnded(ended.call_id, ended.tool, told, duration_ms=ended.duration_ms)
            return replace(
                short, reused=standing_id, spared_bytes=spared_bytes, attempts=ended.attempts
            )
        text = ended.text + lookups.note(now_ms - earlier.at_ms)
        return replace(ended, text=text, reused=reference)

    def _key(self, call: ToolCall) -> str:
        created = self._state.created
        return lookups.key(call.name, call.arguments, created.cwd, created.account)
