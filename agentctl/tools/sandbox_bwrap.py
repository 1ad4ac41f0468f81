"""bubblewrap: namespaces and mounts, set up by a small program that distributions ship."""

from __future__ import annotations

import shutil
from functools import cache

from agentctl.tools.sandbox_view import View

INSTALL = "apt install bubblewrap"
SHM_BYTES = 64 << 20


@cache
def bwrap() -> str:
    """Where bubblewrap is, or an empty string. Only places that a workspace cannot write to."""
    return shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin") or ""


def arguments(view: View, cwd: str, *, network: bool, proc: bool) -> list[str]:
    """The command line up to `--`. The first process inside must collect orphans.

    Its environment must be scrubbed before: bubblewrap's own process is visible inside.
    """
    words = [bwrap(), "--unshare-all", "--as-pid-1", "--die-with-parent", "--cap-drop", "ALL"]
    words += ["--share-net"] if network else []
    words += ["--ro-bind", "/", "/", "--dev", "/dev"]
    words += ["--proc", "/proc"] if proc else ["--ro-bind", "/proc", "/proc"]
    # bubblewrap does so too, but not for root, who could change the kernel's settings by it.
    words += ["--ro-bind", "/proc/sys", "/proc/sys"]
    words += ["--size", str(SHM_BYTES), "--perms", "1777", "--tmpfs", "/dev/shm"]  # noqa: S108 - inside
    for mount in view.mounts:
        if mount.kind == "empty":
            words += ["--size", "1048576", "--tmpfs", mount.path]
        else:
            words += ["--ro-bind" if mount.kind == "read" else "--bind", mount.source, mount.path]
    for mount in view.mounts:
        if mount.kind == "empty":
            words += ["--remount-ro", mount.path]
    return [*words, "--chdir", cwd]
