"""Every error that a user can see, with its exit code.

    AgentctlError               1   something went wrong; nothing was lost
    ├── UsageError              2   the command line, a file or a setting is wrong
    │   ├── ConfigError         2   a configuration file or variable
    │   ├── UnknownTask         2   no task, or several, by that id
    │   └── UnknownPrice        2   a money limit cannot be kept for an unpriced model
    ├── NotResumable            6   the task has ended, there is nothing to go on with
    ├── TaskBusy                7   another live process drives the task
    ├── LockBusy                7   another holder did not free a lock in time
    ├── NotEnoughCredits        3   an account's balance cannot carry the run
    ├── StoreError              74  the state home cannot be read or written
    │   ├── StoreNewer          74  it was written by a newer agentctl
    │   └── StoreCorrupt        74  its integrity check failed
    ├── ProviderError           1   a model provider refused, failed or could not be reached
    └── ToolError               1   a tool failed; told to the model, never ends a run

How a *run* ended is a value, not an exception: see EXIT_CODES.
"""

from __future__ import annotations

EXIT_CODES: dict[str, int] = {
    "done": 0,
    "failed": 1,
    "usage": 2,
    "limit": 3,
    "paused": 4,
    "cancelled": 5,
    "not resumable": 6,
    "busy": 7,
    "interrupted": 8,
    "state": 74,
    "waiting": 75,
    "SIGHUP": 129,
    "SIGINT": 130,
    "SIGTERM": 143,
}
"""Exit code by how a command ended. 74 and 75 are EX_IOERR and EX_TEMPFAIL of sysexits.h."""


class AgentctlError(Exception):
    """What happened, what was kept, and the command to type next, as one paragraph each."""

    exit_code = EXIT_CODES["failed"]

    def __init__(self, what: str, *, kept: str = "", next_step: str = "") -> None:
        """Compose the message; `kept` and `next_step` may be empty."""
        self.what = what
        self.kept = kept
        self.next_step = next_step
        super().__init__(" ".join(part for part in (what, kept, next_step) if part))


class UsageError(AgentctlError):
    """The command line, an input file or a setting is wrong."""

    exit_code = EXIT_CODES["usage"]


class ConfigError(UsageError):
    """A configuration file or environment variable has a bad value."""


class UnknownTask(UsageError):
    """No task, or more than one, goes by that id."""


class UnknownPrice(UsageError):
    """The model has no known price, so a money limit cannot be kept."""


class NotEnoughCredits(AgentctlError):
    """An account's balance cannot carry the run."""

    exit_code = EXIT_CODES["limit"]


class NotResumable(AgentctlError):
    """The task has ended."""

    exit_code = EXIT_CODES["not resumable"]


class TaskBusy(AgentctlError):
    """Another live process drives the task."""

    exit_code = EXIT_CODES["busy"]


class LockBusy(AgentctlError):
    """Somebody else still held a lock when the time to wait for it was over."""

    exit_code = EXIT_CODES["busy"]


class StoreError(AgentctlError):
    """The state home cannot be read or written."""

    exit_code = EXIT_CODES["state"]


class StoreNewer(StoreError):
    """The state was written by a newer version of agentctl."""


class StoreCorrupt(StoreError):
    """The database failed its integrity check."""


class ProviderError(AgentctlError):
    """A model provider refused, failed or could not be reached.

    `reason` is one word for the log: auth, quota, rate, overloaded, server, request, not_found,
    network, timeout, cut, malformed, context. `retriable` says whether the same call may succeed
    later; `retry_after_ms` is the provider's own demand; `may_be_billed` is False only when the
    provider certainly did no work (it answered with an error status before any output).
    """

    def __init__(
        self,
        what: str,
        *,
        reason: str,
        retriable: bool,
        may_be_billed: bool,
        retry_after_ms: int | None = None,
        next_step: str = "",
    ) -> None:
        """Keep the facts that the driver records."""
        super().__init__(what, next_step=next_step)
        self.reason = reason
        self.retriable = retriable
        self.may_be_billed = may_be_billed
        self.retry_after_ms = retry_after_ms


class ToolError(AgentctlError):
    """A tool failed in a way that the model should hear about.

    `retriable` says that the same call may succeed in a moment, and that this one has done nothing.
    """

    def __init__(
        self, what: str, *, kept: str = "", next_step: str = "", retriable: bool = False
    ) -> None:
        """Keep what the tool belt must know besides the words."""
        super().__init__(what, kept=kept, next_step=next_step)
        self.retriable = retriable
