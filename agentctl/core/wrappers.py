"""Commands that run other commands, and what a command text reaches through them.

The tables are of commands that agents meet; they cannot be complete. A command that is missing from
them is taken for one that only does its own work.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from agentctl.core.argv import MAX_COMMANDS, Parsed, parse
from agentctl.core.loaded import FIND_RUNS, after_git_options, loaded
from agentctl.core.shellwords import UNKNOWN, Argv, name_of

WRAPPERS: dict[str, tuple[str, int]] = {
    "builtin": ("", 0),
    "busybox": ("", 0),
    "caffeinate": ("tw", 0),
    "chroot": ("", 1),
    "chrt": ("", 1),
    "command": ("", 0),
    "coproc": ("", 0),
    "doas": ("uC", 0),
    "env": ("uCS", 0),
    "exec": ("a", 0),
    "fakeroot": ("", 0),
    "firejail": ("", 0),
    "flock": ("wE", 1),
    "ionice": ("cnpPu", 0),
    "ltrace": ("eopsu", 0),
    "nice": ("n", 0),
    "nohup": ("", 0),
    "nsenter": ("tSG", 0),
    "parallel": ("jNLnIS", 0),
    "pkexec": ("", 0),
    "proot": ("rbw", 0),
    "rlwrap": ("", 0),
    "runuser": ("ugGs", 0),
    "script": ("", 0),
    "setarch": ("", 1),
    "setsid": ("", 0),
    "sg": ("", 1),
    "ssh": ("bcDEeFIiJLlmOopQRSWw", 1),
    "stdbuf": ("ioe", 0),
    "strace": ("abeEIoOpPsSuUX", 0),
    "su": ("gGsw", 1),
    "sudo": ("aCcDghpRrTtUu", 0),
    "systemd-run": ("Mupt", 0),
    "taskset": ("", 1),
    "time": ("fo", 0),
    "timeout": ("ks", 1),
    "toybox": ("", 0),
    "unbuffer": ("", 0),
    "unshare": ("SGRw", 0),
    "watch": ("n", 0),
    "xargs": ("adEILnPs", 0),
    "xvfb-run": ("aefnps", 0),
    # What they run is not told by these two numbers, so it is only suspected.
    **dict.fromkeys(("bundle", "bunx", "docker", "kubectl", "npx", "pipx", "pnpx"), ("", 99)),
    **dict.fromkeys(("podman", "poetry", "rbenv", "pyenv", "uv", "uvx"), ("", 99)),
    **dict.fromkeys(("choom", "dbus-run-session", "dumb-init", "gosu", "numactl"), ("", 99)),
    **dict.fromkeys(("conda", "direnv", "hatch", "mise", "perf", "pipenv", "tox"), ("", 99)),
    **dict.fromkeys(("prlimit", "proxychains", "proxychains4", "setpriv", "su-exec"), ("", 99)),
    **dict.fromkeys(("tini", "valgrind"), ("", 99)),
}
"""By name: short options that take a value, and how many operands stand before the command."""
SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "fish", "csh", "tcsh"})
_CODE = frozenset({"alias", "eval", "trap"})
SHAPERS = frozenset(
    {"source", ".", "bind", "compgen", "complete", "declare", "enable", "export", "fc", "getopts"}
    | {"hash", "let", "local", "mapfile", "read", "readarray", "readonly", "set", "shopt"}
    | {"typeset", "unalias", "unset"}
)
"""Builtins that can change what later commands are."""
RUNNERS = frozenset(WRAPPERS) | SHELLS | _CODE | SHAPERS
"""An allowing pattern must name each of these itself."""

_MAX_SUFFIXES = 40
_MAX_DEPTH = 6
_MAX_CODE_CHARS = 200_000


class Reach(Struct, frozen=True):
    """What a command text may run, everything inside its wrappers included."""

    sure: tuple[Argv, ...]
    perhaps: tuple[Argv, ...]
    """Commands if the words mean what they may mean."""
    opaque: str = ""
    """Why still more may be run."""


class _Search:
    """Collects what can be reached, within bounds."""

    def __init__(self) -> None:
        self.sure: list[Argv] = []
        self.perhaps: list[Argv] = []
        self.opaque = ""
        self.left = _MAX_CODE_CHARS

    def add(self, parsed: Parsed, depth: int, *, sure: bool) -> None:
        self.opaque = self.opaque or parsed.opaque
        for argv in parsed.commands:
            self.command(argv, depth, sure=sure)

    def command(self, argv: Argv, depth: int, *, sure: bool) -> None:
        if depth > _MAX_DEPTH or len(self.sure) + len(self.perhaps) > 2 * MAX_COMMANDS:
            self.opaque = self.opaque or "it runs commands that run commands without end"
            return
        (self.sure if sure else self.perhaps).append(argv)
        if not argv[0].known and UNKNOWN in argv[0].text:
            self.opaque = self.opaque or "the name of a command is not known"
            return
        name = name_of(argv[0])
        runs_more = name in RUNNERS or bool(loaded(argv))
        if name == "git":
            found = (argv[0], *argv[after_git_options(argv) :])
            (self.sure if sure else self.perhaps).append(found)
        elif any(word.text.startswith("-") for word in argv[1:3]):
            self._without_options(argv)
        inner = list(_inner(name, argv))
        for each in inner:
            self.command(each, depth + 1, sure=sure)
        if "{}" in argv[0].text or (depth and name in WRAPPERS and not inner):
            self.opaque = self.opaque or "words that are not shown are added to a command"
        for code in _code(name, argv):
            self._read(code, depth, sure=sure)
        if _reads_commands(name, argv):
            self.opaque = self.opaque or f"{name} reads commands that are not shown"
        if runs_more and sure:
            self._suspect(argv, depth)

    def _without_options(self, argv: Argv) -> None:
        """`docker -H x rm` may be what a rule for `docker rm` means."""
        at = 1
        while at < min(len(argv), 12) and (
            argv[at].text.startswith("-") or argv[at - 1].text.startswith("-")
        ):
            at += 1
            self.perhaps.append((argv[0], *argv[at:]))

    def _suspect(self, argv: Argv, depth: int) -> None:
        """Any word of such a command may begin another, or be code."""
        if len(argv) > _MAX_SUFFIXES:
            self.opaque = self.opaque or "a command that runs others has very many words"
        for at in range(1, min(len(argv), _MAX_SUFFIXES)):
            self.perhaps.append(argv[at:])
            text = argv[at].text
            if any(mark in text for mark in " ;|&\n!=`"):
                for code in (text, text.partition("=")[2], text.lstrip("!")):
                    self._quietly(code.lstrip("!"), depth)

    def _quietly(self, code: str, depth: int) -> None:
        """Look into a word that is perhaps no code at all: it not being readable says nothing."""
        before = self.opaque
        self._read(code, depth, sure=False)
        self.opaque = before

    def _read(self, code: str, depth: int, *, sure: bool) -> None:
        self.left -= len(code)
        if self.left < 0:
            self.opaque = self.opaque or "it holds too much code within code"
        else:
            self.add(parse(code, nested=True), depth + 1, sure=sure)


def reach(parsed: Parsed) -> Reach:
    """Everything that a text may run. Never raises."""
    search = _Search()
    search.add(parsed, 0, sure=True)
    return Reach(tuple(search.sure), tuple(search.perhaps), search.opaque)


def _inner(name: str, argv: Argv) -> Iterator[Argv]:
    """The commands that a wrapper's words are known to be."""
    if name in WRAPPERS:
        valued, operands = WRAPPERS[name]
        at = _skip(argv, valued, operands)
        if at < len(argv):
            yield argv[at:]
    if name == "find":
        starts = [n for n, word in enumerate(argv) if word.text in FIND_RUNS]
        for start in starts:
            rest = argv[start + 1 :]
            ends = [n for n, word in enumerate(rest) if word.text in (";", "+")]
            if rest[: ends[0] if ends else None]:
                yield rest[: ends[0] if ends else None]


