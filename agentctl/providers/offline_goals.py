"""What the offline planner understands: English goals on files and text, by a table of patterns.

A goal is taken only when the whole of it fits. "Find all TODOs and fix them" does not: doing half
of what was asked and calling it done would be a lie.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

from agentctl.providers.offline_patterns import (
    EXTENSIONS,
    FILES,
    GLOB,
    GOAL_CHARS_MAX,
    HERE,
    KIND_GLOBS,
    MARKER,
    NAME,
    NAMED_PLACE,
    NO_PLACES,
    OUTPUTS,
    QUOTED,
    QUOTED_AT,
    QUOTES_MAX,
    REWRITES,
    RULES,
    TEXT_GLOBS,
    Kind,
)


class Scope(Struct, frozen=True):
    """Which files: name patterns (none: a path, or all files of a folder) below a place."""

    globs: tuple[str, ...] = ()
    place: str = "."


class Goal(Struct, frozen=True):
    """A goal that the planner can carry out."""

    kind: Kind
    scope: Scope = Scope()
    needle: str = ""
    """Regular expression to search for."""
    ours: bool = True
    """Made here from plain text; False for a user's own regular expression, which may be slow."""
    title: str = ""
    """How a report names what is searched for."""
    output: str = ""
    """File to write the findings to; empty: only tell them."""


def parse(text: str) -> Goal | None:
    """Read a goal; None when no rule fits the whole of it."""
    quotes: list[str] = []
    body = _tidy(text, quotes)
    goal = _match(body, quotes)  # first without an output: "search for X in a.md" names none
    if goal is not None:
        return goal
    for pattern in OUTPUTS:
        fit = pattern.fullmatch(body)
        output = _unquote(fit["out"], quotes) if fit else ""
        if fit is None or not re.search(r"[\w-]\.\w+$", output):
            continue
        goal = _match(fit["body"].strip(" ,;."), quotes)
        if goal is not None:
            return msgspec.structs.replace(goal, output=_path(output))
    return None


def _tidy(text: str, quotes: list[str]) -> str:
    """Set quoted texts aside, drop politeness, bring synonyms to one form."""
    if len(text) > GOAL_CHARS_MAX:
        return ""
    text = re.sub(r"[\ue000-\uf8ff]", "\ufffd", text)
    text = text.translate(str.maketrans("“”„‘’", '"""\'\''))

    def aside(found: re.Match[str]) -> str:
        if len(quotes) == QUOTES_MAX:
            return found[0]
        quotes.append(next(part for part in found.groups() if part is not None))
        return chr(QUOTED_AT + len(quotes) - 1)

    text = re.sub(r"\"([^\"\n]+)\"|(?<!\w)'([^'\n]+)'(?!\w)|`([^`\n]+)`", aside, text)
    text = re.sub(
        r"(?:[,\s]+please)?(?<!\s)[.!?]*$", "", " ".join(text.split()), flags=re.IGNORECASE
    )
    for pattern, instead in REWRITES:
        text = re.sub(rf"\A{pattern}", instead, text, flags=re.IGNORECASE)
    return text


def _match(body: str, quotes: list[str]) -> Goal | None:
    for kind, pattern in RULES:
        fit = pattern.fullmatch(body)
        goal = _build(kind, fit.groupdict(), quotes) if fit else None
        if goal is not None:
            return goal
    return None


def _build(kind: Kind, part: dict[str, str | None], quotes: list[str]) -> Goal | None:
    if kind == "dir":
        place = _place(part.get("a") or part.get("b") or ".", quotes)
        return Goal("dir", Scope((), place)) if place else None
    scope = _file_scope(part["files"] or "", quotes) if "files" in part else None
    if "files" not in part:
        text = part.get("scope")
        scope = _scope(text, quotes) if text else Scope()
    if scope is not None and part.get("place"):
        place = _place(part["place"] or "", quotes)
        scope = Scope(scope.globs, place) if place and scope.place == "." else None
    if scope is None:
        return None
    if kind in ("search", "occurrences"):
        return _search_goal(kind, scope, part, quotes)
    if kind == "summarise" and not scope.globs and not is_file(scope.place):
        scope = Scope(TEXT_GLOBS, scope.place)
    return Goal(kind, scope)


