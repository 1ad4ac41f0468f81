"""Providers' exports: every format is known by its columns, every difference is named."""

import json

import pytest

from agentctl.books.bill import BillBook, plain_model
from agentctl.books.check import check
from agentctl.books.export import read
from agentctl.errors import UsageError
from agentctl.reports.books import check_text
from tests.book_parts import (
    DAY,
    MODEL,
    NOW,
    answer,
    ask,
    begin,
    fail,
    opened,
    said,
)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    with opened(tmp_path, monkeypatch) as desk:
        yield desk


A_HEAD = (
    "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,"
    "usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,"
    "usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens,"
    "web_search_count,inference_geo,speed\n"
)
A_COST = "usage_date_utc,model,workspace,api_key,token_type,cost_usd,list_price_usd\n"
O_USAGE = {
    "object": "page", "has_more": False, "data": [{
        "object": "bucket", "start_time": NOW // 1000 - 43_200, "end_time": NOW // 1000,
        "results": [{
            "object": "organization.usage.completions.result", "input_tokens": 1_200,
            "output_tokens": 80, "input_cached_tokens": 1_000, "num_model_requests": 1,
            "model": "gpt-6.1-terra-2026-10-01",
        }],
    }],
}  # fmt: skip
O_COST = {
    "object": "page", "data": [{
        "start_time": NOW // 1000 - 43_200,
        "results": [
            {"amount": {"value": 0.0013, "currency": "usd"}, "line_item": "gpt-6.1-terra, input"},
            {"amount": {"value": 0.00005, "currency": "usd"}, "line_item": "gpt-6.1-terra, output"},
        ],
    }],
}  # fmt: skip
A_REPORT = {
    "has_more": False, "data": [{
        "starting_at": "2026-11-01T00:00:00Z", "ending_at": "2026-11-02T00:00:00Z",
        "results": [{
            "uncached_input_tokens": 100, "cache_read_input_tokens": 1_000, "output_tokens": 80,
            "cache_creation": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40},
            "model": "claude-sonnet-5-5-20260901",
        }],
    }],
}  # fmt: skip
A_CENTS = {
    "data": [{
        "starting_at": "2026-11-01T00:00:00Z",
        "results": [{"amount": "0.135", "currency": "USD", "model": "claude-sonnet-5-5"}],
    }],
}  # fmt: skip
GENERIC = "date,model,input_tokens,cache_read_tokens,cache_write_tokens,output_tokens,cost_usd\n"
GOOD = {
    "anthropic usage": A_HEAD + "2026-11-01,claude-sonnet-5-5-20260901,k,Default,standard,≤ 200k,"
    "100,60,40,1000,80,0,global,\n",
    "anthropic cost": A_COST + "2026-11-01,Claude Sonnet 5.5,Default,k,input_no_cache,0.0003,1\n"
    "2026-11-01,Claude Sonnet 5.5,Default,k,output,0.00105,1\n",
    "anthropic usage report": json.dumps(A_REPORT),
    "anthropic cost report": json.dumps(A_CENTS),
    "openai usage": json.dumps(O_USAGE),
    "openai costs": json.dumps(O_COST),
    "openai usage csv": "start_time,end_time,start_time_iso,end_time_iso,num_model_requests,"
    "input_tokens,output_tokens,input_cached_tokens,model\n"
    f"{NOW // 1000},,2026-11-01T00:00:00+00:00,,1,1200,80,1000,gpt-6.1-terra\n",
    "openai daily cost csv": "start_time_iso,amount_value,amount_currency\n"
    "2026-11-01T00:00:00+00:00,0.00135,usd\n",
    "generic": GENERIC + f"2026-11-01,{MODEL},1200,1000,100,80,0.00135\n",
    "semicolons and a byte order mark": "\ufeff"
    + (GENERIC + f"2026/11/1,{MODEL},1200,1000,100,80,0.00135\n").replace(",", ";"),
    "response ids": "response_id;input_tokens;cost_usd\nmsg_1;1200;0.00135\n",
    "json lines": '{"response_id": "msg_1", "output_tokens": 80, "cost_micros": 1350}\n',
    "two decimals": A_COST + "2026-11-01,Claude Sonnet 5.5,Default,k,output,0.00,0\n",
}


def billed(desk, tmp_path, text):
    provider = "openai" if any(word in text for word in ("gpt-", "amount_value")) else "anthropic"
    begin(desk, "task-a", provider=provider)
    model = MODEL if provider == "anthropic" else "gpt-6.1-terra"
    ask(desk, "task-a", 1, provider=provider, model=model)
    answer(desk, "task-a", response="msg_1")
    return compared(desk, tmp_path, text)


