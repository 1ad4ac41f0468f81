"""What a result was got from, told so that any change of it shows.

A file is known by its place, size and times. The time of its last change of any kind cannot be set
back, but some file systems keep it in steps of two seconds: what was changed so lately could change
again unseen, and proves nothing yet. Files that the system makes up while they are read (/proc)
have no such times at all.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Callable

from agentctl.ports import ToolContext, ToolResult
from agentctl.tools.beneath import Place
from agentctl.tools.treeworker import Tree

SETTLED_NS = 2_000_000_000
TREE_ENTRIES_MAX = 20_000
"""To look at more would take about as long as a search."""

_HANDLE = getattr(os, "O_PATH", os.O_RDONLY | os.O_NONBLOCK)
"""How to hold a file without reading it."""

NowNs = Callable[[], int]
now_ns: NowNs = time.time_ns


def of_text(text: str, context: ToolContext) -> ToolResult:
    """A result that took no effort to get, and that is its own proof."""
    proof = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]
    return ToolResult(text, proof=proof, again=holds(proof, context))


def holds(proof: str, context: ToolContext) -> bool:
    """Whether the earlier result has the same proof, and so is the result."""
    return bool(proof) and context.earlier is not None and context.earlier.proof == proof


def of_file(file: Place, now: NowNs) -> str:
    """Proof of what a file holds; empty where there is none."""
    try:
        found = file.stat()
        is_made_up = _is_made_up(file.open(_HANDLE))
    except OSError:
        return ""  # reading it will say why
    if is_made_up or found.st_ctime_ns > now() - SETTLED_NS:
        return ""
    return _identity(found)


async def of_tree(tree: Tree, now: NowNs) -> str:
    """Proof of all that a search of this tree can see. Breathes between folders."""
    digest, count, newest_ns = hashlib.sha256(), 0, 0
    devices: set[int] = set()
    try:
        for entries in tree.folders():
            for path, kind in entries:
                found = tree.stat(path)
                newest_ns = max(newest_ns, found.st_ctime_ns)
                if found.st_dev not in devices:
                    devices.add(found.st_dev)
                    if _is_made_up(tree.open(path, _HANDLE)):
                        return ""
                name = path.encode(errors="surrogateescape")
                digest.update(b"%s\0%s %s\n" % (name, kind.encode(), _identity(found).encode()))
            count += len(entries)
            if count > TREE_ENTRIES_MAX:
                return ""
            await asyncio.sleep(0)
    except OSError:
        return ""  # it changes under our eyes, or cannot be read: the search will say so
    if newest_ns > now() - SETTLED_NS:
        return ""
    digest.update(tree.note().encode())
    return digest.hexdigest()[:32]


def _is_made_up(fd: int) -> bool:
    """Whether its file system has no room at all, because nothing is stored there. Closes it."""
    try:
        return os.statvfs(fd).f_blocks == 0
    finally:
        os.close(fd)


def _identity(found: os.stat_result) -> str:
    place = f"{found.st_dev:x}:{found.st_ino:x}"
    return f"{place} {found.st_mode:o} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
