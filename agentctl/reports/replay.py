"""What a replay has found, as text and for programs. Nothing here prints."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from agentctl.core import events as e
from agentctl.core.values import Millis
from agentctl.reports.text import count, visible

SHOWN_CHARS = 300


class Diverged(Protocol):
    """The first event that came out otherwise: see replay.life.Divergence."""

    @property
    def seq(self) -> int:
        """Its number."""
        ...

    @property
    def recorded(self) -> e.Recorded | None:
        """None where the recording ends before."""
        ...

    @property
    def came(self) -> e.Event:
        """What came now."""
        ...

    @property
    def at_ms(self) -> Millis:
        """When."""
        ...


def identical(events: int, processes: int) -> str:
    """All came out as it was recorded."""
    runs = "1 process" if processes == 1 else f"{count(processes)} processes"
    return f"{count(events)} events of {runs} lived again: byte-identical, $0.00."


def divergence_text(found: Diverged) -> str:
    """The first event that came out otherwise, field by field if it is of the same kind."""
    kind, fields = _parts(found.came)
    if found.recorded is None:
        return f"Event {found.seq}: the recording ends, and now comes {kind} {_shown(fields)}"
    was, before = _parts(found.recorded.event)
    if was != kind:
        return (
            f"Event {found.seq} came out otherwise.\n"
            f"  recorded: {was} {_shown(before)}\n  now:      {kind} {_shown(fields)}"
        )
    lines = [f"Event {found.seq}, {kind}, came out otherwise."]
    for name in sorted(before.keys() | fields.keys()):
        if before.get(name) != fields.get(name):
            lines += [f"  {name}", f"    recorded: {_shown(before.get(name))}"]
            lines += [f"    now:      {_shown(fields.get(name))}"]
    if found.recorded.at_ms != found.at_ms:
        lines += [
            "  at_ms",
            f"    recorded: {found.recorded.at_ms}",
            f"    now:      {found.at_ms}",
        ]
    return "\n".join(lines)


class Live(Protocol):
    """What calling tools again has found: see replay.live.LiveOutcome."""

    @property
    def equal(self) -> int:
        """Calls with the recorded result."""
        ...

    @property
    def left_out(self) -> int:
        """Calls that were not made again."""
        ...

    @property
    def different(self) -> Any:
        """The first with another result, or None."""
        ...


def live_text(found: Live) -> str:
    """How the results of tools compare with the recorded ones."""
    calls = "1 call" if found.equal == 1 else f"{count(found.equal)} calls"
    text = f"{calls} of tools made again: the same results"
    if found.left_out:
        text += f" ({count(found.left_out)} not made: they did not run then either)"
    if found.different is None:
        return f"{text}."
    one = found.different
    return (
        f"{text}, up to event {one.seq}: {visible(one.tool)} {_shown(one.arguments)}\n"
        f"  recorded: {one.recorded_status}: {_shown(one.recorded)}\n"
        f"  now:      {visible(one.status)}: {_shown(one.text)}"
    )


def divergence_json(found: Diverged | None) -> dict[str, Any] | None:
    """The same for programs."""
    if found is None:
        return None
    kind, fields = _parts(found.came)
    made: dict[str, Any] = {"seq": found.seq, "recorded": None}
    if found.recorded is not None:
        was, before = _parts(found.recorded.event)
        made["recorded"] = {"at_ms": found.recorded.at_ms, "kind": was, "event": before}
    return {**made, "now": {"at_ms": found.at_ms, "kind": kind, "event": fields}}


def _parts(event: e.Event) -> tuple[str, dict[str, Any]]:
    kind, body = e.to_json(event)
    fields: dict[str, Any] = msgspec.json.decode(body)
    return kind, fields


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    line = visible(text)
    return line if len(line) <= SHOWN_CHARS else f"{line[:SHOWN_CHARS]}…"
