"""Reading what a provider says was used: the exports of its console, or of its own interface.

Columns are known by their names, in whatever order they come. `docs/costs.md`
describes the files for users; `NAMES` is the list. What a file says is data: every number is
checked, and a line that cannot be read is named by its number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from agentctl.errors import UsageError
from agentctl.reports.text import visible

FILE_BYTES_MAX = 100_000_000
LINES_MAX = 1_000_000
PROBLEMS_MAX = 1_000
TOKENS_MAX = 10**15
DOLLARS_MAX = 10**9

NAMES: dict[str, tuple[str, ...]] = {
    "day": (
        "usage_date_utc", "usage_date", "date_utc", "date", "day", "start_time_iso", "starting_at",
        "start_time", "timestamp", "created_at", "at", "time",
    ),
    "model": ("model_version", "model", "model_name", "model_id"),
    "line_item": ("line_item",),
    "provider": ("provider",),
    "response_id": (
        "response_id", "request_id", "message_id", "completion_id", "generation_id",
    ),
    "uncached": (
        "usage_input_tokens_no_cache", "uncached_input_tokens", "input_tokens_no_cache",
        "input_no_cache", "uncached_input", "input_uncached_tokens",
    ),
    "input": ("input_tokens", "input", "prompt_tokens", "total_input_tokens"),
    "cache_read": (
        "usage_input_tokens_cache_read", "cache_read_input_tokens", "cache_read_tokens",
        "cache_read", "input_cached_tokens", "cached_input_tokens", "cached_tokens",
    ),
    "cache_write": (
        "usage_input_tokens_cache_write", "cache_creation_input_tokens", "cache_write_tokens",
        "cache_write", "cache_write_input_tokens", "cache_creation_tokens",
        "input_cache_write_tokens",
    ),
    "output": ("usage_output_tokens", "output_tokens", "output", "completion_tokens"),
    "cost": ("cost_usd", "amount_value", "amount_usd", "total_cost_usd", "cost", "total_cost"),
    "cost_micros": ("cost_micros",),
    "cost_cents": ("amount",),
    "currency": ("amount_currency", "currency"),
}  # fmt: skip
"""What a column is called, the best name first. Case and signs between words do not matter."""
_WRITE_PART = re.compile(r"(cache_write|cache_creation|ephemeral).*(5m|1h)|(5m|1h).*cache_write")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
"""A comma anywhere else may be a decimal one: 1,5 must not become 15."""
_TOKENS = ("uncached", "input", "cache_read", "cache_write", "output")
_OUTSIDE = ("cache_read_input_tokens", "cache_creation_input_tokens")
"""Beside these names of Anthropic's, `input_tokens` does not hold the cached ones."""
_NEEDED = (
    "Needed are a date or a response id, a model, and tokens or a cost: see docs/costs.md. Known "
    "are the usage and cost exports of Anthropic and OpenAI, and CSV, JSON or JSON lines with "
    "date, model, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, cost_usd, "
    "response_id, provider."
)


class BillLine(Struct, frozen=True):
    """What a provider says of a call, or of a model's calls in some time. None: not said."""

    day: str
    """In UTC; empty where only response ids are told."""
    provider: str
    model: str
    response_id: str
    input: int | None = None
    """Cached tokens included."""
    cache_read: int | None = None
    cache_write: int | None = None
    output: int | None = None
    cost_micros: Decimal | None = None


class Bill(Struct):
    """A whole export."""

    name: str
    provider: str = ""
    """Whose it is, where its columns tell; else the lines may."""
    lines: list[BillLine] = []
    problems: list[tuple[str, str]] = []
    """A place in the file, and why it could not be read."""
    decimals: int = 2
    """Of its costs in dollars: what is finer was rounded away."""


