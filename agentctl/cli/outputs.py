"""show --output: a tool's output, whole."""

from __future__ import annotations

from collections.abc import Sequence

from agentctl.cli.output import say, say_json
from agentctl.core import events as e
from agentctl.core.context import ARGUMENTS_OF, stored
from agentctl.errors import UsageError
from agentctl.reports.text import count, visible

LISTED = 20


def show_output(task: str, ref: str, *, json: bool) -> None:
    """Print an output of a task, named by its hash or by the id of its call, or `args:` a call's.

    Raises UsageError for an unknown one, with those that there are.
    """
    from agentctl.control import Desk  # the store, not needed for --help
    from agentctl.core.state import fold

    with Desk() as desk:
        row = desk.find(task)
        log = desk.store.read(row.id)
        ends = _ends(log)
        hashes = {end.output_ref for end in ends.values() if end.output_ref}
        end = _meant(ends, ref)
        whole_ref = ref if ref in hashes else end.output_ref if end is not None else ""
        text = desk.store.output(whole_ref) if whole_ref else None
    if text is None and end is not None:
        text = end.text
    if text is None:
        text = stored(fold(log).messages, ref)
    if text is None:
        raise _unknown(row.id, ref, list(ends.values()))
    if json:
        say_json({"task_id": row.id, "output": ref, "bytes": len(text.encode()), "text": text})
    else:
        say(text)


def _ends(log: Sequence[e.Recorded]) -> dict[str, e.ToolEnded]:
    """The end of each call, by its id; of two with one id the first, as read_output has it."""
    found: dict[str, e.ToolEnded] = {}
    for record in log:
        if isinstance(record.event, e.ToolEnded):
            found.setdefault(record.event.call_id, record.event)
    return found


def _meant(ends: dict[str, e.ToolEnded], ref: str) -> e.ToolEnded | None:
    """The end of a call; where it only refers to an earlier one of this task, that one's."""
    end = ends.get(ref)
    seen = {ref}
    while end is not None and end.spared_bytes and end.reused in ends and end.reused not in seen:
        seen.add(end.reused)
        end = ends[end.reused]
    return end


def _unknown(task_id: str, ref: str, ends: Sequence[e.ToolEnded]) -> UsageError:
    what = f"Task {task_id} has no output {ref!r}."
    if not ends:
        return UsageError(what, next_step="No call of a tool has ended in it yet.")
    lines = ["It has those of these calls (id, tool, bytes, hash of a large one):"]
    lines += [
        f"  {visible(end.call_id)}  {visible(end.tool)}  "
        f"{count(end.output_bytes or len(end.text.encode()))}  {end.output_ref}".rstrip()
        for end in ends[:LISTED]
    ]
    if len(ends) > LISTED:
        more = count(len(ends) - LISTED)
        lines.append(f"and {more} more; all are in: agentctl show {task_id} --events")
    lines.append(f"The arguments of a call: agentctl show {task_id} --output {ARGUMENTS_OF}ID")
    return UsageError(what, next_step="\n".join(lines))
