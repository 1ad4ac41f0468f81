"""A copy of the database that is whole, made while others write to it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from msgspec import Struct

from agentctl.errors import StoreError, UsageError
from agentctl.store.opening import BUSY_MS, corrupt, reader, sqlite_module, translated


class Copied(Struct, frozen=True):
    """A copy that was made."""

    bytes: int
    tasks: int


def backup(source: Path, target: Path, *, force: bool) -> Copied:
    """Put a copy of the database at `target`, for its owner only, in one step and durably.

    Raises UsageError where there is a file already or none can be made, and StoreError for a
    database that cannot be read or is damaged; nothing is left behind then.
    """
    if not source.exists():
        raise StoreError(
            f"There is no database yet in {source.parent}.",
            kept="Nothing was written.",
            next_step="See where it should be with: agentctl info",
        )
    if target.is_dir() or (target.exists() and not force):
        raise UsageError(
            f"{target} is there already.",
            kept="It was left as it is.",
            next_step="Name another file, or replace this one with --force",
        )
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        os.close(os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        tasks = _copy(source, temporary)
        _sync(temporary)
        size_bytes = temporary.stat().st_size
        temporary.replace(target)
        _sync(target.parent)  # a rename is only durable once its folder is
    except OSError as error:
        raise _unwritable(target, error.strerror or str(error)) from error
    except StoreError as error:
        if "full" not in error.what:
            raise
        raise _unwritable(target, "there is no room") from error
    finally:
        for left in (temporary, Path(f"{temporary}-journal")):
            with contextlib.suppress(OSError):
                left.unlink()
    return Copied(size_bytes, tasks)


def _unwritable(target: Path, why: str) -> UsageError:
    return UsageError(
        f"{target} cannot be written: {why}.",
        kept="No copy was made; the database is as it was.",
        next_step="Name a file in a folder of yours with room in it.",
    )


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _copy(source: Path, temporary: Path) -> int:
    """Copy and check; return how many tasks there are."""
    with (
        translated(source),
        contextlib.closing(reader(source)) as db,
        contextlib.closing(_opened(temporary)) as copy,
    ):
        # All pages in one step are one moment; who writes to the WAL meanwhile is not held up.
        db.backup(copy)
        # It is to be one file on its own, with no WAL beside it.
        copy.execute("PRAGMA journal_mode = DELETE")
        said = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
        tasks: int = copy.execute("SELECT count(*) FROM tasks").fetchone()[0]
    if said != "ok":
        raise corrupt(source, f"the integrity check of its copy says: {said}")
    return tasks


def _opened(path: Path) -> Any:
    return sqlite_module().connect(str(path), isolation_level=None, timeout=BUSY_MS / 1000)
