"""doctor, init, gc, db backup: looking after the installation."""

from __future__ import annotations

from typing import Annotated

import typer

from agentctl.cli.output import say_json
from agentctl.errors import EXIT_CODES

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="Put right what can be; loses nothing.")
    ] = False,
    online: Annotated[
        bool, typer.Option("--online", help="Also ask the providers for their lists of models.")
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Check every page of the database; may take minutes.")
    ] = False,
    json: Json = False,
) -> int:
    """Check the installation; exit code 1 if there is a problem. E.g.: agentctl doctor --fix"""
    import os  # these, because --help needs none of them

    from agentctl import settings
    from agentctl.checkup.examine import examine
    from agentctl.control import now_ms
    from agentctl.reports.doctor import doctor_json, doctor_text, problems

    findings = examine(os.environ, settings.here(), now_ms(), fix=fix, online=online, full=full)
    if json:
        say_json(doctor_json(findings))
    else:
        from agentctl.cli.costs import say_fitting

        say_fitting(lambda width, plain: doctor_text(findings, width, plain))
    return EXIT_CODES["failed" if problems(findings) else "done"]
