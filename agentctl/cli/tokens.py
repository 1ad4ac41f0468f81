"""tokens count, tokens fetch, show --tokens: how many tokens a text or a task is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentctl.cli.output import say, say_json, tell
from agentctl.errors import UsageError

if TYPE_CHECKING:
    from agentctl.control import Desk

BYTES_MAX = 20_000_000
"""Several times what the largest window holds."""
WORDS = "o200k_base|cl100k_base"
LOCAL = ("offline", "scripted", "ollama")
"""Providers whose models stand in no price table."""


def count(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A text file; - is stdin.")],
    model: Annotated[
        str, typer.Option(metavar="PROVIDER/MODEL", help="Whose tokens. Default: as configured.")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Count the tokens of a text, offline. E.g.: agentctl tokens count README.md"""
    # The store and the settings: not needed for --help.
    from agentctl import counting
    from agentctl.control import Desk

    text = _text(file)
    provider, name = _model(model)
    with Desk() as desk:
        learned = desk.store.learned(provider, name)
        counter = counting.counter(provider, name, home=desk.home, learned=learned)
    exact = isinstance(counter, counting.RankCounter) and len(text) <= counting.EXACT_CHARS
    found: dict[str, Any] = {
        "file": file,
        "provider": provider,
        "model": name,
        "bytes": len(text.encode()),
        "tokens": counter.count(text),
        "figures": "exact" if exact else "estimated",
        "by": counting.encoding_name(provider, name) if exact else "bytes",
        "bytes_per_ktoken": None if exact else counter.bytes_per_ktoken,
        "learned_tokens": 0 if exact else learned.tokens,
    }
    if json:
        say_json({"schema": 1, **found})
    else:
        say(_told(found))


def fetch(
    name: Annotated[str, typer.Argument(metavar=f"[{WORDS}]", help="Which ranks.")] = "o200k_base",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
) -> None:
    """Download ranks to count OpenAI's tokens exactly. E.g.: agentctl tokens fetch o200k_base"""
    import os  # these, because --help needs none of them

    from agentctl import ranks
    from agentctl.paths import state_home

    if name not in ranks.SHA256:
        raise UsageError(f"There are no ranks named {name!r}.", next_step=f"Write one of {WORDS}.")
    home = Path(state_home(os.environ))
    place = ranks.found(name, home)
    if place is not None:
        tell(f"{name} is already here: {place / ranks.file_name(name)}")
        return
    size = ranks.SIZES_BYTES[name] / 1_000_000
    tell(
        f"To be downloaded: {name}, about {size:.1f} MB\n"
        f"from {ranks.URL.format(name)}\n"
        f"to   {ranks.target(name, home)}"
    )
    if not yes and not _agreed():
        tell("Nothing was downloaded.")
        return
    ranks.fetch(name, home)
    tell("Done: its SHA-256 is the expected one. OpenAI's tokens are counted exactly from now on.")


def show_tokens(task: str, *, json: bool) -> None:
    """Show what fills a task's window, the tokens of each call, and what was saved."""
    # The store and the whole log: no other `show` needs all of this.
    from agentctl.cli.costs import say_fitting
    from agentctl.control import Desk
    from agentctl.core.history import own_from
    from agentctl.core.tokens import TokenTally
    from agentctl.reports import tokens

    with Desk() as desk:
        row = desk.find(task)
        tally = TokenTally(ratio(desk, row.provider, row.model))
        log = desk.store.read(row.id)
        first = own_from(log)
        calls = [call for record in log if (call := tally.add(record)) and record.seq >= first]
    window = _window(row.provider, row.model, tally)
    report = tokens.TokenReport(row, tuple(calls), tally.totals, tally.next_request(), window)
    if json:
        say_json(tokens.as_json(report))
    else:
        say_fitting(lambda width, plain: tokens.text(report, width, plain=plain))


def ratio(desk: Desk, provider: str, model: str) -> int:
    """Bytes of a thousand tokens of a model, as far as is known."""
    from agentctl.core.calibrate import bytes_per_ktoken  # these, because --help needs neither
    from agentctl.counting import usual

    return bytes_per_ktoken(usual(provider, model), desk.store.learned(provider, model))


def _window(provider: str, model: str, tally: Any) -> int | None:
    if provider in LOCAL:
        return None
    from agentctl import pricing  # the price table, which is heavy

    options = tally.state.created.options
    base_url = options.get(f"{provider}:base_url", options.get("base_url", ""))
    return pricing.window(provider, model, base_url=base_url)


def _agreed() -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "Nobody can be asked here, and nothing is downloaded unasked.",
            next_step="If it is meant, type: agentctl tokens fetch --yes",
        )
    sys.stderr.write("Download it? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _model(named: str) -> tuple[str, str]:
    """Provider and model: as named, or as configured. A name without a slash is a model's."""
    if named:
        if not named.isprintable():
            raise UsageError(
                "--model: that is no name of a model.", next_step="Check its spelling."
            )
        provider, slash, model = named.partition("/")
        return (provider, model) if slash else ("", provider)
    import os  # these, because a named model needs neither

    from agentctl import registry, settings

    chosen = settings.load({}, env=os.environ, cwd=settings.here())
    if chosen.model or not chosen.provider:
        return chosen.provider, chosen.model
    kind = registry.load(registry.PROVIDERS, chosen.provider, "provider")
    return chosen.provider, kind.default_model


def _told(found: dict[str, Any]) -> str:
    whose = "/".join(filter(None, (found["provider"], found["model"]))) or "no model in particular"
    head = f"{found['tokens']:,} tokens, {found['figures']}, for {whose}"
    if found["figures"] == "exact":
        return f"{head}\ncounted with the ranks of {found['by']}"
    source = "as measured in general for such models"
    if found["learned_tokens"]:
        source = f"learned from {found['learned_tokens']:,} tokens that it reported"
    each = found["bytes_per_ktoken"] / 1000
    return f"{head}\n{found['bytes']:,} bytes at {each:.2f} a token, {source}"


def _text(file: str) -> str:
    data = _bytes(file)
    named = "stdin" if file == "-" else file
    if len(data) > BYTES_MAX:
        raise UsageError(
            f"{named} is larger than {BYTES_MAX // 1_000_000} MB, more than any model can be sent.",
            next_step="Count a part of it: head -c 1000000 FILE | agentctl tokens count -",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{named} is not UTF-8 text (byte {error.start:,} is not).",
            next_step="Only text has tokens that can be counted; convert it to UTF-8 first.",
        ) from error
    if "\0" in text:
        raise UsageError(f"{named} is binary: it has NUL bytes.", next_step="Name a text file.")
    return text


def _bytes(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read(BYTES_MAX + 1)
    try:
        with Path(file).open("rb") as handle:
            return handle.read(BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}.",
            next_step="Name a text file, or - for stdin.",
        ) from error