def compared(desk, tmp_path, text):
    file = tmp_path / "export"
    file.write_text(text, encoding="utf-8")
    return check(desk, [BillBook(read(file))])


@pytest.mark.parametrize("name", GOOD)
def test_an_export_that_says_the_same_agrees(desk, tmp_path, name):
    found = billed(desk, tmp_path, GOOD[name])
    assert said(found) == []
    assert " compared, " in found.notes[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            GOOD["anthropic usage"].replace("1000,80", "1000,81"),
            "export: 2026-11-01 claude-sonnet-5-5, output: ours 80, theirs 81",
        ),
        (
            GOOD["anthropic cost"].replace("0.00105", "0.00107"),
            "export: 2026-11-01 claude-sonnet-5-5, cost: ours $0.001350, theirs $0.001370",
        ),
        (
            GOOD["anthropic cost report"].replace("0.135", "13.5"),
            "export: 2026-11-01 claude-sonnet-5-5, cost: ours $0.001350, theirs $0.135000",
        ),
        (
            GOOD["openai usage"].replace("1200", "1300"),
            "export: 2026-11-01 gpt-6-1-terra, input: ours 1,200, theirs 1,300",
        ),
        (
            GOOD["response ids"] + "msg_2;5;0.25\n",
            "export: response msg_2 (in the export, not here, $0.25)",
        ),
        (
            GOOD["response ids"].replace("1200", "1201"),
            "export: response msg_1 (call 1 of task task-a), input: ours 1,200, theirs 1,201",
        ),
    ],
)
def test_what_an_export_says_otherwise_is_named(desk, tmp_path, text, expected):
    assert said(billed(desk, tmp_path, text)) == [expected]


def test_a_day_that_the_export_does_not_have_is_named_and_one_outside_is_not(desk, tmp_path):
    row = f"{MODEL},1200,1000,100,80,0.00135\n"
    begin(desk, "task-a")
    for call, day in enumerate((0, 1, 2, 9), 1):
        ask(desk, "task-a", call, NOW + day * DAY)
        answer(desk, "task-a", NOW + day * DAY + 1)
    found = compared(desk, tmp_path, f"{GENERIC}2026-11-01,{row}2026-11-03,{row}")
    assert said(found) == [
        f"export: 2026-11-02 {MODEL} (here, not in the export, $0.0014)".replace(".5", "-5")
    ]


def test_an_unsettled_call_explains_a_higher_bill(desk, tmp_path):
    begin(desk, "task-a")
    ask(desk, "task-a", 1)
    answer(desk, "task-a")
    ask(desk, "task-a", 2, NOW + 1_000)
    fail(desk, "task-a", NOW + 2_000, 50_000, 200)
    row = f"2026-11-01,{MODEL},2400,2000,200,160,0.0027\n"
    remarks = {each.remark for each in compared(desk, tmp_path, GENERIC + row).differences}
    assert remarks == {"1 unsettled here, at most $0.05"}


def test_another_providers_calls_and_those_that_nobody_bills_are_left_out(desk, tmp_path):
    begin(desk, "task-o")
    ask(desk, "task-o", 1, provider="openai", model="gpt-6.1-terra")
    answer(desk, "task-o")
    ask(desk, "task-o", 2, provider="ollama", model="qwen3")
    answer(desk, "task-o")
    assert said(billed(desk, tmp_path, GOOD["anthropic usage"])) == []
    assert said(compared(desk, tmp_path, GOOD["generic"])) == []


def test_a_model_that_nobody_bills_counts_where_the_file_names_it(desk, tmp_path):
    begin(desk, "task-a")
    ask(desk, "task-a", 1, provider="ollama", model="qwen3")
    answer(desk, "task-a")
    text = GENERIC + "2026-11-01,qwen3,1200,1000,100,81,0.00135\n"
    assert said(compared(desk, tmp_path, text)) == [
        "export: 2026-11-01 qwen3, output: ours 80, theirs 81"
    ]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("2026-11-01,m,x,0,0,0,0", "line 3 (input_tokens: 'x' is no number)"),
        ("2026-11-01,m,-1,0,0,0,0", "line 3 (input_tokens: '-1' is no number of tokens)"),
        ("2026-11-01,m,1.5,0,0,0,0", "line 3 (input_tokens: '1.5' is no number of tokens)"),
        ("2026-11-01,m,1,0,0,0,1e99", "line 3 (cost_usd: '1e99' is no number that can be counted)"),
        (
            "2026-11-01,m,1,0,0,0,1e9999999999999999999",
            "line 3 (cost_usd: '1e9999999999999999999' is no number)",
        ),
        ('2026-11-01,m,1,0,0,0,"1,5"', "line 3 (cost_usd: '1,5' is no number)"),
        ("2026-11-01,m,1,0,0,0,nan", "line 3 (cost_usd: 'nan' is no number that can be counted)"),
        ("yesterday,m,1,0,0,0,0", "line 3 ('yesterday' is no date)"),
        ("2026-11-01,m,1,0,0", "line 3 (5 cells, 7 columns)"),
        ("2026-11-01,\x1b[31m,x,0,0,0,0", "line 3 (input_tokens: 'x' is no number)"),
    ],
)
def test_a_bad_line_of_an_export_is_named_by_its_number(desk, tmp_path, row, expected):
    good = GENERIC + f"2026-11-01,{MODEL},1200,1000,100,80,0.00135\n"
    found = billed(desk, tmp_path, f"{good}{row}\n")
    assert said(found) == [f"export: export, {expected}"]


