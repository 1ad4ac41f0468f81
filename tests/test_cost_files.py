"""Cost reports for spreadsheets and web pages: whole, exact, and nothing in them acts."""

import csv
import io

import pytest

from agentctl.reports import cost_files
from agentctl.reports.costs import CostLine, CostReport, total


def report(by, *lines):
    return CostReport(by, lines, total(lines))


LINE = CostLine("2026-11-01", 3, 1, 500, 400, 10, 7, 107, 12_345_678, 1, 43_000, -5)


def read(text):
    return list(csv.DictReader(io.StringIO(text + "\n", newline="")))


def test_csv_has_every_field_and_exact_dollars():
    assert read(cost_files.csv(report("day", LINE))) == [
        {
            "day": "2026-11-01", "calls": "3", "unpriced": "1", "input": "500",
            "cache_read": "400", "cache_write": "10", "output": "7", "tokens_processed": "107",
            "cost_usd": "12.345678", "estimated": "1", "open_usd": "0.043000",
            "saved_usd": "-0.000005", "pruned_usd": "0.000000",
        }
    ]  # fmt: skip


def test_csv_of_nothing_is_its_head():
    assert cost_files.csv(report("day")).startswith("day,calls,unpriced,")
    assert read(cost_files.csv(report("day"))) == []


def test_with_a_breakdown_a_column_of_csv_still_adds_up():
    parts = (CostLine("p/a", 1, cost_micros=1), CostLine("p/b", 2, cost_micros=2))
    rows = read(cost_files.csv(report("day", CostLine("d", 3, cost_micros=3, parts=parts))))
    assert [(row["day"], row["by model"], row["calls"]) for row in rows] == [
        ("d", "p/a", "1"),
        ("d", "p/b", "2"),
    ]


@pytest.mark.parametrize(
    "key",
    ["=1+1", "+1+1", "-1+1", "@SUM(A1)", " =1", "＝1", "=cmd|' /C calc'!A0", '="a"', "-", "=a\nb"],
)
def test_a_formula_becomes_text(key):
    (row,) = read(cost_files.csv(report("project", CostLine(key))))
    assert row["project"] == "'" + key.replace("\n", "\\x0a")


@pytest.mark.parametrize("number", ["-1", "+2.50", "-0.000005"])
def test_a_number_stays_one(number):
    assert cost_files.csv_cell(number) == number


@pytest.mark.parametrize("key", ['a,b "c"', "a;b", "tab\there", "\x1b[2Jx", "\u202eabc", "a|b", ""])
def test_any_text_comes_back_with_its_invisible_characters_shown(key):
    made = cost_files.csv(report("project", CostLine(key)))
    (row,) = read(made)
    assert row["project"] == key.encode("unicode_escape").decode().replace("\\t", "\\x09")
    assert not set(made) & set("\x1b\u202e\t")


def test_markdown_has_the_lines_and_the_total_with_what_is_unpriced():
    lines = cost_files.markdown(report("day", LINE)).splitlines()
    assert len({line.count("|") for line in lines[:4]}) == 1
    assert lines[0].startswith("| day | calls | unpriced |")
    assert lines[2].startswith("| 2026-11-01 | 3 | 1 | 500 |")
    assert lines[3].startswith("| Total | 3 | 1 |")
    assert lines[-1] == "? 1 calls unpriced: not in the cost"


def test_nothing_in_a_cell_of_markdown_is_markup():
    nasty = "a|b <img src=x> ![x](http://x) `c` *d* \\| \x1b \n e"
    line = cost_files.markdown(report("project", CostLine(nasty))).splitlines()[2]
    shown = "a\\|b \\<img src=x\\> \\!\\[x\\](http://x) \\`c\\` \\*d\\* \\\\\\| "
    assert line.startswith(f"| {shown}")
    assert "\x1b" not in line


def test_tasks_have_their_goal_beside_them():
    made = report("task", CostLine("t1", 1, label="=count, the files"))
    assert read(cost_files.csv(made))[0]["goal"] == "'=count, the files"
    assert "| t1 | =count, the files |" in cost_files.markdown(made)
