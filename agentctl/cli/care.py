"""doctor, init, gc, db backup: looking after the installation."""

from __future__ import annotations

from typing import Annotated

import typer

from agentctl.cli.output import say, say_json, tell
from agentctl.errors import EXIT_CODES, UsageError

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


def init(
    where: Annotated[
        str, typer.Argument(metavar="[-]", help="- prints it on stdout; nothing is written.")
    ] = "",
    project: Annotated[
        bool, typer.Option("--project", help="This folder's .agentctl.toml instead of your own.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a file; the old one is kept beside it.")
    ] = False,
    json: Json = False,
) -> None:
    """Write a settings file with every setting, commented out. E.g.: agentctl init --project"""
    import os  # these, because --help needs none of them
    from pathlib import Path

    from agentctl import settings, settings_template, trust
    from agentctl.paths import config_file

    if where not in ("", "-"):
        raise UsageError(
            f"{where!r} is not -.",
            next_step="Name another file with AGENTCTL_CONFIG, or print it: agentctl init -",
        )
    content = settings_template.text(project=project)
    if where:
        say(content)
        return
    path = settings.here() / trust.PROJECT_FILE if project else Path(config_file(os.environ))
    kept = settings_template.write(path, content, force=force)
    if json:
        say_json({"path": str(path), "kept": str(kept or "")})
        return
    tell(f"Written: {path}. Every line is commented out, so nothing has changed yet.")
    if kept:
        tell(f"The file that was there is kept as {kept}.")
