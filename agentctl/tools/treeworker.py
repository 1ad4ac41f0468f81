"""Walks a folder tree; as a script, searches it. Standard library only, see search.py.

A regular expression written by a model can run for ever, and neither a thread nor an event loop can
stop it. So a search is a process of its own: `python -I -S treeworker.py` with these arguments:
pattern, workspace, folder below it (or empty), name of a single file (or empty), glob, most hits,
then paths below the folder that are passed over. It prints its findings; a pattern that cannot be
compiled, and a folder that cannot be opened, are told with exit code 2.

Folders and files are opened within the folder before them and links are never followed, so nothing
that changes meanwhile leads out of the tree.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator

SKIPPED = frozenset({".git", "node_modules", "__pycache__", ".venv"})
MAX_FILE_BYTES = 10_000_000
MAX_LINE_CHARS = 300
"""A longer line is shown in part, around the hit."""
MAX_HIT_CHARS = 2_000_000
"""The most that a search prints."""
FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
"""How a folder is opened to go through it: where the system can, without leave to list it."""


class Tree:
    """The files below a folder, sorted, links not followed, and what was left out."""

    def __init__(self, top: int, passed_over: Iterable[str] = ()) -> None:
        """`top` is a descriptor that the caller closes; nothing is read before `folders`.

        `passed_over` are paths below it that are treated as if they were not there.
        """
        self.top = top
        self.left_out: dict[str, int] = {}
        self._passed_over = frozenset(map(folded, passed_over))
        self._at: tuple[str, int] | None = None

    def open(self, path: str, flags: int) -> int:
        """Open a file below the top. Returns a descriptor. Raises OSError."""
        folder, _, name = path.rpartition("/")
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._folder(folder))

    def stat(self, path: str) -> os.stat_result:
        """What something below the top is. Raises OSError."""
        folder, _, name = path.rpartition("/")
        return os.stat(name, dir_fd=self._folder(folder), follow_symlinks=False)

    def close(self) -> None:
        """Let go of the folder that was used last."""
        if self._at is not None:
            os.close(self._at[1])
            self._at = None

    def _folder(self, path: str) -> int:
        """Descriptor of a folder below the top; that of the last one is kept."""
        if not path:
            return self.top
        if self._at is None or self._at[0] != path:
            self.close()
            self._at = path, descend(self.top, path)
        return self._at[1]

    def leave_out(self, why: str) -> None:
        """Count something that was not looked at."""
        self.left_out[why] = self.left_out.get(why, 0) + 1

    def folders(self) -> Iterator[list[tuple[str, str]]]:
        """For each folder, depth first, its entries as (path relative to top, kind).

        Kinds: "file", "folder" and "other". One folder at a time, so that a caller can breathe.
        """
        waiting = [""]
        while waiting:
            below = waiting.pop()
            try:
                entries = self._entries(below)
            except OSError:
                if not below:
                    raise
                self.leave_out("unreadable folders")
                continue
            listed = []
            inner = []
            for name, kind in entries:
                path = f"{below}/{name}" if below else name
                if self._passed_over and folded(path) in self._passed_over:
                    continue
                if kind == "folder":
                    if name in SKIPPED:
                        self.leave_out(name)
                        continue
                    inner.append(path)
                listed.append((path, kind))
            waiting.extend(reversed(inner))
            yield listed

    def _entries(self, below: str) -> list[tuple[str, str]]:
        """Name and kind of what a folder holds, sorted. Raises OSError."""
        fd = open_folder(self._folder(below), ".")
        try:
            with os.scandir(fd) as found:
                return sorted((entry.name, _kind(entry)) for entry in found)
        finally:
            os.close(fd)

    def note(self) -> str:
        """One line about what was left out, or an empty string."""
        if not self.left_out:
            return ""
        parts = (
            name if count == 1 else f"{name} ({count})" for name, count in self.left_out.items()
        )
        return f"[skipped: {', '.join(parts)}]"


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.is_dir(follow_symlinks=False):
        return "folder"
    return "file" if entry.is_file(follow_symlinks=False) else "other"


def open_folder(parent: int, name: str) -> int:
    """Open a folder within another so that it can be listed. Raises OSError."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(name, flags, dir_fd=parent)


