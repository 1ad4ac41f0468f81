"""The commented settings file that `init` writes: made from the list of settings."""

from __future__ import annotations

import re
import textwrap
from decimal import Decimal
from pathlib import Path

from agentctl import atomic
from agentctl.errors import UsageError
from agentctl.quantities import UNITS_MS
from agentctl.settings_keys import KEYS
from agentctl.settings_values import Settings
from agentctl.settings_words import EXAMPLES, TABLES_EXAMPLE, WORDS

WIDTH = 92
_HEAD = """\
# Settings of agentctl{whose}.
#
# Lines that begin with # and no blank are settings, with their default or an example. Take the #
# away to set one. A flag or an environment variable goes before what is written here.
# agentctl info shows what is in force and why; agentctl doctor tells what is wrong.
# docs/configuration.md has more on each.
"""
_PROJECT = """\
#
# Until you have typed  agentctl trust .  in this folder, limits count only where they are tighter,
# and what is marked "once trusted" does not count at all.
"""
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")


def text(*, project: bool) -> str:
    """Return the file for a user, or for a project."""
    parts = [_HEAD.format(whose=" for this project" if project else "")]
    if project:
        parts.append(_PROJECT)
    parts += [_setting(name, project=project) for name in KEYS]
    parts.append(
        "\n# Tables. They come last in a file."
        + (" Once trusted, but for ask and deny." if project else "")
    )
    parts += ["\n", *(_commented(line) for line in TABLES_EXAMPLE.splitlines())]
    return "".join(parts)


def write(path: Path, content: str, *, force: bool) -> Path | None:
    """Write the file, for its owner only; return where the old one is kept, if there was one.

    Raises UsageError where there is one and `force` does not say to replace it, or where the file
    cannot be written.
    """
    try:
        atomic.make_private(path.parent)
        if not force:
            atomic.write_new(path, content.encode())
            return None
        kept = _kept(path) if path.exists() else None
        atomic.replace(path, content.encode())
    except FileExistsError:
        raise UsageError(
            f"There is a settings file already: {path}.",
            kept="It was left as it is.",
            next_step="See the new one with: agentctl init -   or put it in its place, where the "
            "old one is kept beside it, with --force",
        ) from None
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}.",
            kept="Nothing was changed.",
            next_step="Mend its rights, or name another file with AGENTCTL_CONFIG.",
        ) from error
    return kept


def _kept(path: Path) -> Path:
    """The old file under a second name, so that at no moment there is none under its own."""
    number = 1
    while True:
        kept = path.with_name(f"{path.name}.old-{number}")
        try:
            kept.hardlink_to(path)
        except FileExistsError:
            number += 1
        else:
            return kept


def _setting(name: str, *, project: bool) -> str:
    """A setting with what it means; its own line can be taken as it is."""
    key, (default, meaning) = KEYS[name], WORDS[name]
    said = _plain(meaning)
    if default not in ("", "see below", EXAMPLES.get(name, default).strip('"')):
        said += f". Default: {_plain(default)}"
    marks = [f"variable {key.variable}"] if key.variable else []
    if project and key.weight != "open":
        marks.append("once trusted" if key.weight == "trusted" else "only tighter until trusted")
    said += f" ({', '.join(marks)})" if marks else ""
    lines = textwrap.wrap(said, WIDTH, break_long_words=False, break_on_hyphens=False)
    value = EXAMPLES.get(name) or _value(name)
    return "\n" + "".join(f"# {line}\n" for line in lines) + f"#{name} = {value}\n"


def _value(name: str) -> str:
    """The default as a file has it."""
    field = KEYS[name].field
    value = getattr(Settings(), field)
    if value is None:
        return '"none"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if field.endswith("_micros"):
        return f"{Decimal(value) / 1_000_000:.2f}"
    if field.endswith("_ms"):
        unit = next(unit for unit in ("m", "s", "ms") if not value % UNITS_MS[unit])
        # A minute is written in seconds, as it is everywhere else.
        unit = "s" if value == UNITS_MS["m"] else unit
        return f'"{value // UNITS_MS[unit]}{unit}"'
    return str(value)


def _plain(cell: str) -> str:
    return _LINK.sub(r"\1", cell).replace("`", "").rstrip(".")


def _commented(line: str) -> str:
    """A line of an example, so that taking the # away makes it count."""
    return "\n" if not line else f"{line}\n" if line.startswith("# ") else f"#{line}\n"
