"""What of old tasks can be done without, and taking it out. Money stays: every call and every sum.

Only tasks that have ended are touched, family by family: the items of a batch and the tasks that
others began together. A task's events, look-ups and answers go in one transaction, so that a crash
leaves it whole or as a husk.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec import Struct

from agentctl.control import ENDED, Desk
from agentctl.core.husk import husk
from agentctl.core.state import FINAL, fold
from agentctl.core.values import Millis
from agentctl.errors import StoreError, TaskBusy
from agentctl.reports.retention import Plan, Removable
from agentctl.store import opening
from agentctl.store import retention as sql
from agentctl.store.book_queries import reading, writing
from agentctl.store.lease import Lease
from agentctl.store.opening import translated

OLD_MS: Millis = 90 * 86_400_000
YOUNG_MS: Millis = 86_400_000
"""For the sake of room alone nothing that ended within a day is taken out."""
FOLDERS = ("live", "logs")
"""Of the state home: what tasks have printed beside the database, in files with their ids."""
FREE_SHARE = 5
"""The file is written anew when at least one part of so many is free in it."""


class _Task(Struct, frozen=True):
    number: int
    id: str
    family: str
    status: str
    updated_ms: Millis
    removed: bool


def plan(desk: Desk, now_ms: Millis, older_ms: Millis | None, max_bytes: int | None) -> Plan:
    """Say what would be taken out: what ended so long ago, and the oldest until the rest fits."""
    with translated(desk.store.path), reading(desk.store.connection):
        db = desk.store.connection
        used_bytes, free_bytes = sql.pages(db)
        sizes = sql.outputs(db)
        owners: dict[str, set[int]] = defaultdict(set)
        refs: dict[int, set[str]] = defaultdict(set)
        for number, ref in sql.references(db, sizes):
            owners[ref].add(number)
            refs[number].add(ref)
        orphans = sum(size for ref, size in sizes.items() if ref not in owners)
        found = Plan(used_bytes, free_bytes, sum(1 for ref in sizes if ref not in owners), orphans)
        left_bytes = used_bytes - orphans
        for family in _families(sql.tasks(db)):
            ended_ms = max(task.updated_ms for task in family)
            is_old = older_ms is not None and now_ms - ended_ms >= older_ms
            is_much = max_bytes is not None and left_bytes > max_bytes
            if not is_old and not (is_much and now_ms - ended_ms >= YOUNG_MS):
                continue
            for task in family:
                if task.removed:
                    continue
                events, event_bytes = sql.size(db, task.number)
                output_bytes = 0
                for ref in refs[task.number]:
                    owners[ref].discard(task.number)
                    output_bytes += 0 if owners[ref] else sizes.get(ref, 0)
                left_bytes -= event_bytes + output_bytes
                file_bytes = sum(path.stat().st_size for path in _files(desk.home, task.id))
                found.tasks.append(
                    Removable(task.id, ended_ms, events, event_bytes, output_bytes, file_bytes)
                )
    return found


def _families(rows: Iterable[tuple[int, str, str, str, str, Millis, bool]]) -> list[list[_Task]]:
    """Tasks that belong together and have all ended, the family that ended first at the front."""
    above: dict[str, str] = {}
    families: dict[str, list[_Task]] = defaultdict(list)
    for number, task_id, origin, parent, status, updated_ms, removed in rows:
        # A fork has a copy of its own. What a task began has a higher number than the task.
        family = above.get(parent, parent) if parent and origin != "fork" else task_id
        above[task_id] = family
        families[family].append(_Task(number, task_id, family, status, updated_ms, removed))
    whole = [each for each in families.values() if all(task.status in ENDED for task in each)]
    return sorted(whole, key=lambda each: max(task.updated_ms for task in each))


def apply(desk: Desk, found: Plan, now_ms: Millis, complain: Callable[[str], None]) -> Plan:
    """Take out what the plan names; return what was, with the sizes from before and after."""
    done = Plan(found.used_bytes, found.free_bytes)
    with translated(desk.store.path):
        done.orphans, done.orphan_bytes = _drop_orphans(desk)
    for each in found.tasks:
        if _remove(desk, each.id, now_ms):
            done.tasks.append(each)
    with translated(desk.store.path):
        if done.tasks:
            _drop_orphans(desk)  # those of the tasks
        _shrink(desk, complain)
        done.after_bytes = sum(sql.pages(desk.store.connection))
    return done


def _remove(desk: Desk, task_id: str, now_ms: Millis) -> bool:
    """Leave the husk of a task's log; False where it is in use or has not ended after all."""
    try:
        held = Lease(desk.locks, task_id)
    except TaskBusy:
        return False
    try:
        number = desk.store.number(task_id)
        with translated(desk.store.path), writing(desk.store.connection):
            log = desk.store.read(task_id)
            state = fold(log)
            if state.status not in FINAL or state.asked is not None or state.removed is not None:
                return False
            _, size_bytes = sql.size(desk.store.connection, number)
            sql.rewrite(desk.store.connection, number, husk(log, size_bytes, now_ms))
        with translated(desk.store.path):
            for path in _files(desk.home, task_id):
                path.unlink(missing_ok=True)
        return True
    finally:
        held.release(forget=True)


def _files(home: Path, task_id: str) -> list[Path]:
    return [path for folder in FOLDERS for path in (home / folder).glob(f"{task_id}.*")]


def _drop_orphans(desk: Desk) -> tuple[int, int]:
    """Take out outputs that no event refers to; return their number and bytes.

    Reading all events may take long, so others go on writing meanwhile. An ended task's log no
    longer grows: what the others and new ones refer to is looked at again before anything goes.
    """
    db = desk.store.connection
    with reading(db):
        ended = {row[0] for row in sql.tasks(db) if row[4] in ENDED}
        sizes = sql.outputs(db)
        unused = sizes.keys() - {ref for _, ref in sql.references(db, sizes)}
    if not unused:
        return 0, 0
    with writing(db):
        for row in sql.tasks(db):
            if row[0] not in ended:
                unused -= {ref for _, ref in sql.references(db, unused, row[0])}
        sql.drop_outputs(db, unused)
    return len(unused), sum(sizes[ref] for ref in unused)


def _shrink(desk: Desk, complain: Callable[[str], None]) -> None:
    """Give free room in the file back, where that is worth it and nobody else has it open."""
    used_bytes, free_bytes = sql.pages(desk.store.connection)
    if free_bytes * FREE_SHARE < used_bytes + free_bytes:
        return
    if not opening.alone(desk.store.path):
        complain(
            "The file keeps its size, as others have it open; new runs use what is free in it."
        )
        return
    try:
        with translated(desk.store.path):
            desk.store.connection.execute("VACUUM")
            desk.store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except StoreError as error:  # the room is free in the file all the same
        complain(f"The file keeps its size: {error.what}")
