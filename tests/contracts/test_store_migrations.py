"""State that an older version wrote opens in this one, with nothing lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agentctl.core import events as e
from agentctl.core.state import fold
from agentctl.store import queries
from agentctl.store.migrations import REBUILD_SUMS
from agentctl.store.opening import SCHEMA_VERSION, sqlite_module
from agentctl.store.sqlite import SqliteStore

NOW = 1_790_003_603_000
SAVED = sorted(Path(__file__).parent.glob("schema_*.sql"))
"""A dump of every schema that was ever released, written by the version that had it."""


@pytest.fixture(params=SAVED, ids=lambda path: path.stem)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqliteStore]:
    path = tmp_path / "agentctl.db"
    old = sqlite_module().connect(str(path))
    old.executescript(request.param.read_text(encoding="utf-8"))
    old.close()
    opened = SqliteStore(path)
    yield opened
    opened.close()


def test_every_schema_before_this_one_is_kept_as_a_test() -> None:
    assert [path.stem for path in SAVED] == [f"schema_{n}" for n in range(1, SCHEMA_VERSION)]


def test_it_is_brought_to_this_version(store: SqliteStore) -> None:
    assert store.connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION


def test_every_task_folds_as_before(store: SqliteStore) -> None:
    done, cut = (fold(store.read(task)) for task in ("1aaaaaaa", "1bbbbbbb"))
    assert (done.status, done.answer, done.spent_micros) == ("done", "Three files.", 3_140)
    assert (cut.status, cut.spent_micros, cut.failures) == ("running", 8_000, 1)
    assert cut.asked is not None
    assert (done.created.account, done.fallbacks, done.home) == (
        "default", (), ("anthropic", "claude-sonnet-5.5"),
    )  # fmt: skip


def test_its_sums_are_filled_from_its_calls(store: SqliteStore) -> None:
    rows = store.connection.execute("SELECT * FROM sums ORDER BY 1, 2, 3").fetchall()
    store.connection.execute("DELETE FROM sums")
    store.connection.execute(REBUILD_SUMS)
    assert rows == store.connection.execute("SELECT * FROM sums ORDER BY 1, 2, 3").fetchall()
    assert sum(row[9] for row in rows) == 3_140
    assert sum(row[11] for row in rows) == 8_000


def test_its_open_call_can_be_settled_and_its_task_goes_on(store: SqliteStore) -> None:
    assert queries.tasks_with_open_calls(store.connection) == ["1bbbbbbb"]
    failed = e.ModelFailed("interrupted", "died", retriable=True, charged_micros=8_000)
    again = e.ModelAsked(3, "openai", "gpt-6.1-terra", 500, 1_500, 400)
    assert store.append("1bbbbbbb", None, [failed], NOW, intents=[again]).refused == ""
    assert fold(store.read("1bbbbbbb")).spent_micros == 16_000


def test_what_it_spent_still_counts_for_the_hour(store: SqliteStore) -> None:
    assert store.shared("default", (), NOW).hour_spent_micros == 19_140
