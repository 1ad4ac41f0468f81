"""What is said as it comes, for whoever watches live: a secret in pieces is taken out too."""

from __future__ import annotations

from collections.abc import Callable

from agentctl.core.redact import Redactor, StreamRedactor


class Voice:
    """One stream of text, of a model or of a tool."""

    def __init__(self, redactor: Redactor, hear: Callable[[str], None] | None) -> None:
        """`hear` takes what may be shown; None: nobody watches."""
        self._redactor, self._hear = redactor, hear
        self._stream: StreamRedactor | None = None

    def say(self, text: str) -> None:
        """Pass on what is surely no part of a secret."""
        if self._hear is None:
            return
        if self._stream is None:
            self._stream = StreamRedactor(self._redactor)
        clean = self._stream.feed(text)
        if clean:
            self._hear(clean)

    def end(self) -> None:
        """Pass on the rest."""
        rest = "" if self._stream is None else self._stream.end()
        if rest and self._hear is not None:
            self._hear(rest)
