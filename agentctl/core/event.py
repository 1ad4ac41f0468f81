"""What every event is, and the first one of every task. Part of `events`, which names them all."""

from __future__ import annotations

from msgspec import Struct

from agentctl.core.values import Approve, ContextPolicy, Limits, Rule, Sandbox


class Event(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """Something that happened, numbered 0, 1, 2… within its task."""


class TaskCreated(Event, frozen=True, gc=False):
    """The task exists. First event of every task."""

    goal: str
    system: str
    provider: str
    model: str
    cwd: str
    limits: Limits
    name: str = ""
    context: ContextPolicy = ContextPolicy()
    approve: Approve = "ask"
    options: dict[str, str] = {}
    """Provider settings without secrets: a script's path, a base URL."""
    account: str = "default"
    """Whose calls and credits these are."""
    tier: str = ""
    """The named set of limits that was chosen, if one was."""
    fallbacks: tuple[str, ...] = ()
    """"provider/model" to go on with, in this order, when the one before does not answer."""
    reuse: bool = False
    """An earlier answer to the same request, of any task, is taken instead of asking again."""
    sandbox: Sandbox = Sandbox()
    """What its commands are allowed."""
    rules: tuple[Rule, ...] = ()
    """Permissions that were given to this task itself."""
    origin: str = ""
    """fork (it goes on from a copy of another task's history), import (it was brought here from
    elsewhere), child (it works on another's behalf) or batch; empty: it was begun by itself."""
    parent: str = ""
    """That other task, the id it had elsewhere, or the batch."""
    item: int = 0
    """Its number in the batch, from 1."""
    profile: str = ""
    """The named set of settings that was chosen, if one was."""
    agent: str = ""
    """The definition that it works by, if one was chosen; its prompt is part of `system`."""
    only: tuple[str, ...] | None = None
    """The tools that it has, by name or glob; `!` takes away what follows. None: all."""
    schema: str = ""
    """The JSON Schema that its answer must fit, as JSON text; empty: it may be any text."""
    delegates: bool = False
    depth: int = 0
    """Others may work on its behalf; so many tasks stand above it, each working for the next."""
    key: str = ""
    """What is known of the call of its parent that it works for: no two of one call are begun."""
