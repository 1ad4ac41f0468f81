"""The state home: who can read it, whether its database is sound, and what waits in it."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentctl.checkup.case import Case
from agentctl.reports.books import number_of
from agentctl.reports.doctor import Finding
from agentctl.reports.text import usd
from agentctl.store.lockfile import look
from agentctl.store.opening import SCHEMA_VERSION, corrupt, reader, translated

if TYPE_CHECKING:
    from agentctl.control import Desk

OTHERS = 0o077
NAMED_MAX = 3
"""More files than this are counted, not named."""
CLOCK_SLACK_MS = 60_000
ANOTHER = "Name another folder: export AGENTCTL_HOME=…"


def folder(case: Case) -> Iterator[Finding]:
    """Whether the state home is private and can be written to."""
    if not case.home.exists():
        above = next(each for each in case.home.parents if each.exists())
        if os.access(above, os.W_OK | os.X_OK):
            yield Finding("state home", "note", f"{case.home} is made by the first run")
        else:
            yield Finding("state home", "problem", f"{case.home} cannot be made in {above}",
                          ANOTHER)  # fmt: skip
        return
    why = ""
    if not case.home.is_dir():
        why = f"{case.home} is not a folder"
    elif not os.access(case.home, os.W_OK | os.X_OK):
        why = f"{case.home} cannot be written to"
    if why:
        yield Finding("state home", "problem", why, f"ls -ld {case.home}\n{ANOTHER}")
        return
    yield from _rights(case)


def _rights(case: Case) -> Iterator[Finding]:
    entries = list(_entries(case.home))
    foreign = [path for path, found in entries if found.st_uid != os.geteuid()]
    links = [path for path, found in entries if stat.S_ISLNK(found.st_mode)]
    open_to_others = [
        path
        for path, found in entries
        if found.st_mode & OTHERS and not stat.S_ISLNK(found.st_mode) and path not in foreign
    ]
    if foreign:
        yield Finding("state home", "problem", f"not yours: {_named(foreign, case.home)}",
                      f"sudo chown -R {os.geteuid()} {case.home}")  # fmt: skip
    if links:
        # Nothing of agentctl makes one: what is written there may end anywhere.
        yield Finding("state home", "warning", f"links: {_named(links, case.home)}",
                      ANOTHER)  # fmt: skip
    if open_to_others:
        what = f"others can look into {_named(open_to_others, case.home)}"
        if not case.fix:
            yield Finding("state home", "problem", what, f"chmod -R go-rwx {case.home}")
            return
        for path in open_to_others:
            path.chmod(stat.S_IMODE(path.lstat().st_mode) & ~OTHERS)
        yield Finding("state home", "ok", what, fixed="only you can now")
    elif not foreign and not links:
        size = sum(found.st_size for _, found in entries if stat.S_ISREG(found.st_mode))
        yield Finding("state home", "ok", f"{case.home}, yours alone, {size / 1e6:,.1f} MB")


def _entries(home: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """The folder and everything in it; links are not followed."""
    yield home, home.stat()
    for top, folders, files in os.walk(home):
        for name in (*folders, *files):
            path = Path(top, name)
            try:
                yield path, path.lstat()
            except FileNotFoundError:
                continue  # a lock or temporary file of a run that goes on meanwhile


def _named(paths: list[Path], home: Path) -> str:
    names = [str(path.relative_to(home)) if path != home else str(home) for path in paths]
    more = len(names) - NAMED_MAX
    return ", ".join(names[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


# --- the database -------------------------------------------------------------------------------


def database(case: Case) -> Iterator[Finding]:
    """Whether the database is sound; nothing is written. Raises StoreError and its kinds."""
    path = case.database
    if not path.exists():
        yield Finding("database", "note", "there is none yet: the first run makes it")
        return
    with translated(path):
        db = reader(path)
        try:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            check = "integrity_check" if case.full else "quick_check"
            said = db.execute(f"PRAGMA {check}(1)").fetchone()[0]
            newest = _newest_ms(db) if said == "ok" and version else 0
        finally:
            db.close()
    if said != "ok":
        raise corrupt(path, f"its integrity check says: {said}")
    size, wal = path.stat().st_size, Path(f"{path}-wal")
    found = f"{size / 1e6:,.1f} MB, schema {version}, {check.replace('_', ' ')} passed"
    if wal.exists() and wal.stat().st_size:
        # Of a run that goes on, or of one that died: the next to open the database reads it in.
        found += f", {wal.stat().st_size / 1e6:,.1f} MB more in its WAL"
    if version > SCHEMA_VERSION:
        yield Finding("database", "problem", f"{found}: written by a newer agentctl",
                      "pip install --upgrade agentctl")  # fmt: skip
    elif version < SCHEMA_VERSION:
        what = f"{found}: the next command brings it to schema {SCHEMA_VERSION}"
        yield Finding("database", "note", what)
    else:
        yield Finding("database", "ok", found)
    ahead_ms = newest - case.now_ms
    if ahead_ms > CLOCK_SLACK_MS:
        what = (
            f"it is {ahead_ms // 1000:,} s behind the newest event: it was set back, or was ahead"
        )
        yield Finding("clock", "warning", f"{what}; the money of those hours counts until then",
                      "Check it with: date")  # fmt: skip


def _newest_ms(db: Any) -> int:
    row = db.execute("SELECT max(updated_ms) FROM tasks").fetchone()
    return int(row[0] or 0)


# --- what needs the store -----------------------------------------------------------------------


def contents(case: Case) -> Iterator[Finding]:
    """The books against the log, and tasks that wait for somebody."""
    from agentctl.control import Desk  # here, as the database may have turned out unusable

    if not _is_current(case):
        return
    with Desk() as desk:
        yield from _books(case, desk)
        yield from _tasks(desk)


def _is_current(case: Case) -> bool:
    """Whether opening the store would change nothing."""
    if not case.database.exists() or not os.access(case.home, os.W_OK):
        return False
    with translated(case.database):
        db = reader(case.database)
        try:
            version: int = db.execute("PRAGMA user_version").fetchone()[0]
        finally:
            db.close()
    return version == SCHEMA_VERSION


def _books(case: Case, desk: Desk) -> Iterator[Finding]:
    from agentctl.books.check import check  # the books, as in `contents`
    from agentctl.books.ledger import LedgerBook

    path = Path(case.settings.ledger)
    found = check(desk, [LedgerBook(path)])
    left = [call for call in found.pending if not call.pid]
    if left:
        most = sum(call.at_most_micros or 0 for call in left)
        what = (
            f"{number_of(len(left), 'call')} left open by processes that died, at most {usd(most)}"
        )
        if case.fix:
            desk.settle_dead()
            yield Finding("open calls", "ok", what, fixed="settled at their reserves")
            found = check(desk, [LedgerBook(path)])
        else:
            yield Finding("open calls", "warning", what, "agentctl doctor --fix")
    told = f"{number_of(found.calls, 'call')} of {number_of(found.tasks, 'task')} compared"
    if not found.count:
        yield Finding("books", "ok", f"{told}: tables and ledger agree with the log")
        return
    first = found.differences[0]
    what = (
        f"{told}: {number_of(found.count, 'difference')}, the first in {first.book}: {first.what}"
    )
    if case.fix and not any(each.book == "log" for each in found.differences):
        yield _rebuilt(desk, path, what)
    else:
        yield Finding("books", "problem", what,
                      "See them: agentctl costs check\nagentctl costs rebuild")  # fmt: skip


def _rebuilt(desk: Desk, path: Path, what: str) -> Finding:
    from agentctl.assembly import ledger  # the runner's parts, only to write the file
    from agentctl.books.ledger import LedgerBook
    from agentctl.books.rebuild import rebuild

    rebuild(desk, [LedgerBook(path)])
    ledger(desk, path).export()
    return Finding("books", "ok", what, fixed="tables and ledger are written anew from the log")


def locks(case: Case) -> Iterator[Finding]:
    """Which locks are held, and by whom. Raises StoreError."""
    files = sorted((case.home / "locks").glob("*.lock"))
    holders = [(path.stem, holder) for path in files if (holder := look(path)) is not None]
    held = ", ".join(f"{name} by {holder}" for name, holder in holders[:NAMED_MAX])
    more = len(holders) - NAMED_MAX
    held += f" and {more} more" if more > 0 else ""
    left = len(files) - len(holders)
    free = f"{number_of(left, 'file')} of locks that nobody holds, and that keep out nobody"
    parts = [part for part, is_so in ((f"held: {held}", holders), (free, left)) if is_so]
    yield Finding("locks", "ok", "; ".join(parts) or "none is held")


def _tasks(desk: Desk) -> Iterator[Finding]:
    statuses = Counter(row.status for row in desk.tasks(ended=False))
    if not statuses:
        yield Finding("tasks", "ok", "none waits for you")
        return
    found = ", ".join(f"{number} {status}" for status, number in sorted(statuses.items()))
    if statuses["interrupted"]:
        yield Finding("tasks", "note", f"{found}: interrupted ones lost their process",
                      "agentctl resume --all")  # fmt: skip
    else:
        yield Finding("tasks", "ok", found)
