"""What agentctl stands on: Python, SQLite, the extras, the clock, the terminal."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from importlib import metadata

from agentctl import __version__
from agentctl.checkup.case import Case
from agentctl.reports.doctor import Finding, Level
from agentctl.store.opening import sqlite_module

EARLIEST_MS = 1_767_225_600_000
"""2026-01-01: agentctl is younger, so a clock before it is wrong."""
DISK_LEAST_BYTES = 100_000_000
"""Less, and the next run may have to stop in the middle."""
DISK_SCARCE_BYTES = 1_000_000_000
INODES_LEAST = 1_000
_EXTRA = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*).*;.*\bextra\s*==\s*['\"]([A-Za-z0-9._-]+)['\"]")


def python(case: Case) -> Iterator[Finding]:
    """The interpreter and agentctl's own version."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", "ok", f"Python {version}, agentctl {__version__}, {sys.executable}")


def sqlite(case: Case) -> Iterator[Finding]:
    """Whether SQLite can be trusted with several processes. Raises StoreError."""
    module = sqlite_module()
    yield Finding("sqlite", "ok", f"SQLite {module.sqlite_version} ({module.__name__})")


def extras(case: Case) -> Iterator[Finding]:
    """Which optional parts are installed."""
    wanted: dict[str, list[str]] = {}
    for line in metadata.requires("agentctl") or []:
        found = _EXTRA.match(line)
        if found:
            wanted.setdefault(found[2], []).append(found[1])
    for extra, packages in sorted(wanted.items()):
        missing = [name for name in packages if not _version(name)]
        if missing:
            what = f"not installed: {', '.join(missing)}"
            yield Finding(f"extra {extra}", "note", what, f"pip install 'agentctl[{extra}]'")
        else:
            there = ", ".join(f"{name} {_version(name)}" for name in packages)
            yield Finding(f"extra {extra}", "ok", there)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def clock(case: Case) -> Iterator[Finding]:
    """Whether the clock can be right; that it is behind the log is found with the database."""
    zone = time.strftime("%Z, UTC%z", time.localtime(case.now_ms // 1000))
    shown = time.strftime("%Y-%m-%d %H:%M", time.localtime(case.now_ms // 1000))
    if case.now_ms < EARLIEST_MS:
        yield Finding("clock", "problem", f"it says {shown}, which is past", "Set it: timedatectl")
    else:
        yield Finding("clock", "ok", f"{shown} ({zone})")


def terminal(case: Case) -> Iterator[Finding]:
    """What can be shown here."""
    import shutil  # here, as it is needed once

    encoding = sys.stdout.encoding or "ascii"
    where = "no terminal"
    if sys.stdout.isatty():
        size = shutil.get_terminal_size()
        plain = case.env.get("NO_COLOR") or case.env.get("TERM") in (None, "dumb")
        where = f"{size.columns} columns, {'no colour' if plain else 'colour'}"
    found = f"{where}, {encoding}"
    if encoding.lower().replace("-", "") != "utf8":
        yield Finding("terminal", "note", f"{found}: some signs are shown as codes",
                      "export LC_ALL=C.UTF-8")  # fmt: skip
    else:
        yield Finding("terminal", "ok", found)


def disk(case: Case) -> Iterator[Finding]:
    """Whether there is room where the state is."""
    place = next(each for each in (case.home, *case.home.parents) if each.exists())
    stat = os.statvfs(place)
    free_bytes, inodes = stat.f_bavail * stat.f_frsize, stat.f_favail
    found = f"{free_bytes / 1e9:,.1f} GB free at {place}"
    if stat.f_files:  # some file systems make them as they are needed, and say 0
        found += f", {inodes:,} inodes"
    short = free_bytes < DISK_LEAST_BYTES or (stat.f_files and inodes < INODES_LEAST)
    scarce = free_bytes < DISK_SCARCE_BYTES or (stat.f_files and inodes < 10 * INODES_LEAST)
    level: Level = "problem" if short else "warning" if scarce else "ok"
    yield Finding(
        "disk",
        level,
        found,
        "" if level == "ok" else "Free some space; see what can go: agentctl gc",
    )
