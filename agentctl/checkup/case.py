"""What is to be examined, and how a check that fails is told as a finding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from agentctl.core.values import Millis
from agentctl.errors import AgentctlError
from agentctl.reports.doctor import Finding
from agentctl.settings import Settings

Check = Callable[["Case"], Iterator[Finding]]


class Case(Struct, frozen=True, kw_only=True):
    """The installation as seen from one folder."""

    env: Mapping[str, str]
    cwd: Path
    home: Path
    """The state home; it need not exist."""
    settings: Settings
    """Those in force; the defaults where a file of them cannot be read."""
    provider: str
    """The one that a run here would ask."""
    why: str
    now_ms: Millis
    fix: bool = False
    """Put right what can be put right without losing anything."""
    online: bool = False
    full: bool = False
    """Also what takes long."""

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Provider and model, or "" for its usual one, of each that a run here may ask."""
        model = self.settings.model if self.settings.provider else ""
        others = (full.partition("/") for full in self.settings.fallbacks)
        return list(dict.fromkeys([(self.provider, model), *((n, m) for n, _, m in others)]))

    @property
    def database(self) -> Path:
        """The path of the database; it need not exist."""
        return self.home / "agentctl.db"


def told(name: str, error: Exception) -> Finding:
    """An error as a finding."""
    if isinstance(error, AgentctlError):
        found = " ".join(part for part in (error.what, error.kept) if part)
        return Finding(name, "problem", found, error.next_step)
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return Finding(name, "problem", f"it cannot be checked: {words}")
