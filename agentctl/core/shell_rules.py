"""Rules for a shell command: patterns of words against the commands that a text runs."""

from __future__ import annotations

from collections.abc import Sequence

from agentctl.core.argv import parse
from agentctl.core.globs import SPECIAL, escaped, fits, is_literal
from agentctl.core.loaded import loaded
from agentctl.core.matching import ANY, Hit, Subject
from agentctl.core.shellwords import UNKNOWN, Argv, name_of
from agentctl.core.wrappers import RUNNERS, reach

MANY = "**"
"""In a pattern: any number of words, none included."""

_STEADY = {
    "cargo": {"bench", "build", "check", "clippy", "doc", "fmt", "test", "tree"},
    "docker": {"images", "logs", "ps"},
    "git": {"add", "blame", "commit", "describe", "diff", "fetch", "grep", "log", "ls-files"}
    | {"merge-base", "rev-list", "rev-parse", "shortlog", "show", "status"},
    "go": {"build", "doc", "fmt", "list", "test", "version", "vet"},
    "kubectl": {"describe", "get", "logs"},
    "npm": {"list", "ls", "outdated", "test", "view"},
    "pip": {"list", "show"},
    "pnpm": {"list", "test"},
    "yarn": {"list", "test"},
}
"""Second words that say so well what a command does that its further words matter less."""


def words_of(pattern: str) -> tuple[str, ...]:
    """The globs of a pattern, one for each word. Raises ValueError.

    Quotes and backslashes work as in a shell; what they cover is no glob.
    """
    words: list[str] = []
    parts: list[str] = []
    begun, quote, at = False, "", 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == quote:
            quote = ""
        elif quote:
            parts.append(escaped(char))
        elif char in " \t\n":
            words += ["".join(parts)] if begun else []
            parts, begun = [], False
            continue
        elif char in "'\"":
            quote = char
        elif char == "\\" and at < len(pattern):
            parts.append(escaped(pattern[at]))
            at += 1
        elif char in ";&|<>()`$":
            raise ValueError(
                f"a pattern is for one command, so it cannot have {char!r}; "
                "put = in front to mean exactly this text"
            )
        else:
            parts.append(char)
        begun = True
    if quote:
        raise ValueError(f"the quote {quote} is not closed")
    words += ["".join(parts)] if begun else []
    if not words or "\0" in pattern:
        raise ValueError("the pattern has no words that can be typed")
    return (*words[:-1], MANY if words[-1] == "*" and len(words) > 1 else words[-1])


class ShellSubject(Subject):
    """The command of a call of the shell."""

    def __init__(self, command: str) -> None:
        self.command = command
        self.parsed = parse(command)
        self.reach = reach(self.parsed)

    def hit(self, pattern: str) -> Hit:
        """Whether some command that may be run fits."""
        if pattern in ANY or (pattern[:1] == "=" and pattern[1:] == self.command):
            return "yes"
        if pattern[:1] == "=":
            return "no"
        try:
            globs = words_of(pattern)
        except ValueError:
            return "yes"  # nobody knows what it forbids
        globs = (globs[0].lower(), *globs[1:])
        if any(_fits_somehow(argv, globs, perhaps=False) for argv in self.reach.sure):
            return "yes"
        suspects = (*self.reach.sure, *self.reach.perhaps)
        if self.reach.opaque or any(_fits_somehow(argv, globs, perhaps=True) for argv in suspects):
            return "perhaps"
        return "no"

    def doubt(self) -> str:
        """Why a "perhaps" is one."""
        return self.reach.opaque or "parts of the command are only known when it runs"

    def allowed_by(self, patterns: Sequence[str]) -> int | None:
        """The last pattern that is needed so that every command fits one."""
        for n, pattern in enumerate(patterns):
            if pattern in ANY or (pattern[:1] == "=" and pattern[1:] == self.command):
                return n
        if self.parsed.opaque or self.parsed.doubts or not self.parsed.commands:
            return None
        compiled = [_compiled(pattern) for pattern in patterns]
        needed = 0
        for argv in self.parsed.commands:
            fit = (n for n, globs in enumerate(compiled) if globs and _allows(globs, argv))
            first = next(fit, None)
            if first is None:
                return None
            needed = max(needed, first)
        return needed

    def why_not(self) -> str:
        """What keeps allowing rules from being asked, or an empty string."""
        return self.parsed.opaque or "; ".join(self.parsed.doubts)

    def usual(self) -> str:
        """Two words and a star for what is steady, else exactly this command."""
        exact = "=" + self.command
        if self.parsed.opaque or self.parsed.doubts or len(self.parsed.commands) != 1:
            return exact
        argv = self.parsed.commands[0]
        words = [word.text for word in argv]
        if len(words) > 1 and words[1] in _STEADY.get(words[0], ()):
            pattern = f"{words[0]} {words[1]} *"
            return pattern if self.allowed_by([pattern]) == 0 else exact
        plain = " ".join(words)
        is_plain = plain == self.command and plain.split(" ") == words and is_literal(plain)
        return plain if is_plain and self.allowed_by([plain]) == 0 else exact


