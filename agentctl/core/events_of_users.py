"""What users ask of a task, say to it and do with its log. Part of `events`."""

from __future__ import annotations

from agentctl.core.event import Event, TaskCreated
from agentctl.core.values import Limits


class LimitChanged(Event, frozen=True, gc=False):
    """Fact: somebody set new limits."""

    limits: Limits
    reason: str = ""


class PauseRequested(Event, frozen=True, gc=False):
    """Fact: somebody wants the task to stop before its next step."""

    by: str = "user"
    now: bool = False
    """Also cut what is running."""
    reason: str = ""


class CancelRequested(Event, frozen=True, gc=False):
    """Fact: somebody wants the task to end for good."""

    reason: str = ""


class UserSaid(Event, frozen=True, gc=False):
    """Fact: somebody has something to say to the model."""

    text: str
    by: str = "user"
    """user; or fork: agentctl itself, to a task that goes on from another's history."""


class UserHeard(Event, frozen=True, gc=False):
    """Fact: that is part of the conversation from here on."""

    messages: int = 1
    """So many of those that were waiting, the oldest first."""


class Forked(Event, frozen=True, gc=False):
    """Fact: the task begins here. What comes before is a copy of another one's history.

    It says what the model knows, and is paid, counted and allowed by nobody here.
    """

    created: TaskCreated
    """What holds from here on, in place of what the history was begun with."""
    at_step: int = 0
    """After this step of the other task."""
    at_seq: int = 0
    """So many of its events were copied."""


class Imported(Event, frozen=True, gc=False):
    """Fact: the task was brought here from elsewhere; what comes before happened there."""

    created: TaskCreated
    """As in Forked."""
    version: str = ""
    """Of the agentctl that exported it."""


class LogRemoved(Event, frozen=True, gc=False):
    """Fact: the user had what this task said and did taken out of its log; its costs stay.

    Last event of a log that has it. Those before it were made from the ones taken out.
    """

    events: int
    """So many were taken out."""
    bytes: int
    """Their size."""
