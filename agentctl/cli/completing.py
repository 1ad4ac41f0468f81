"""What a shell offers behind a half-typed command line, and the scripts that ask for it.

`agentctl __complete SHELL WORD…` prints what kind of files may follow (files, dirs or none), then a
line for each word: the word, a tab, what it is. Words are fit for any shell as they are; others are
not offered. A shell must never run, expand or show raw what it is told here.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from agentctl.cli.commands import COMMANDS, DEFAULTS, GROUPS, build, with_default
from agentctl.cli.output import say
from agentctl.errors import UsageError
from agentctl.reports.text import visible

Offer = tuple[str, str]
SAFE = re.compile(r"[A-Za-z0-9@_][A-Za-z0-9@_./:+,-]*|--?[a-z][a-z-]*=?[A-Za-z0-9@_./:+,-]*")
TASKS = re.compile(r"\[?(TASK_)?ID\]?(\.\.\.)?")
ABOUT_CHARS = 60
STATUSES = ("running", "interrupted", "paused", "limit", "waiting", "failed", "done", "cancelled")
FILES = {"FILE": "files", "PATH": "files", "FILE.py": "files", "DIR": "dirs"}
SCRIPTS = {
    "bash": """\
_agentctl() {
    local line kind=
    COMPREPLY=()
    while IFS= read -r line; do
        if [ -z "$kind" ]; then kind=$line; else COMPREPLY+=("${line%%$'\\t'*}"); fi
    done < <(agentctl __complete bash "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    case $kind in
        files) compopt -o default ;;
        dirs) compopt -o dirnames ;;
    esac
    case ${COMPREPLY[0]} in *=) compopt -o nospace ;; esac
}
complete -o nosort -F _agentctl agentctl 2>/dev/null || complete -F _agentctl agentctl
""",
    "zsh": """\
