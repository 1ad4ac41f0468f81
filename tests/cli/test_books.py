"""costs status, forecast, check, rebuild, prices and run --estimate, as they are typed."""

from __future__ import annotations

import sqlite3

from tests.cli.parts import Place, Terminal
from tests.cli.test_startup import LIBRARIES, imported

RATES = {"input": 2, "output": 10}
USAGE = {"input": 1_000, "output": 100}


def spent(place: Place, **more: object) -> None:
    """A run of one call that cost $0.003."""
    place.turns({"text": "done", "usage": USAGE}, rates=RATES)
    assert place.run().code == 0


def damage(place: Place, text: str) -> None:
    db = sqlite3.connect(place.home / "agentctl.db")
    with db:
        db.execute(text)
    db.close()


def test_books_agree_after_runs_of_every_kind(place: Place) -> None:
    spent(place)
    place.turns(
        {"fault": {"status": 503}},
        {"text": "a", "usage": USAGE},
        {"fault": "cut"},
        {"text": "b"},
        rates=RATES,
    )
    place.run()
    place.run("x", "--max-cost", "0.0001")
    found = place.cli("costs", "check")
    assert found.code == 0, found.out
    assert found.out.endswith("no difference\n")


def test_a_difference_is_named_with_exit_code_1_and_a_rebuild_puts_it_right(place: Place) -> None:
    spent(place)
    damage(place, "UPDATE usage SET cost_micros = 2000")
    damage(place, "DELETE FROM sums")
    found = place.cli("costs", "check")
    assert found.code == 1
    assert "cost: the log says $0.003000, the table $0.002000" in " ".join(found.out.split())
    assert found.out.endswith("1 call of 1 task compared: 2 differences\n")
    assert place.cli("costs", "check", "--json").json["count"] == 2
    dry = place.cli("costs", "rebuild", "--dry-run")
    assert (dry.code, "Nothing was written" in dry.out) == (0, True)
    assert place.cli("costs", "check").code == 1
    assert place.cli("costs", "rebuild", "--json").json["written"] is True
    assert place.cli("costs", "check").code == 0
    assert place.cli("costs", "rebuild").out == "Nothing differed; the ledger file is written.\n"


def test_a_rebuild_writes_the_ledger_file_too(place: Place) -> None:
    spent(place)
    path = place.home / ".cost_history.json"
    path.write_text("{}", encoding="utf-8")
    assert place.cli("costs", "check").code == 1
    assert place.cli("costs", "rebuild").code == 0
    assert place.cli("costs", "check").code == 0
    path.unlink()
    found = place.cli("costs", "check")
    assert (found.code, "there is no .cost_history.json" in found.out) == (0, True)


def test_an_export_is_compared_and_one_that_is_none_is_refused(place: Place) -> None:
    spent(place)
    (task,) = place.cli("list", "--json").json
    day = place.cli("costs", "report", "--json").json["lines"][0]["key"]
    file = place.work / "export.csv"
    head = "date,provider,model,input_tokens,output_tokens,cost_usd\n"
    row = f"{day},scripted,{task['model']},1000,100,"
    file.write_text(f"{head}{row}0.003\n", encoding="utf-8")
    assert place.cli("costs", "check", "--provider-export", str(file)).code == 0
    assert place.cli("costs", "check", "--provider-export", "").code == 2
    file.write_text(f"{head}{row}0.004\n", encoding="utf-8")
    found = place.cli("costs", "check", "--provider-export", str(file))
    assert found.code == 1
    assert "ours $0.003000, theirs $0.004000" in " ".join(found.out.split())
    file.write_text("a,b\n1,2\n", encoding="utf-8")
    found = place.cli("costs", "check", "--provider-export", str(file))
    assert found.code == 2
    assert "Its columns are: a, b." in " ".join(found.err.split())


def test_the_status_is_one_line(place: Place) -> None:
    assert place.cli("costs", "status").out.startswith("today $0.00 | hour $0.00 of $10.00")
    spent(place)
    found = place.cli("costs", "status")
    assert found.out == "today $0.0030 | hour $0.0030 of $10.00 (0 %) | $0.01/h\n"
    assert place.cli("costs", "status", "--json").json["today_micros"] == 3_000


def test_the_status_says_when_a_limit_will_be_reached(place: Place) -> None:
    spent(place)
    found = place.cli("costs", "status", MAX_COST_PER_HOUR="0.01")
    assert "of $0.01 (30 %)" in found.out
    assert "hour limit reached at " in found.out


def test_the_status_needs_neither_tables_nor_an_event_loop(place: Place) -> None:
    place.cli("list")
    heavy = {*LIBRARIES, "asyncio", "sqlite_utils", "rich", "csv"}
    assert not imported(place, "costs", "status") & heavy


def test_a_forecast_of_a_young_home_says_that_it_cannot_tell(place: Place) -> None:
    spent(place)
    found = place.cli("costs", "forecast")
    assert "so far: $0.0030" in found.out
    assert found.out.count("not enough data") == 2
    assert place.cli("costs", "forecast", "--json").json["spent_micros"] == 3_000


def test_prices_say_where_they_come_from(place: Place) -> None:
    place.user_file.write_text(
        '[prices."openai/mine"]\ninput = 1.5\noutput = 6\n', encoding="utf-8"
    )
    found = place.cli("costs", "prices", "mine").out
    assert "openai/mine" in found
    assert "$1.50" in found
    assert "configuration" in found
    assert "genai-prices" in place.cli("costs", "prices", "anthropic/claude-opus-5-5").out
    (line,) = place.cli("costs", "prices", "mine", "--json").json["models"]
    assert line["where"] == str(place.user_file)


def test_an_estimate_makes_no_call_and_no_task(place: Place) -> None:
    for _ in range(5):
        spent(place)
    found = place.cli("run", "--estimate", "x", "--script", str(place.script))
    assert found.code == 0, found.err
    assert "5 finished tasks on this machine" in found.out
    assert "cost: half up to $0.0030, nine in ten up to $0.0030" in found.out
    assert len(place.cli("list", "--json").json) == 5
    young = place.cli("run", "--estimate", "x", "--provider", "anthropic")
    assert young.out.startswith("not enough history: 0 tasks of this model")
    assert "limits in force: task cost $0.50, hour cost $10.00" in young.out


def test_on_a_terminal_the_lines_fit(place: Place) -> None:
    spent(place)
    damage(place, "DELETE FROM usage")
    with Terminal(place, "costs", "check") as terminal:
        assert terminal.end() == 1
    lines = terminal.text.replace("\r", "").splitlines()
    assert max(map(len, lines)) <= 80
    assert "(in the log, not in the table)" in " ".join(" ".join(lines).split())
