"""costs report, costs show: what was spent, in sums and call by call."""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Annotated

import typer

from agentctl.cli.output import is_plain, say, say_json, width
from agentctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentctl.core.values import Millis
    from agentctl.reports.costs import CostReport

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Zone = Annotated[
    str, typer.Option(metavar="NAME", help="Time zone, e.g. Europe/Berlin. Default: local time.")
]
WORDS = "day|week|month|hour|task|model|provider|tool|project|account"
DAYS = "Write a day (2026-11-01), today, yesterday, monday, 7d (seven days ago) or 24h."


def report(
    by: Annotated[str, typer.Option(metavar=WORDS, help="Sum by this.")] = "day",
    since: Annotated[str, typer.Option(metavar="DAY", help="From this day on, or 7d, 24h.")] = "",
    until: Annotated[str, typer.Option(metavar="DAY", help="To the end of this day.")] = "",
    timezone: Zone = "",
    breakdown: Annotated[bool, typer.Option("--breakdown", help="Also by model.")] = False,
    compact: Annotated[bool, typer.Option("--compact", help="What and cost alone.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Print every line.")] = False,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV on stdout.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
) -> None:
    """Show the costs of all tasks. E.g.: agentctl costs report --by model --since 7d"""
    # The store and the settings: not needed for --help.
    from agentctl.control import Desk, now_ms
    from agentctl.cost_lines import cost_report
    from agentctl.reports.costs import kind

    _at_most_one({"--json": json, "--csv": csv, "--markdown": markdown, "--compact": compact})
    try:
        chosen = kind(by)
    except ValueError as error:
        raise UsageError(f"--by: {error}.", next_step=f"Write one of {WORDS}.") from None
    zone = time_zone(timezone)
    since_ms, until_ms = period(since, until, zone, now_ms())
    words = _words(since, until, since_ms, until_ms, zone)
    if chosen == "tool":
        if breakdown or compact or csv or markdown:
            raise UsageError("--by tool is shown as a table or as --json only.")
        _tools(since_ms, until_ms, words, json=json)
        return
    with Desk() as desk:
        found = cost_report(desk, chosen, since_ms, until_ms, zone=zone, breakdown=breakdown)
    found = _named(found, words, timezone)
    if json:
        from agentctl.reports.costs import as_json

        say_json(as_json(found))
    elif csv or markdown:
        from agentctl.reports import cost_files

        say(cost_files.csv(found) if csv else cost_files.markdown(found))
    else:
        from agentctl.reports import cost_table

        make = cost_table.compact if compact else cost_table.text
        say_fitting(lambda width, plain: make(found, width, every=every, plain=plain))


def show(
    task: Annotated[str, typer.Argument(metavar="ID", help="Id, its beginning, name or @last.")],
    timezone: Zone = "",
    json: Json = False,
) -> None:
    """Show every model call of a task. E.g.: agentctl costs show @last"""
    # The store: not needed for --help.
    from agentctl.control import Desk
    from agentctl.cost_lines import calls_of
    from agentctl.reports import cost_calls

    zone = time_zone(timezone)
    with Desk() as desk:
        row = desk.find(task)
        calls, total = calls_of(desk, row.id)
    if json:
        say_json(cost_calls.as_json(row, calls, total))
    else:
        say_fitting(lambda width, plain: cost_calls.text(row, calls, total, width, zone, plain))


def _tools(since_ms: Millis | None, until_ms: Millis | None, words: str, *, json: bool) -> None:
    from agentctl.control import Desk  # here, as in `report`
    from agentctl.cost_lines import tool_report
    from agentctl.reports import tool_costs

    with Desk() as desk:
        found = tool_report(desk, since_ms, until_ms)
    if json:
        say_json(tool_costs.as_json(found))
    else:
        say_fitting(lambda width, plain: tool_costs.text(found, words, width, plain=plain))


def time_zone(name: str) -> tzinfo | None:
    """The zone of that name; None, for the machine's own, if there is none. Raises UsageError."""
    if not name:
        return None
    if name.upper() in ("UTC", "Z"):
        return UTC
    from zoneinfo import ZoneInfo  # here, because few reports name a zone

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise UsageError(
            f"--timezone: this machine knows no time zone {name!r}.",
            next_step="Write a name like Europe/Berlin, America/New_York or UTC.",
        ) from None


def period(
    since: str, until: str, zone: tzinfo | None, now_ms: Millis
) -> tuple[Millis | None, Millis | None]:
    """Beginning and end of what was asked for; None where nothing was. Raises UsageError."""
    from agentctl.reports import periods

    begin = end = None
    option = "--since"
    try:
        if since:
            begin = periods.since_ms(since, zone, now_ms)
        option = "--until"
        if until:
            end = periods.until_ms(until, zone, now_ms)
    except ValueError as error:
        raise UsageError(f"{option}: {error}.", next_step=DAYS) from None
    if begin is not None and end is not None and begin >= end:
        raise UsageError(f"--since {since} is after --until {until}.", next_step="Turn them round.")
    return begin, end


def say_fitting(make: Callable[[int, bool], str]) -> None:
    """Print text made for a width; in ASCII where the stream can show no more."""
    say(make(width(), is_plain()))


def _at_most_one(flags: dict[str, bool]) -> None:
    given = [name for name, wanted in flags.items() if wanted]
    if len(given) > 1:
        raise UsageError(
            f"{' and '.join(given)} exclude each other.", next_step=f"Keep {given[0]} alone."
        )


def _words(
    since: str,
    until: str,
    since_ms: Millis | None,
    until_ms: Millis | None,
    zone: tzinfo | None,
) -> str:
    """The period as a person would say it; empty for all time."""
    from agentctl.reports.periods import local

    words = []
    if since_ms is not None:
        words.append(f"since {local(since_ms, zone):%Y-%m-%d %H:%M}".removesuffix(" 00:00"))
    if until_ms is not None:
        form = "%Y-%m-%d %H:%M" if until.endswith("h") else "%Y-%m-%d"
        words.append(f"until {local(until_ms - 1, zone):{form}}")
    return " ".join(words)


def _named(found: CostReport, words: str, timezone: str) -> CostReport:
    from msgspec.structs import replace  # loaded with the store

    return replace(found, period=words, zone=timezone)