def _skip(argv: Argv, valued: str, operands: int) -> int:
    """Where the inner command begins: behind options, their values, assignments and operands."""
    at = 1
    while at < len(argv):
        text = argv[at].text
        if text.startswith("-") and len(text) > 1:
            valued_at = [n for n, char in enumerate(text) if n and char in valued]
            takes_next = text[1] != "-" and valued_at[:1] == [len(text) - 1]
            at += 2 if takes_next else 1
        elif operands and "=" not in text:
            operands -= 1
            at += 1
        elif "=" in text.partition("/")[0]:
            at += 1
        else:
            break
    return at


def _code(name: str, argv: Argv) -> Iterator[str]:
    """Texts among the words that are shell code."""
    texts = [word.text for word in argv[1:]]
    if name in SHELLS:
        options = [text for text in texts if text[:1] in ("-", "+")]
        if any("c" in text.lstrip("-+") for text in options if not text.startswith("--")):
            yield from (text for text in texts if text[:1] not in ("-", "+"))
    elif name == "eval":
        yield " ".join(texts)
    elif name == "trap":
        yield from texts[:1]
    elif name == "alias":
        yield from (text.partition("=")[2] for text in texts)
    elif name in WRAPPERS:
        for n, text in enumerate(texts):
            if text in ("-c", "--command", "-S", "--split-string"):
                yield from texts[n + 1 : n + 2]
            elif text.startswith(("--command=", "--split-string=")):
                yield text.partition("=")[2]
            elif name == "env" and text.startswith("-") and "S" in text and text[:2] != "--":
                yield text.partition("S")[2]
        if name in ("watch", "ssh", "parallel"):
            yield " ".join(texts[_skip(argv, *WRAPPERS[name]) - 1 :])


def _reads_commands(name: str, argv: Argv) -> bool:
    """Whether a shell is given its commands by a pipe, a file without a name, or by no means."""
    operands = [w for w in argv[1:] if not w.text.startswith(("-", "+"))]
    unnamed = any(w.text.startswith(("/dev/", "/proc/")) or not w.known for w in operands)
    if name in ("source", "."):
        return unnamed
    return name in SHELLS and (not operands or unnamed or any(w.text == "-s" for w in argv[1:]))
