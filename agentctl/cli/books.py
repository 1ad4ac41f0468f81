"""costs status, forecast, check, rebuild, prices: what the books say, and whether they agree."""

from __future__ import annotations

from typing import Annotated

import typer

from agentctl.cli.output import say, say_json

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def status(json: Json = False) -> None:
    """Show in one line what is being spent, for a prompt. E.g.: agentctl costs status"""
    # The store and the settings: not needed for --help.
    import os
    import time

    from agentctl import settings
    from agentctl.books.status import status as spending
    from agentctl.control import Desk, now_ms
    from agentctl.reports.outlook import status_json, status_line

    limits = settings.load({}, env=os.environ, cwd=settings.here()).limits()
    with Desk() as desk:
        found = spending(desk, limits, now_ms())
    if json:
        say_json(status_json(found))
        return
    today = time.localtime(found.at_ms // 1000)[:3]
    when = []
    for window in found.windows:
        moment = time.localtime((window.reached_ms or 0) // 1000)
        form = "%H:%M" if moment[:3] == today else "%Y-%m-%d %H:%M"
        when.append("" if window.reached_ms is None else time.strftime(form, moment))
    say(status_line(found, when))


def forecast(json: Json = False) -> None:
    """Show what this month may cost in the end. E.g.: agentctl costs forecast"""
    from agentctl.books.status import month  # the store, as in `status`
    from agentctl.control import Desk, now_ms
    from agentctl.reports.outlook import forecast_json, forecast_text

    with Desk() as desk:
        found = month(desk, now_ms())
    if json:
        say_json(forecast_json(found))
        return
    _say_wrapped(forecast_text(found))


def check(
    provider_export: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Also compare with a provider's usage or cost export."),
    ] = None,
    json: Json = False,
) -> int:
    """Compare the books with the log; exit code 1 if they differ. E.g.: agentctl costs check"""
    import os  # and the rest, as in `status`
    from pathlib import Path

    from agentctl import settings
    from agentctl.books.check import Book
    from agentctl.books.check import check as compare
    from agentctl.books.ledger import LedgerBook
    from agentctl.control import Desk

    chosen = settings.load({}, env=os.environ, cwd=settings.here())
    books: list[Book] = []
    if provider_export is not None:  # empty too: perhaps a variable that is not set
        from agentctl.books.bill import BillBook  # only where there is an export
        from agentctl.books.export import read

        books.append(BillBook(read(Path(provider_export))))
    with Desk() as desk:
        # Read before the log, so that the log is never behind it.
        books.append(LedgerBook(Path(chosen.ledger)))
        found = compare(desk, books)
    from agentctl.reports.books import check_json, check_text

    if json:
        say_json(check_json(found))
    else:
        from agentctl.cli.costs import say_fitting

        say_fitting(lambda width, plain: check_text(found, width, plain))
    return 1 if found.count else 0


def rebuild(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    json: Json = False,
) -> None:
    """Write the tables and the ledger file anew from the log. E.g.: agentctl costs rebuild"""
    import os  # and the rest, as in `status`
    from pathlib import Path

    from agentctl import settings
    from agentctl.books.ledger import LedgerBook
    from agentctl.books.rebuild import rebuild as write
    from agentctl.control import Desk
    from agentctl.reports.books import rebuild_json, rebuild_text

    path = Path(settings.load({}, env=os.environ, cwd=settings.here()).ledger)
    with Desk() as desk:
        found = write(desk, [LedgerBook(path)], dry_run=dry_run)
        if not dry_run:
            from agentctl.assembly import ledger  # the runner's parts, only to write the file

            ledger(desk, path).export()
    if json:
        say_json(rebuild_json(found, dry_run=dry_run))
        return
    from agentctl.cli.costs import say_fitting

    say_fitting(lambda width, plain: rebuild_text(found, width, plain, dry_run=dry_run))


def prices(
    model: Annotated[
        str, typer.Argument(metavar="[MODEL]", help="A name or provider/model; default: all known.")
    ] = "",
    json: Json = False,
) -> None:
    """Show what a million tokens will be charged at. E.g.: agentctl costs prices claude-opus-5-5"""
    import os  # and the rest, as in `status`

    from agentctl import settings
    from agentctl.books.prices import price_lines
    from agentctl.control import Desk
    from agentctl.reports.outlook import prices_json, prices_text

    chosen = settings.load({}, env=os.environ, cwd=settings.here())
    with Desk() as desk:
        lines = price_lines(desk, chosen, os.environ, model.strip())
    if json:
        say_json(prices_json(lines))
        return
    from agentctl.cli.costs import say_fitting

    say_fitting(lambda width, plain: prices_text(lines, width, plain))


def _say_wrapped(text: str) -> None:
    from agentctl.cli.costs import say_fitting
    from agentctl.reports.columns import wrapped

    lines = text.split("\n")
    say_fitting(lambda width, _: "\n".join("\n".join(wrapped(line, width)) for line in lines))
