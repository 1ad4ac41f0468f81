"""Which variables a tool's process gets: an allow-list, and nothing that looks like a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from agentctl.core.redact import Redactor

ALLOWED = frozenset(
    ("PATH", "HOME", "LANG", "LOGNAME", "SHELL", "TERM", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV")
)
"""What every child gets, besides LC_*: what the MCP reference clients pass on, and the locale."""
_SECRET = re.compile(
    r"(?:\A|_)(?:[A-Z0-9]*(?:KEYS?|TOKENS?|SECRETS?|PASSWORDS?|PASSWD|PASSPHRASE|CREDENTIALS?)"
    r"|PAT|PWD|PASS|PIN|AUTH|COOKIE|JWT|DSN)(?:_(?:BASE64|B64|ID|VALUE|RAW|\d+))?\Z"
)
_NO_SECRET = re.compile(r"PUBLIC|\A(?:PWD|OLDPWD)\Z")
# A program reads them before its own first line: they could make a child run anything.
_LOADED = re.compile(r"\A(?:LD_|DYLD_|BASH_FUNC_|GIT_CONFIG|BASH_ENV\Z|ENV\Z|PYTHONSTARTUP\Z)")
_PATTERNS = Redactor({})


def looks_secret(name: str) -> bool:
    """Whether a variable or an entry of a configuration holds a secret, told by its name."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    plain = re.sub(r"[^A-Za-z0-9]+", "_", spaced).upper()
    return _SECRET.search(plain) is not None and _NO_SECRET.search(plain) is None


def tool_environment(env: Mapping[str, str], allowed: Sequence[str] = ()) -> dict[str, str]:
    """The variables that a tool's process may have.

    `allowed` names more; a name that ends in `*` stands for all that begin so. What looks like a
    secret, by name or value, or is loaded by programs unasked is passed on only if named exactly.
    """
    exact = {name for name in allowed if not name.endswith("*")}
    begins = tuple(name[:-1] for name in allowed if name.endswith("*"))
    passed = {}
    for name, value in env.items():
        usual = name in ALLOWED or name.startswith("LC_")
        by_pattern = bool(begins) and name.startswith(begins) and not _LOADED.search(name)
        if name in exact or ((usual or by_pattern) and not _is_secret(name, value)):
            passed[name] = value
    return passed


def _is_secret(name: str, value: str) -> bool:
    return looks_secret(name) or _PATTERNS.text(value) != value
