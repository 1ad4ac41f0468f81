"""Words that make an ordinary command run other programs, or write files, unexpectedly.

The tables are of commands that agents meet; they cannot be complete.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from agentctl.core.shellwords import UNKNOWN, Argv, name_of


class _Guard(Struct, frozen=True):
    """Options that run programs or write files where nobody would think of it."""

    long: str = ""
    """Names without the dashes; a beginning of one counts, as programs accept it."""
    short: str = ""
    words: str = ""
    """Words as they stand, or up to an `=`."""


FIND_RUNS = ("-exec", "-execdir", "-ok", "-okdir")
_CURL = _Guard(
    "output remote-name remote-header-name config dump-header cookie-jar trace trace-ascii stderr "
    "libcurl upload-file output-dir etag-save hsts alt-svc",
    "oOJKDcT",
)
_WGET = _Guard("output-document output-file append-output execute config post-file", "OoaeP")
_TAR = _Guard(
    "to-command checkpoint-action use-compress-program rsh-command info-script rmt-command "
    "new-volume-script",
    "IF",
)
_FD = _Guard("exec exec-batch", "xX")
_GUARDS = {
    "[": _Guard(words="-v -R"),
    "cargo": _Guard("config"),
    "curl": _CURL,
    "fd": _FD,
    "fdfind": _FD,
    "find": _Guard(words=" ".join(FIND_RUNS) + " -delete -fprint -fprint0 -fprintf -fls"),
    "go": _Guard(
        "exec toolexec vettool ldflags overlay modfile o",
        words="-exec -toolexec -vettool -ldflags -overlay -modfile -o",
    ),
    "history": _Guard(short="acdnprsw"),
    "jobs": _Guard(short="x"),
    "kubectl": _Guard("kubeconfig server", "s"),
    "make": _Guard("eval file makefile directory", "fC", "SHELL"),
    "man": _Guard("html pager config-file", "HPC"),
    "npm": _Guard("script-shell node-options prefix userconfig globalconfig", "C"),
    "pip": _Guard("python log"),
    "printf": _Guard(short="v"),
    "rg": _Guard("pre hostname-bin search-zip", "z"),
    "rsync": _Guard("rsh rsync-path", "e"),
    "scp": _Guard(short="oSF"),
    "sftp": _Guard(short="oSFb"),
    "sort": _Guard("compress-program output temporary-directory", "oT"),
    "tar": _TAR,
    "bsdtar": _TAR,
    "test": _Guard(words="-v -R"),
    "tree": _Guard(short="oR"),
    "wait": _Guard(short="p"),
    "wget": _WGET,
    "zip": _Guard("unzip-command", "T"),
}
_GIT = _Guard(
    "output output-directory exec upload-pack receive-pack config template ext-diff extcmd "
    "open-files-in-pager separate-git-dir unsafe-paths"
)
_GIT_SHORT = {"grep": "O", "rebase": "x", "clone": "uc"}
_GIT_VALUED = ("-C", "-c", "--git-dir", "--work-tree", "--namespace", "--config-env")
_GIT_HARMLESS = frozenset({"--no-pager", "-P", "--version", "-v", "--no-optional-locks"})
_GIT_PLAIN = frozenset(
    {"add", "apply", "blame", "branch", "cat-file", "check-ignore", "checkout", "cherry"}
    | {"cherry-pick", "clean", "clone", "commit", "count-objects", "describe", "diff"}
    | {"diff-tree", "fetch", "for-each-ref", "fsck", "gc", "grep", "init", "log", "ls-files"}
    | {"ls-remote", "ls-tree", "merge", "merge-base", "mv", "name-rev", "pull", "push"}
    | {"range-diff", "rebase", "reflog", "remote", "reset", "restore", "rev-list", "rev-parse"}
    | {"revert", "rm", "shortlog", "show", "show-branch", "show-ref", "stash", "status"}
    | {"switch", "tag", "version", "whatchanged"}
)


def loaded(argv: Argv) -> list[str]:
    """Words that a pattern must have itself: they make a command do quite another thing.

    UNKNOWN is among them where such a word might come of an expansion.
    """
    name = name_of(argv[0])
    special = _SPECIAL.get(name)
    if special is None and name not in _GUARDS:
        return []
    found = special(argv) if special else _guarded(argv[1:], _GUARDS[name])
    if name in ("tar", "bsdtar") and len(argv) > 1 and set(argv[1].text) & set("IF"):
        found.append(argv[1].text)  # `tar cIf` needs no dash
    for word in argv[1:]:
        is_risky = word.loose or name in _LANGUAGES or word.text[:1] in ("-", "", UNKNOWN)
        if is_risky and not word.known:
            found.append(UNKNOWN)
    return found


def _guarded(words: Argv, guard: _Guard) -> list[str]:
    found = []
    names = guard.long.split()
    for word in words:
        text = word.text.partition("=")[0]
        if text.startswith("--"):
            is_loaded = len(text) > 2 and any(name.startswith(text[2:]) for name in names)
        else:
            is_loaded = text.startswith("-") and any(c in guard.short for c in text[1:])
        if is_loaded or text in guard.words.split():
            found.append(word.text)
    return found


def after_git_options(argv: Argv) -> int:
    """Where git's own command stands: behind the options that come before it."""
    at = 1
    while at < len(argv) and argv[at].text.startswith("-"):
        at += 2 if argv[at].text in _GIT_VALUED else 1
    return at


