"""doctor, init, gc, db backup: looking after the installation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from agentctl.cli.output import paragraphs, say, say_json, tell
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
    paragraphs(f"Written: {path}. Every line is commented out, so nothing has changed yet.")
    if kept:
        paragraphs(f"The file that was there is kept as {kept}.")


def gc(
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="TIME", help="Ended so long ago. Default: 90d.")
    ] = "",
    max_size: Annotated[
        str, typer.Option("--max-size", metavar="SIZE", help="The oldest, until so much is left.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what can go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Take it out.")] = False,
    json: Json = False,
) -> None:
    """Take the texts of old tasks out of the log; costs stay. E.g.: agentctl gc --older-than 30d"""
    import time  # these, because --help needs none of them

    from agentctl import quantities, retention
    from agentctl.control import Desk, now_ms
    from agentctl.reports.retention import retention_json, retention_text

    if dry_run and yes:
        raise UsageError("--dry-run and --yes exclude each other.", next_step="Keep one of them.")
    older_ms = _read(quantities.duration_ms, "--older-than", older_than, "90d")
    most_bytes = _read(quantities.size_bytes, "--max-size", max_size, "2GB")
    if older_ms is None and most_bytes is None:
        older_ms = retention.OLD_MS
    with Desk() as desk:
        found = retention.plan(desk, now_ms(), older_ms, most_bytes)
        if yes:
            found = retention.apply(desk, found, now_ms(), tell)
    if json:
        say_json(retention_json(found))
        return
    from agentctl.cli.costs import say_fitting

    days = [time.strftime("%Y-%m-%d", time.localtime(t.ended_ms // 1000)) for t in found.tasks]
    say_fitting(lambda width, plain: retention_text(found, days, width, plain))


def _read(read: Callable[[object], int], option: str, text: str, example: str) -> int | None:
    if not text:
        return None
    try:
        return read(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}.", next_step=f"Write e.g. {example}.") from None


def backup(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where the copy is to be.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
    json: Json = False,
) -> None:
    """Copy the database, also while runs write to it. E.g.: agentctl db backup agentctl-1.db"""
    import os  # these, because --help needs none of them
    from pathlib import Path

    from agentctl import settings
    from agentctl.paths import state_home
    from agentctl.reports.books import number_of
    from agentctl.store.backup import backup as copy

    source = Path(state_home(os.environ)) / "agentctl.db"
    target = settings.here() / Path(file).expanduser()
    found = copy(source, target, force=force)
    if json:
        say_json({"path": str(target), "bytes": found.bytes, "tasks": found.tasks})
    else:
        tasks = number_of(found.tasks, "task")
        paragraphs(f"Written: {target} ({found.bytes:,} bytes, {tasks}), whole and checked.")
