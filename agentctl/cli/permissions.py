"""permissions: the rules in force in a folder, and the stored answers among them."""

from __future__ import annotations

from typing import Annotated

import typer

from agentctl.cli.output import say_json, tell
from agentctl.errors import UsageError


def list_rules(
    everywhere: Annotated[
        bool, typer.Option("--all", help="Stored answers of every folder.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Show the rules that hold in this folder. E.g.: agentctl permissions"""
    import os  # these here, because --help needs none of them

    from agentctl import settings
    from agentctl.cli.costs import say_fitting
    from agentctl.control import Desk
    from agentctl.reports import permissions as report
    from agentctl.store.permissions import stored

    cwd = settings.here()
    chosen = settings.load({}, env=os.environ, cwd=cwd)
    with Desk() as desk:
        answers = stored(desk.store.connection, "" if everywhere else str(cwd))
    if json:
        say_json(report.as_json(chosen.permissions, answers))
        return
    for warning in chosen.warnings:
        tell(f"Note: {warning}")
    say_fitting(
        lambda width, plain: report.text(
            chosen.permissions, answers, width, everywhere=everywhere, plain=plain
        )
    )


def revoke(
    ids: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", help="As `agentctl permissions` shows.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every stored answer of this folder.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be forgotten, and forget nothing.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Forget stored "always" answers. E.g.: agentctl permissions revoke 3"""
    from agentctl import settings  # these here, because --help needs none of them
    from agentctl.control import Desk
    from agentctl.reports import permissions as report
    from agentctl.store import permissions

    if bool(ids) == everything:
        raise UsageError(
            "Which answer?",
            next_step="Type one of: agentctl permissions revoke ID   "
            "agentctl permissions revoke --all",
        )
    with Desk() as desk:
        db = desk.store.connection
        known = permissions.stored(db, str(settings.here()) if everything else "")
        wanted = [each for each in known if everything or each.id in (ids or ())]
        missing = sorted(set(ids or ()) - {each.id for each in wanted})
        if missing:
            raise UsageError(
                f"No stored answer has the id {missing[0]}.",
                kept="Nothing was changed.",
                next_step="See them with: agentctl permissions list --all",
            )
        if not dry_run:
            permissions.revoke(db, [each.id for each in wanted])
    if json:
        say_json(report.as_json((), wanted) | {"dry_run": dry_run})
        return
    for each in wanted:
        tell(f"{'Would be revoked' if dry_run else 'Revoked'}: {report.shown(each.rule)}")
    if not wanted:
        tell("There was nothing to revoke.")
