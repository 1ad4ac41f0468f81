"""When what runs is cut, instead of being waited for."""

from __future__ import annotations

from agentctl.core.state import State
from agentctl.core.values import Millis
from agentctl.run.world import Children


def must_cut(state: State, now_ms: Millis, children: Children | None, *, waiting: bool) -> bool:
    """Whether somebody wants the task to stop at once, or its time is up.

    `waiting`: nothing runs that could end by itself, e.g. a question is put to the user.
    """
    wanted = state.pause_wanted
    if state.cancel_wanted:
        return True
    if wanted is not None and (waiting or (wanted.now and wanted.by == "user")):
        return True
    if wanted is not None and children is not None and children.heed(state):
        return True
    cap_ms = state.limits.wall_ms
    return cap_ms is not None and state.active_ms + now_ms - state.ran_ms >= cap_ms