def read(path: Path) -> Bill:
    """Read an export. Raises UsageError when it is none, or is too large."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(
            f"--provider-export: {path} cannot be read: {error.strerror or error}.",
            next_step="Name a file that the provider's console has exported.",
        ) from error
    if len(data) > FILE_BYTES_MAX:
        raise UsageError(
            f"--provider-export: {path} is larger than {FILE_BYTES_MAX // 10**6} MB.",
            next_step="Export a shorter time.",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"--provider-export: {path} is not text in UTF-8.", next_step=_NEEDED
        ) from error
    bill = Bill(path.name)
    is_json = text.lstrip()[:1] in ("{", "[")
    _take(bill, _json_rows(bill, text) if is_json else _csv_rows(bill, text))
    return bill


Row = tuple[str, Mapping[str, Any]]
"""A place in the file, e.g. "line 17", and its fields by their names as `_plain` writes them."""


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _csv_rows(bill: Bill, text: str) -> Iterator[Row]:
    import csv  # here, because few commands read a table
    import io

    head = text.split("\n", 1)[0]
    sign = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=sign)
    names: list[str] = []
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            _problem(bill, f"line {reader.line_num}", str(error))
            return
        if cells is None:
            return
        if not any(cell.strip() for cell in cells):
            continue
        if not names:
            names = [_plain(cell) for cell in cells]
            # Once, so that a file with its head alone is known for what it is.
            yield "", dict.fromkeys(names)
        elif len(cells) != len(names):
            _problem(bill, f"line {reader.line_num}", f"{len(cells)} cells, {len(names)} columns")
        else:
            yield f"line {reader.line_num}", dict(zip(names, cells, strict=False))


def _json_rows(bill: Bill, text: str) -> Iterator[Row]:
    # As text: a number that is too large to be one is then told with its place.
    decode = msgspec.json.Decoder(float_hook=str).decode
    try:
        tree = decode(text)
    except (msgspec.DecodeError, RecursionError):
        yield from _json_lines(bill, text, decode)
        return
    pages = tree if isinstance(tree, list) else [tree]
    number = 0
    for page in pages:
        found = page.get("data", page.get("records")) if isinstance(page, dict) else None
        if isinstance(page, dict) and page.get("has_more") and page is pages[-1]:
            _problem(bill, "the end", "the file is one page of several: has_more is true")
        for item in found if isinstance(found, list) else [page]:
            results = item.get("results") if isinstance(item, dict) else None
            for result in results if isinstance(results, list) else [item]:
                number += 1
                place = f"record {number}"
                if not isinstance(result, dict):
                    _problem(bill, place, "it is no object")
                elif isinstance(results, list):
                    bucket = {name: item[name] for name in item if name != "results"}
                    yield place, _flat({**bucket, **result})
                else:
                    yield place, _flat(result)


def _json_lines(bill: Bill, text: str, decode: Any) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        place = f"line {number}"
        try:
            item = decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            _problem(bill, place, str(error))
            continue
        if isinstance(item, dict):
            yield place, _flat(item)
        else:
            _problem(bill, place, "it is no object")


def _flat(item: Mapping[str, Any]) -> dict[str, Any]:
    """One level of objects within is joined to their names: amount.value is amount_value."""
    found: dict[str, Any] = {}
    for name, value in item.items():
        if isinstance(value, dict):
            found |= {_plain(f"{name}_{inner}"): each for inner, each in value.items()}
        else:
            found[_plain(name)] = value
    return found


def _problem(bill: Bill, place: str, why: str) -> None:
    if len(bill.problems) < PROBLEMS_MAX:
        bill.problems.append((place, visible(why)[:200]))


class _Columns:
    """Which names of a file mean what."""

    def __init__(self, names: Iterable[str]) -> None:
        known = list(names)
        self.places = {
            field: next((name for name in candidates if name in known), "")
            for field, candidates in NAMES.items()
        }
        self.writes = [name for name in known if _WRITE_PART.search(name)]
        self.input_is_uncached = any(name in known for name in _OUTSIDE)
        self.is_anthropic = any(
            name in known
            for name in ("usage_date_utc", "starting_at", "usage_input_tokens_no_cache")
        )
        self.is_openai = not self.is_anthropic and any(
            name in known
            for name in ("num_model_requests", "amount_value", "input_cached_tokens", "line_item")
        )
        if not (self.is_anthropic and "starting_at" in known):
            # Only Anthropic's cost report counts in cents; elsewhere nobody knows the unit.
            self.places["cost_cents"] = ""

    def enough(self) -> bool:
        """Whether there is something to compare, and something to find it by."""
        has = self.places
        amounts = any(has[field] for field in (*_TOKENS, "cost", "cost_micros", "cost_cents"))
        named = has["model"] or has["line_item"] or has["cost"] or has["cost_cents"]
        return bool((amounts or self.writes) and (has["response_id"] or (has["day"] and named)))


def _take(bill: Bill, rows: Iterable[Row]) -> None:
    """Read every row by the columns of its own names; records may lack some."""
    seen: dict[str, None] = {}
    columns: dict[tuple[str, ...], _Columns] = {}
    for place, row in rows:
        names = tuple(row)
        seen |= dict.fromkeys(names)
        found = columns.get(names)
        if found is None:
            found = columns[names] = _Columns(names)
        if not found.enough() or not place:
            if place:
                _problem(bill, place, "nothing in it is known")
            continue
        bill.provider = bill.provider or (
            "anthropic" if found.is_anthropic else "openai" if found.is_openai else ""
        )
        if len(bill.lines) >= LINES_MAX:
            raise UsageError(
                f"--provider-export: {bill.name} has more than {LINES_MAX} lines.",
                next_step="Export a shorter time.",
            )
        try:
            bill.lines.append(_line(bill, found, row))
        except ValueError as error:
            _problem(bill, place, str(error))
    if not any(each.enough() for each in columns.values()):
        names_found = visible(", ".join(list(seen)[:40])) or "none"
        raise UsageError(
            f"--provider-export: {bill.name} is no usage export that is known. Its columns are: "
            f"{names_found}.",
            next_step=_NEEDED,
        )


def _line(bill: Bill, columns: _Columns, row: Mapping[str, Any]) -> BillLine:
    has = columns.places
    told = {field: _tokens(has[field], row) for field in _TOKENS}
    writes = [_tokens(name, row) for name in columns.writes]
    if any(each is not None for each in writes):
        told["cache_write"] = sum(each or 0 for each in writes)
    read, write, whole = told["cache_read"], told["cache_write"], told["input"]
    fresh = told["uncached"]
    if fresh is None and columns.input_is_uncached:
        fresh = whole
    if fresh is not None:
        whole = fresh + (read or 0) + (write or 0)
    model = _word(row, has["model"])
    if not model and has["line_item"]:
        model = _word(row, has["line_item"]).partition(",")[0].strip()
    return BillLine(
        _day(row.get(has["day"])) if has["day"] else "",
        _word(row, has["provider"]).lower() or bill.provider,
        model,
        _word(row, has["response_id"]),
        whole,
        read,
        write,
        told["output"],
        _cost(bill, has, row),
    )


def _word(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name) if name else None
    return "" if value is None else str(value).strip()[:200]


def _tokens(name: str, row: Mapping[str, Any]) -> int | None:
    text = _word(row, name)
    if not text:
        return None
    number = _number(name, text)
    if number < 0 or number > TOKENS_MAX or number != int(number):
        raise ValueError(f"{name}: {text[:40]!r} is no number of tokens")
    return int(number)


def _cost(bill: Bill, has: Mapping[str, str], row: Mapping[str, Any]) -> Decimal | None:
    currency = _word(row, has["currency"]).lower()
    for field, factor in (("cost", 1_000_000), ("cost_cents", 10_000), ("cost_micros", 1)):
        text = _word(row, has[field]).removeprefix("$")
        if not text:
            continue
        if currency not in ("", "usd"):
            raise ValueError(f"{has['currency']}: {currency[:10]!r} is not usd")
        number = _number(has[field], text)
        if abs(number) > DOLLARS_MAX * 1_000_000 // factor:
            raise ValueError(f"{has[field]}: {text[:40]!r} is too much")
        exponent = number.as_tuple().exponent
        places = -exponent if isinstance(exponent, int) else 0
        shift = {"cost": 0, "cost_cents": 2, "cost_micros": 6}[field]
        bill.decimals = max(bill.decimals, min(places + shift, 12))
        return number * factor
    return None


def _number(name: str, text: str) -> Decimal:
    try:
        number = Decimal(text.replace(",", "") if _THOUSANDS.fullmatch(text) else text)
    except InvalidOperation:
        raise ValueError(f"{name}: {text[:40]!r} is no number") from None
    if not number.is_finite() or abs(number.adjusted()) > 30:
        raise ValueError(f"{name}: {text[:40]!r} is no number that can be counted")
    return number


def _day(value: object) -> str:
    """The UTC day of a date, a moment or seconds since the epoch. Raises ValueError."""
    text = "" if value is None else str(value).strip()
    try:
        if re.fullmatch(r"\d{9,11}(\.\d+)?", text):
            return datetime.fromtimestamp(int(text.partition(".")[0]), UTC).date().isoformat()
        if match := re.fullmatch(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})", text):
            year, month, day = map(int, match.groups())
            return datetime(year, month, day, tzinfo=UTC).date().isoformat()
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text[:40]!r} is no date") from None
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC)
    return moment.date().isoformat()