def test_a_number_of_json_that_is_no_number_is_named_with_its_place(desk, tmp_path):
    text = '[{"date":"2026-11-01","model":"m","cost_usd":1e9999999999999999999}]'
    (found,) = said(compared(desk, tmp_path, text))
    assert found.startswith("export: export, record 1 (cost_usd: '1e9999")


def test_thousands_may_be_apart(desk, tmp_path):
    row = f'2026-11-01,{MODEL},"1,200","1,000",100,80,0.00135\n'
    assert said(billed(desk, tmp_path, GENERIC + row)) == []


def test_an_export_without_a_line_covers_no_time(desk, tmp_path):
    found = billed(desk, tmp_path, GENERIC)
    assert (said(found), found.notes) == ([], ["export: it has no line to compare"])


def test_an_unsettled_call_without_a_price_is_never_shown_as_free(desk, tmp_path):
    begin(desk, "task-b")
    ask(desk, "task-b", 1, NOW + DAY, None)
    fail(desk, "task-b", NOW + DAY + 5, None, 200)
    text = GOOD["generic"] + "2026-11-02,other,1,0,0,1,0.01\n"
    found = said(billed(desk, tmp_path, text))
    assert (
        "export: 2026-11-02 claude-sonnet-5-5 (unsettled here, not in the export, unpriced)"
        in found
    )


def test_a_page_of_several_is_not_taken_for_the_whole(desk, tmp_path):
    text = json.dumps({**A_REPORT, "has_more": True})
    assert said(billed(desk, tmp_path, text)) == [
        "export: export, the end (the file is one page of several: has_more is true)"
    ]


def test_a_field_that_is_too_long_is_a_bad_line(desk, tmp_path):
    found = billed(desk, tmp_path, GOOD["generic"] + "x" * 200_000 + ",m,1,1,1,1,1\n")
    assert [each.what for each in found.differences] == ["export, line 3"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("when,who,how much\n1,2,3\n", "Its columns are: when, who, how_much."),
        ("", "Its columns are: none."),
        ("[]", "Its columns are: none."),
        ("{}", "Its columns are: none."),
        ('{"a": {"b": 1}}', "Its columns are: a_b."),
        ("date,input_tokens\n2026-11-01,5\n", "Its columns are: date, input_tokens."),
        ("[" * 100_000, "Its columns are: none."),
    ],
)
def test_a_file_that_is_no_export_is_refused_with_its_columns(tmp_path, text, names):
    file = tmp_path / "export"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read(file)
    assert names in str(caught.value)


def test_a_file_that_cannot_be_read_or_is_no_text_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read(tmp_path / "nothing")
    with pytest.raises(UsageError, match="cannot be read"):
        read(tmp_path)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="UTF-8"):
        read(tmp_path / "bytes")


def test_a_file_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("agentctl.books.export.FILE_BYTES_MAX", 10)
    (tmp_path / "export").write_text(GOOD["generic"], encoding="utf-8")
    with pytest.raises(UsageError, match="larger"):
        read(tmp_path / "export")


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Claude Haiku 4.5", "claude-haiku-4-5"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o", "gpt-4o"),
    ],
)
def test_a_model_is_known_by_any_of_its_names(name, plain):
    assert plain_model(name) == plain


def test_text_from_files_and_logs_is_made_visible(desk, tmp_path):
    text = GENERIC + "2026-11-01,\x1b]0;x\x07,1,0,0,1,0.1\n"
    shown = check_text(billed(desk, tmp_path, text), 80)
    assert "\x1b" not in shown
    assert "\\x1b]0;x\\x07" in shown