def descend(top: int, path: str) -> int:
    """Open a folder below another, part by part, following no link. Raises OSError."""
    fd = os.open(".", FOLDER, dir_fd=top)
    try:
        for part in path.split("/") if path else ():
            fd, outer = os.open(part, FOLDER, dir_fd=fd), fd
            os.close(outer)
    except BaseException:
        os.close(fd)
        raise
    return fd


def folded(path: str) -> str:
    """A path so that two spellings that some file system takes for the same are equal."""
    if path.isascii():
        return path.lower()
    import unicodedata  # a megabyte of tables, needed for few names only

    plain = "".join(char for char in path if unicodedata.category(char) != "Cf")
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", plain).casefold())


def matches(path: str, glob: str) -> bool:
    """Whether a relative path fits a glob; one without a slash is asked of the name alone.

    `**/` also stands for no folder at all; `*` does not stop at a slash.
    """
    if "/" not in glob:
        return fnmatch.fnmatchcase(path.rpartition("/")[2], glob)
    if any(fnmatch.fnmatchcase(path, each) for each in (glob, glob.replace("/**/", "/"))):
        return True
    return glob.startswith("**/") and matches(path, glob[3:])


def printable(text: str) -> str:
    r"""Return text fit for one line: what cannot be printed becomes \x1b or \udc80."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else ascii(c)[1:-1] for c in text)


def read_text(path: str, tree: Tree) -> str | None:
    """Text of a regular file; None (and counted) for what is none, too large or unreadable."""
    try:
        fd = tree.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        tree.leave_out("unreadable files")
        return None
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        tree.leave_out("what is no regular file")
        return None
    with os.fdopen(fd, "rb") as file:
        if found.st_size > MAX_FILE_BYTES:
            tree.leave_out("files over 10 MB")
            return None
        try:
            data = file.read(MAX_FILE_BYTES)
        except OSError:  # some that the system makes up can be opened and not read
            tree.leave_out("unreadable files")
            return None
    if b"\0" in data[:8192]:
        tree.leave_out("binary files")
        return None
    return data.decode(errors="replace")


def hits(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    """Line number and shown text of each line in which the pattern occurs."""
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.removesuffix("\r")
        found = pattern.search(line)
        if found is None:
            continue
        if len(line) > MAX_LINE_CHARS:
            start = max(0, found.start() - MAX_LINE_CHARS // 3)
            line = f"…{line[start : start + MAX_LINE_CHARS]}…"
        yield number, printable(line)


def files(tree: Tree, glob: str) -> Iterator[str]:
    """Relative paths of the files that fit a glob."""
    for entries in tree.folders():
        for path, kind in entries:
            if kind == "file" and matches(path, glob):
                yield path


def search(
    pattern: re.Pattern[str], tree: Tree, paths: Iterable[str], most: int, base: str
) -> Iterator[str]:
    """Lines to print: `path:line: text`, then notes. `base` is put before every path."""
    count = size = 0
    for path in paths:
        text = read_text(path, tree)
        for number, line in hits(text or "", pattern):
            if count == most or size > MAX_HIT_CHARS:
                yield f"[stopped after {count} hits: narrow the pattern, path or glob]"
                return
            count += 1
            hit = f"{printable(base + path)}:{number}: {line}"
            size += len(hit)
            yield hit
    if count == 0:
        yield "(no hits)"
    if tree.note():
        yield tree.note()


def main() -> int:
    """Search as the command line says; see the module. A single file is searched in any case."""
    pattern, workspace, below, name, glob, most, *passed_over = sys.argv[1:]
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr] # it is a text stream here
    try:
        compiled = re.compile(pattern)
        top = descend(os.open(workspace, FOLDER), below)
    except (re.error, RecursionError, OverflowError) as error:
        print(f"The pattern is not a regular expression: {error}")  # noqa: T201 - our output
        return 2
    except OSError as error:  # it has changed since it was looked at
        print(f"{printable(below) or '.'}: {(error.strerror or '').lower()}.")  # noqa: T201 - our output
        return 2
    tree = Tree(top, passed_over)
    base = f"{below}/" if below else ""
    for line in search(compiled, tree, [name] if name else files(tree, glob), int(most), base):
        print(line)  # noqa: T201 - our output
    return 0


if __name__ == "__main__":
    sys.exit(main())
