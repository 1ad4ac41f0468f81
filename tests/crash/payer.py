"""The command line as users run it, but for waits before a retry, which take no time here.

`python -m tests.crash.payer ARGUMENTS…` runs `agentctl ARGUMENTS…`. What a provider demands by
Retry-After is still obeyed.
"""

from __future__ import annotations

from agentctl.cli import main
from agentctl.run import perform

if __name__ == "__main__":
    perform.wait_ms = lambda failures, jitter, retry_after_ms: retry_after_ms or 0
    main()