def _compiled(pattern: str) -> tuple[str, ...]:
    """The globs of a pattern; none if it is not one for words."""
    try:
        return () if pattern[:1] == "=" else words_of(pattern)
    except ValueError:
        return ()


def _allows(globs: tuple[str, ...], argv: Argv) -> bool:
    """Whether an allowing pattern covers a command and nothing that it might do besides."""
    if name_of(argv[0]) in RUNNERS and not is_literal(globs[0]):
        return False
    spelled = {_spelled(glob) for glob in globs}
    if any(word not in spelled for word in loaded(argv)):
        return False
    return argv[0].known and fits_words(argv, globs)


def _spelled(glob: str) -> str | None:
    """The only text that a glob fits; None if it fits several."""
    for mark in SPECIAL:
        glob = glob.replace(f"[{mark}]", f"\0{ord(mark)};")
    if not is_literal(glob):
        return None
    for mark in SPECIAL:
        glob = glob.replace(f"\0{ord(mark)};", mark)
    return glob


def _fits_somehow(argv: Argv, globs: tuple[str, ...], *, perhaps: bool) -> bool:
    """Whether a refusing pattern fits, with or without the folder of the command."""
    name = argv[0].text.lower()
    return any(
        fits_words(argv, globs, first=first, tight=True, perhaps=perhaps)
        for first in {name, name.rpartition("/")[2]}
    )


def fits_words(
    argv: Argv,
    globs: tuple[str, ...],
    *,
    first: str | None = None,
    tight: bool = False,
    perhaps: bool = False,
) -> bool:
    """Whether the words fit the globs one by one, MANY standing for any number of words.

    An unknown word fits only MANY. With `tight` one that some shells know counts as known, and with
    `perhaps` an unknown one may be anything, also several words. `first` replaces the first word.
    """
    states = _reached({0}, globs)
    for n, word in enumerate(argv):
        text = first if n == 0 and first is not None else word.text
        known = word.known or (tight and UNKNOWN not in text)
        after: set[int] = set()
        for state in states:
            if perhaps and not word.known:
                after.update(range(state, len(globs) + 1))
            if state < len(globs) and globs[state] == MANY:
                after.add(state)
            elif state < len(globs) and known and fits(text, globs[state]):
                after.add(state + 1)
        states = _reached(after, globs)
        if not states:
            return False
    return len(globs) in states


def _reached(states: set[int], globs: tuple[str, ...]) -> set[int]:
    """The states themselves, and those behind a MANY that stands for no word."""
    found = set(states)
    for state in states:
        at = state
        while at < len(globs) and globs[at] == MANY:
            at += 1
            found.add(at)
    return found
