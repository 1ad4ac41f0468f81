"""Names for a shell to offer: read from a database that is there, and never writing to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agentctl.store.opening import reader

MOST = 100


def tasks(path: Path, begin: str) -> list[tuple[str, str, str, str]]:
    """Id, name, status and how the goal begins of the newest tasks that are meant by `begin`."""
    sql = (
        "SELECT id, name, status, substr(goal, 1, 80) FROM tasks WHERE (id >= :begin AND id < :end)"
        " OR (name >= :begin AND name < :end) OR :begin = '' ORDER BY no DESC LIMIT :most"
    )
    end = begin + "\U0010ffff"
    return list(_rows(path, sql, {"begin": begin, "end": end, "most": MOST}))


def models(path: Path, provider: str) -> list[tuple[str, str]]:
    """Provider and model of calls that were made, of one provider or of all."""
    sql = (
        "SELECT DISTINCT provider, model FROM offers WHERE :provider = '' OR provider = :provider"
        " ORDER BY 1, 2 LIMIT :most"
    )
    return list(_rows(path, sql, {"provider": provider, "most": MOST}))


def _rows(path: Path, sql: str, values: dict[str, int | str]) -> Iterator[Any]:
    if path.exists():
        db = reader(path)
        try:
            yield from db.execute(sql, values)
        finally:
            db.close()
