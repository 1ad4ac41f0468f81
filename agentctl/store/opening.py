"""Opening the database so that it can be trusted, and the one border for SQLite's errors."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from agentctl.errors import StoreCorrupt, StoreError, StoreNewer

SCHEMA_VERSION = 4
"""What this version writes. Kept apart from migrations.py, whose imports are heavy."""
PAGE_BYTES = 8192
"""Events of 2 to 3 kB leave a third of a 4 kB page empty, and next to nothing of this one."""
FIXED_SQLITE = (3, 51, 3)
"""First release without the WAL-reset bug, by which two connections that checkpoint at the same
moment can corrupt the file (SQLite's own change log)."""
BUSY_MS = 10_000


def sqlite_module() -> ModuleType:
    """The SQLite module to use: pysqlite3 where it is installed, else Python's own if fixed."""
    try:
        module = import_module("pysqlite3.dbapi2")
    except ImportError:
        module = import_module("sqlite3")  # only then: loading both would cost every start
    if module.sqlite_version_info < FIXED_SQLITE:
        raise StoreError(
            f"The SQLite here is {module.sqlite_version}, which can corrupt a database that "
            "several processes write (its WAL-reset bug, fixed in 3.51.3).",
            kept="Nothing was opened.",
            next_step="Type: pip install 'pysqlite3>=0.6.1'",
        )
    return module


def connect(path: Path) -> Any:
    """Open the database at `path`, made private, checked after a crash and migrated."""
    module = sqlite_module()
    with translated(path):
        _make_private(path)
        if _alone_with_leftovers(path):
            _check(path)
        db = module.connect(str(path), isolation_level=None, timeout=BUSY_MS / 1000)
        try:
            _prepare(db, path)
        except BaseException:
            db.close()
            raise
    return db


def reader(path: Path) -> Any:
    """A connection that changes nothing, also of a database that this version cannot use."""
    # Where nothing can be written there can be no index of the WAL; without a WAL none is needed.
    frozen = not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists()
    mode = "immutable=1" if frozen else "mode=ro"
    uri = f"{path.absolute().as_uri()}?{mode}"
    return sqlite_module().connect(uri, uri=True, timeout=BUSY_MS / 1000)


def _check(path: Path) -> None:
    """Read everything without writing: a writer that closes folds the WAL into a damaged file."""
    db = reader(path)
    try:
        if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise corrupt(path, "its integrity check failed after a crash")
    finally:
        db.close()


def _prepare(db: Any, path: Path) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise StoreNewer(
            f"The state in {path} was written by a newer agentctl (schema {version}, this one "
            f"knows {SCHEMA_VERSION}).",
            kept="Nothing was changed.",
            next_step="Update agentctl, or use another state home with AGENTCTL_HOME.",
        )
    if version == 0:
        db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    if version < SCHEMA_VERSION:
        from agentctl.store.migrations import migrate  # heavy, and seldom needed

        migrate(db, version)


def _make_private(path: Path) -> None:
    """Create folder and file readable by their owner only, from the first instant."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


_held: dict[Path, int] = {}


def _alone_with_leftovers(path: Path) -> bool:
    """Whether nobody else has the database open and the last who had did not close it.

    Every process holds a shared lock while it lives; who gets it exclusively is alone. A WAL that
    is left then belongs to a process that died.
    """
    with _whether_alone(path) as is_alone:
        wal = Path(f"{path}-wal")
        return is_alone and wal.exists() and wal.stat().st_size > 0


def alone(path: Path) -> bool:
    """Whether no other process has the database open; one may come at any moment."""
    with _whether_alone(path) as is_alone:
        return is_alone


@contextmanager
def _whether_alone(path: Path) -> Iterator[bool]:
    if path not in _held:
        _held[path] = os.open(f"{path}-users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    handle = _held[path]
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        is_alone = False
    else:
        is_alone = True
    try:
        yield is_alone
    finally:
        fcntl.flock(handle, fcntl.LOCK_SH)


def corrupt(path: Path, why: str) -> StoreCorrupt:
    """The error for a database that cannot be trusted."""
    return StoreCorrupt(
        f"The database {path} is damaged: {why}.",
        kept="It was left as it is.",
        next_step=f"Keep a copy, then try: sqlite3 {path} .recover | sqlite3 recovered.db",
    )


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's and the system's errors into ours, told with what was kept."""
    try:
        yield
    except Exception as error:
        ours = translation(path, error)
        if ours is None:
            raise
        raise ours from error


def translation(path: Path, error: Exception) -> StoreError | None:
    """Our error for one of SQLite's or the system's; None for any other."""
    if isinstance(error, OSError):
        return _unusable(path, error.strerror or str(error))
    # Two modules may be in play, so errors are told by name: both follow PEP 249.
    if type(error).__module__ not in ("sqlite3", "pysqlite3.dbapi2", "pysqlite3._sqlite3"):
        return None
    text = str(error)
    if "malformed" in text or "not a database" in text:
        return corrupt(path, text)
    return _unusable(path, text)


def _unusable(path: Path, why: str) -> StoreError:
    return StoreError(
        f"The state in {path.parent} cannot be used: {why}.",
        kept="Every step that was shown as done is on disk.",
        next_step="Free space or mend its rights, or name another folder with AGENTCTL_HOME; "
        "then type the same command again, or: agentctl list",
    )