def _git(argv: Argv) -> list[str]:
    at = after_git_options(argv)
    texts = [word.text for word in argv]
    options = [texts[n] for n in range(1, at) if texts[n - 1] not in _GIT_VALUED]
    found = [option for option in options if option not in _GIT_HARMLESS]
    if at >= len(argv):
        return found
    verb = argv[at].text
    if verb not in _GIT_PLAIN:  # it may be an alias that runs anything
        found.append(verb)
    found += _guarded(argv[at + 1 :], _Guard(_GIT.long, _GIT_SHORT.get(verb, "")))
    return found + [w.text for w in argv[at + 1 :] if "::" in w.text]


def _sed(argv: Argv) -> list[str]:
    """Scripts of sed can run commands and write files; a few plain kinds cannot."""
    texts = [word.text for word in argv[1:]]
    options = [text for text in texts if text.startswith("-")]
    found = [text for text in options if text not in ("-n", "-E", "-r", "-z", "-s", "-e")]
    scripts = [texts[n] for n in range(1, len(texts)) if texts[n - 1] == "-e"]
    if not scripts:
        scripts = [text for text in texts if not text.startswith("-")][:1]
    return found + [script for script in scripts if not _is_plain_script(script)]


def _is_plain_script(script: str) -> bool:
    if script[:1] == "s" and script[1:2] not in ("", "\\", "\n"):
        bare = script.replace("\\\\", "").replace("\\" + script[1], "")
        parts = bare.split(script[1])
        return len(parts) == 4 and "\n" not in script and set(parts[3]) <= set("gpiI0123456789")
    return set(script[:-1]) <= set("0123456789,$") and script[-1:] in ("p", "d", "q", "=")


def _awk(argv: Argv) -> list[str]:
    """Programs of awk can run commands and write files."""
    found = []
    skip = False
    for n, word in enumerate(argv[1:], 1):
        if skip:
            skip = False
        elif word.text in ("-F", "-v"):
            skip = True
        elif not word.text.startswith("-"):
            if any(mark in word.text for mark in ("system", "|", ">", "getline", "@")):
                found.append(argv[n].text)
            break
        elif not word.text.startswith("-F"):
            found.append(word.text)
    return found


_AWKS = ("awk", "gawk", "mawk", "nawk")
_LANGUAGES = ("sed", *_AWKS)
_SPECIAL: dict[str, Callable[[Argv], list[str]]] = {
    "git": _git,
    "sed": _sed,
    **dict.fromkeys(_AWKS, _awk),
}
