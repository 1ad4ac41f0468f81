"""info, trust, untrust: which settings are in force, and whose."""

from __future__ import annotations

from typing import Annotated

import typer

from agentctl.cli import options as o
from agentctl.cli.output import say, say_json, tell
from agentctl.reports.text import usd

Folder = Annotated[str, typer.Argument(metavar="[DIR]", help="Default: this folder.")]


def info(
    profile: o.Profile = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Print every setting with where it came from, and every path. E.g.: agentctl info"""
    import os  # these, because --help needs none of them

    from agentctl import __version__, settings
    from agentctl.settings_keys import KEYS
    from agentctl.store.opening import sqlite_module

    chosen = settings.load({"profile": profile}, env=os.environ, cwd=settings.here())
    values = {
        name: {"value": getattr(chosen, key.field), "from": chosen.origins.get(name, "default")}
        for name, key in KEYS.items()
    }
    values["context"]["value"] = chosen.context().name  # chosen by other settings if not by itself
    tables = {name: where for name, where in chosen.origins.items() if "." in name}
    sqlite = sqlite_module().sqlite_version
    if json:
        about = {"version": __version__, "sqlite": sqlite}
        say_json({**about, "settings": values, "tables": tables, "paths": chosen.paths()})
        return
    say(f"agentctl {__version__}, SQLite {sqlite}")
    for name, entry in values.items():
        say(f"  {name:22} {_shown(KEYS[name].field, entry['value']):22} {entry['from']}")
    for name, where in tables.items():
        say(f"  {name:45} {where}")
    say("Paths")
    for name, path in chosen.paths().items():
        say(f"  {name:22} {path or '-'}")
    for warning in chosen.warnings:
        tell(f"Note: {warning}")


def _shown(field: str, value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, int) and field.endswith("_micros"):
        return usd(value)
    if isinstance(value, int) and field.endswith("_ms"):
        return f"{value / 1000:g}s"
    text = ",".join(value) if isinstance(value, tuple) else str(value)
    return (text if len(text) <= 60 else text[:59] + "…") or "-"


def trust(folder: Folder = ".") -> None:
    """Let a folder's settings and agents choose endpoints and approvals. E.g.: agentctl trust ."""
    import os  # these, because --help needs none of them
    from pathlib import Path

    from agentctl import trust as trusting
    from agentctl.paths import state_home

    paths = trusting.trust(Path(state_home(os.environ)), Path(folder))
    tell(f"Trusted: {', '.join(map(str, paths))}. When one of them changes, trust it anew.")


def untrust(folder: Folder = ".") -> None:
    """Take that back. E.g.: agentctl untrust ."""
    import os  # these, because --help needs none of them
    from pathlib import Path

    from agentctl import trust as trusting
    from agentctl.paths import state_home

    was = trusting.untrust(Path(state_home(os.environ)), Path(folder))
    tell("No longer trusted." if was else "It was not trusted.")