def _search_goal(
    kind: Kind, scope: Scope, part: dict[str, str | None], quotes: list[str]
) -> Goal | None:
    if markers := part.get("markers"):
        names = sorted(
            {
                name.upper().replace("-", "")
                for name in re.findall(MARKER.removesuffix("s?"), markers, re.IGNORECASE)
            }
        )
        needle = "|".join(rf"\b{name}\b|\b{name.capitalize()}:|\b{name.lower()}:" for name in names)
        return Goal(kind, scope, needle, True, " and ".join(f"{name}s" for name in names))
    if regex := part.get("regex"):
        regex = re.sub(r"\A/(.+)/\Z", r"\1", _unquote(regex, quotes))
        return Goal(kind, scope, regex, False, f"matches of {regex}")
    word = part.get("quoted") or part.get("word") or part.get("bare")
    if not word:
        return None
    word = _unquote(word, quotes)
    return Goal(kind, scope, "(?i)" + re.escape(word), True, f"lines with “{word}”")


def _scope(text: str, quotes: list[str]) -> Scope | None:
    """Files of a kind, or a place."""
    scope = _file_scope(text, quotes)
    if scope is not None and not (scope.globs and is_file(scope.globs[0])):
        return scope
    place = _place(text, quotes)
    return Scope((), place) if place else None


def _file_scope(text: str, quotes: list[str]) -> Scope | None:
    """Files by kind, extension, pattern or name."""
    fit = FILES.fullmatch(text)
    if fit is not None:
        globs = _globs(fit["kinds"], fit["ext"], fit["glob"], quotes)
    else:
        fit = GLOB.fullmatch(text) or NAME.fullmatch(text)
        globs = (_unquote(fit["glob"], quotes),) if fit else None
    if fit is None or globs is None:
        return None
    place = _place(fit["place"], quotes) if fit["place"] else "."
    return Scope(globs, place) if place else None


def _globs(
    kinds: str | None, extension: str | None, glob: str | None, quotes: list[str]
) -> tuple[str, ...] | None:
    """Turn what a goal says of files into name patterns; None for what we do not know."""
    if extension:
        return (f"*.{extension}",)
    if glob:
        return (_unquote(glob, quotes),)
    globs: list[str] = []
    for word in re.split(r"\s*(?:,|/|\band\b|\bor\b)\s*", kinds or "", flags=re.IGNORECASE):
        known = KIND_GLOBS.get(word.lower())
        extension = word.lower().removeprefix("*").removeprefix(".")
        if known:
            globs += known
        elif extension in EXTENSIONS or re.fullmatch(r"\*?\.\w+", word):
            globs.append(f"*.{extension}")
        elif word:
            return None
    return tuple(globs)


def _place(text: str, quotes: list[str]) -> str:
    """A folder or file as a relative path; empty when the text names none."""
    if HERE.fullmatch(text):
        return "."
    fit = NAMED_PLACE.fullmatch(text)
    word = next((part for part in fit.groups() if part), "") if fit else ""
    if not word or word.lower() in NO_PLACES:
        return ""
    return _path(_unquote(word, quotes))


def _path(text: str) -> str:
    return text.removeprefix("./").rstrip("/") or ("/" if text.startswith("/") else ".")


def is_file(path: str) -> bool:
    """Whether a path looks like a file: its last part has an extension."""
    return re.search(r"[^/.*?][^/*?]*\.\w+$", path) is not None


def _unquote(text: str, quotes: list[str]) -> str:
    return re.sub(QUOTED, lambda found: quotes[ord(found[0]) - QUOTED_AT], text)
