"""Tasks as a list that fits its terminal. Nothing here prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from agentctl.core.rows import TaskRow
from agentctl.core.values import Millis
from agentctl.reports.columns import Column, table
from agentctl.reports.task_look import cost
from agentctl.reports.tasks import STYLES, age
from agentctl.reports.text import count, visible

NONE_YET = "No task yet. Start one with: agentctl run 'Summarise README.md'"
NONE_SUCH = "No task is like that. See all with: agentctl list --all"
DEEP = 3
"""Deeper children stand as far in as those."""


def task_list(
    rows: Sequence[TaskRow], now_ms: Millis, width: int, plain: bool, *, chosen: bool = False
) -> Text:
    """The list; tasks that work for another are below it. `chosen`: not all were asked for."""
    if not rows:
        return Text(NONE_SUCH if chosen else NONE_YET)
    placed = list(_placed(rows))
    keys = [f"{'  ' * (min(deep, DEEP) - 1)}└ {row.id}" if deep else row.id for row, deep in placed]
    ordered = [row for row, _ in placed]
    ids = {row.id for row in rows}
    columns = [
        Column("Status", [row.status for row in ordered], left=True),
        Column("Age", [age(now_ms - row.created_ms) for row in ordered], rank=2),
        Column("Steps", [count(row.steps) for row in ordered], rank=3),
        Column("Cost", [cost(row) for row in ordered], rank=1),
        Column("Goal", [_goal(row, ids) for row in ordered], left=True, least=18),
    ]
    lines = table("Task", keys, columns, width, plain=plain)
    begin = lines[0].index("Status")
    text = Text(no_wrap=True, overflow="ignore")
    for place, line in enumerate(lines):
        styled = Text(line)
        if place < 2:
            styled.stylize("dim" if place else "bold")
        else:
            status = ordered[place - 2].status
            styled.stylize(STYLES.get(status, ""), begin, begin + len(status))
        text.append_text(styled).append("\n")
    text.right_crop(1)
    return text


def _placed(rows: Sequence[TaskRow]) -> Iterator[tuple[TaskRow, int]]:
    """Each row with how deep it stands below others of the list."""
    ids = {row.id for row in rows}
    below: dict[str, list[TaskRow]] = {}
    tops: list[TaskRow] = []
    for row in rows:
        is_below = row.origin == "child" and row.parent in ids and row.parent != row.id
        (below.setdefault(row.parent, []) if is_below else tops).append(row)
    waiting = [(row, 0) for row in reversed(tops)]
    while waiting or below:
        if not waiting:  # what is left names each other, as only an imported log can
            waiting = [(row, 0) for row in below.pop(next(iter(below)))]
        row, deep = waiting.pop()
        yield row, deep
        # As they were begun: the first of them is the last of the list, and the next to be taken.
        waiting += [(each, deep + 1) for each in below.pop(row.id, ())]


def _goal(row: TaskRow, ids: set[str]) -> str:
    """What it is for, behind where it comes from if that cannot be seen."""
    goal = " ".join((f"{row.name}: {row.goal}" if row.name else row.goal).split())
    hint = ""
    if row.origin == "batch":
        hint = f"[{row.parent} #{row.item}] "
    elif row.origin == "fork" or (row.origin and row.parent not in ids):
        hint = f"[{row.origin} of {row.parent}] "
    return visible(f"{hint}{goal}")
