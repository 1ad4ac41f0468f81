"""Answers given before to the very same request: the last resort when no model answers."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from agentctl.core.values import Rates, Usage
from agentctl.errors import ProviderError
from agentctl.ports import Answer, Emit, Request


class Cached:
    """Repeats an earlier answer. Nothing is sent anywhere, so it costs and counts nothing."""

    name = "cached"

    def __init__(self, look_up: Callable[[str], Answer | None], model: str) -> None:
        """`look_up` finds the answer to a request by its key; `model` is the one that gave it."""
        self.model = model
        self.max_output = 32_000
        self.rates: Rates | None = Rates(source="cached")
        self.paced = False
        self._look_up = look_up

    async def ask(self, request: Request, emit: Emit) -> Answer:
        """Return the earlier answer. Raises ProviderError ("not_found") when there is none."""
        found = self._look_up(request.key) if request.key else None
        if found is None:
            raise ProviderError(
                "No earlier answer to the same request is kept.",
                reason="not_found",
                retriable=False,
                may_be_billed=False,
            )
        if found.message.text:
            emit(found.message.text)
        # Its response id stays with the call that was billed.
        return msgspec.structs.replace(
            found, usage=Usage(), response_id="", model=found.model or self.model
        )

    async def close(self) -> None:
        """Nothing is open."""