#compdef agentctl
_agentctl() {
    local -a lines offered shown
    local line
    lines=("${(@f)$(agentctl __complete zsh "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    case $lines[1] in
        files) _files; return ;;
        dirs) _files -/; return ;;
    esac
    for line in "${(@)lines[2,-1]}"; do
        offered+=("${line%%$'\\t'*}")
        shown+=("${line/$'\\t'/  }")
    done
    (( $#offered )) && compadd -V agentctl -l -d shown -a offered
}
if [ "$funcstack[1]" = _agentctl ]; then _agentctl "$@"; else compdef _agentctl agentctl; fi
""",
    "fish": """\
function __agentctl_complete
    set -l typed (commandline -opc)
    set -e typed[1]
    set -l current (commandline -ct)
    set -l lines (agentctl __complete fish $typed "$current" 2>/dev/null)
    switch "$lines[1]"
        case files
            __fish_complete_path "$current"
        case dirs
            __fish_complete_directories "$current"
        case '*'
            set -e lines[1]
            printf '%s\\n' $lines
    end
end
complete -c agentctl -f -k -a '(__agentctl_complete)'
""",
}


def completion(
    shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish", help="Whose script.")],
) -> None:
    """Print a script that completes words for a shell. E.g.: agentctl completion bash"""
    if shell not in SCRIPTS:
        raise UsageError(
            f"There is no script for {shell!r}.", next_step=f"Write {', '.join(SCRIPTS)}."
        )
    say(SCRIPTS[shell])


def answer(shell: str, typed: Sequence[str]) -> None:
    """Print what may stand in place of the last word. Whatever goes wrong, nothing is offered."""
    try:
        words, begun = _joined(list(typed) or [""])
        kind, offers = offered(words[:-1], words[-1])
        lines = [_line(begun, value, about, shell) for value, about in offers]
    except Exception:  # noqa: BLE001 - an error in the middle of a line that is typed helps nobody
        kind, lines = "none", []
    sys.stdout.write("\n".join([kind, *filter(None, lines)]) + "\n")


def _joined(typed: list[str]) -> tuple[list[str], str]:
    """The words as they are meant, and the part of the last that the shell takes for its own.

    bash ends words at "=" and ":" too: `--model a:b` comes as `--model`, `a`, `:`, `b`.
    """
    words: list[str] = []
    for place, word in enumerate(typed):
        sign = word in ("=", ":") and place and words
        glued = place and typed[place - 1] in ("=", ":") and len(words)
        if sign or glued:
            words[-1] += word
        else:
            words.append(word)
    own = len(typed[-1]) if typed[-1] not in ("=", ":") else 0
    return words, words[-1][: len(words[-1]) - own]


def _line(begun: str, value: str, about: str, shell: str) -> str:
    if not SAFE.fullmatch(value):
        return ""
    if shell == "bash":
        value = value.removeprefix(begun)
    text = " ".join(visible(about).split())[:ABOUT_CHARS]
    return f"{value}\t{text}" if text else value


def offered(words: Sequence[str], current: str) -> tuple[str, list[Offer]]:
    """What may follow these words and begins with `current`, and the kind of files that may."""
    names = [*dict.fromkeys(name.split()[0] for name in COMMANDS)]
    if not words:
        return "none", _beginning([(name, GROUPS.get(name, "")) for name in names], current)
    first = words[0]
    below: list[Offer] = []
    if first in GROUPS and len(words) == 1:
        known = [name.split()[1] for name in COMMANDS if name.startswith(f"{first} ")]
        below = _beginning([(name, "") for name in known], current)
        if first not in DEFAULTS:
            return "none", below
    full = with_default([*words, ""])[:-1]
    name = " ".join(full[:2]) if full[0] in GROUPS else first
    if name not in COMMANDS:
        return "none", []
    kind, found = _of_command(_command(name), full[len(name.split()) :], current)
    return kind, [*below, *found]


def _command(name: str) -> Any:
    command: Any = typer.main.get_command(build(name.split()))
    for word in name.split():
        command = command.commands[word]
    return command


def _of_command(command: Any, words: Sequence[str], current: str) -> tuple[str, list[Offer]]:
    options = {
        opt: param
        for param in command.params
        for opt in (*param.opts, *param.secondary_opts)
        if opt.startswith("-")
    }
    places = [param for param in command.params if param.param_type_name == "argument"]
    given: dict[str, str] = {}
    waiting = ""
    used = 0
    for word in words:
        if waiting:
            given[waiting], waiting = word, ""
        elif word.startswith("-") and word != "-":
            name, equals, value = word.partition("=")
            param = options.get(name)
            if equals:
                given[name] = value
            elif param is not None and not param.is_flag:
                waiting = name
        else:
            used += 1
    if waiting:
        return _values(options[waiting], current, given, waiting)
    name, equals, value = current.partition("=")
    if equals and name in options:
        kind, found = _values(options[name], value, given, name)
        return kind, [(f"{name}={word}", about) for word, about in found]
    if current.startswith("-"):
        about = {opt: (param.help or "") for opt, param in options.items()}
        return "none", _beginning([*about.items(), ("--help", "Show what it does.")], current)
    if places and (used < len(places) or places[-1].nargs == -1):
        return _values(places[min(used, len(places) - 1)], current, given, "")
    return "none", []


def _values(
    param: Any, current: str, given: dict[str, str], option: str
) -> tuple[str, list[Offer]]:
    """What may stand in a parameter's place."""
    metavar = param.metavar or ""
    if not option and param.name in ("task", "tasks") and TASKS.fullmatch(metavar):
        return "none", _tasks(current)
    known = _known(param.name, option, given)
    if known is not None:
        return "none", _beginning(known, current)
    words = metavar.strip("[].").split("|")
    for word in words:
        if word in FILES:
            return FILES[word], []
    choices = [word for word in words if word.islower() or word == "-"]
    if len(words) > 1 and choices:
        return "none", _beginning([(word, "") for word in choices], current)
    return "none", []


def _known(name: str, option: str, given: dict[str, str]) -> Iterable[Offer] | None:
    """Words that only the program knows; None where it knows none."""
    from agentctl import registry  # here, because most words need none of it

    if option == "--provider":
        return [(each, "") for each in registry.PROVIDERS]
    if option == "--model":
        return _models(given.get("--provider", ""))
    if option == "--state":
        return [(each, "") for each in STATUSES]
    if option == "--step":
        return [("last", "")]
    if not option and name == "name":  # of a tool: `tools show NAME`
        return [(each, "") for each in registry.TOOLS]
    return None


def _tasks(current: str) -> list[Offer]:
    """Ids, and names that were given, with what the tasks are for; `@last` too."""
    from agentctl.store import hints  # the store

    found: list[Offer] = []
    for task_id, name, status, goal in hints.tasks(_database(), current):
        about = f"{status}: {name or goal}"
        if task_id.startswith(current):
            found.append((task_id, about))
        elif name:
            found.append((name, f"{status}: {goal}"))
    return [*_beginning([("@last", "the newest task")], current), *found]


def _models(provider: str) -> Iterator[Offer]:
    """Models that were asked before."""
    from agentctl.store import hints  # the store

    for who, model in hints.models(_database(), provider):
        yield model, who


def _database() -> Path:
    from agentctl.paths import state_home

    return Path(state_home(os.environ)) / "agentctl.db"


def _beginning(offers: Iterable[Offer], current: str) -> list[Offer]:
    return [(value, about) for value, about in offers if value.startswith(current)]
