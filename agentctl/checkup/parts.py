"""What a run would be made of: settings, keys, models with their prices, ranks, the sandbox."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agentctl import assembly, counting, mcp_servers, pricing, ranks, registry, trust
from agentctl.checkup.case import Case, told
from agentctl.core.values import Usage
from agentctl.errors import AgentctlError
from agentctl.reports.books import number_of
from agentctl.reports.doctor import Finding, Level

KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY")
SERVICES = ("anthropic", "openai")
"""Providers whose models have prices, and that are reached over the network."""
ONLINE_S = 15.0


def settings(case: Case) -> Iterator[Finding]:
    """What was not taken over from files, and files that others can change."""
    for warning in case.settings.warnings:
        what, _, remedy = warning.partition(" To allow it: ")
        yield Finding("settings", "warning", what, remedy)
    files = [Path(each) for each in (case.settings.user_file, case.settings.project_file) if each]
    for path in files:
        if path.exists() and path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            yield Finding("settings", "warning", f"others can change {path}", f"chmod go-w {path}")
    there = [str(path) for path in files if path.exists()]
    what = f"read from {', '.join(there)}" if there else "no file: the defaults are in force"
    yield Finding("settings", "ok", what, "" if there else "Write one with: agentctl init")


def keys(case: Case) -> Iterator[Finding]:
    """Which keys are set, by the names of their variables only."""
    there = [name for name in KEYS if case.env.get(name, "").strip()]
    if there:
        yield Finding("keys", "ok", f"set: {', '.join(there)}")
    else:
        yield Finding("keys", "note", "none is set: only local models and offline can be used",
                      f"export {KEYS[0]}=…")  # fmt: skip


def models(case: Case) -> Iterator[Finding]:
    """The models that would be asked: whether they can be made, and their prices are known."""
    yield Finding("provider", "ok", f"{case.provider}: {case.why}")
    for provider, model in case.asked:
        if provider in SERVICES:
            yield _model(case, provider, model)
        else:
            registry.load(registry.PROVIDERS, provider, "provider")
    if case.settings.embedder:
        yield _embedder(case)


def _embedder(case: Case) -> Finding:
    provider, _, model = case.settings.embedder.partition("/")
    name = f"embedder {provider}"
    try:
        kind = registry.load(registry.EMBEDDERS, provider, "embedder")
        made = kind(model, _options(case, provider))
        assembly.pricer_of(
            made, case.settings.limits(), _options(case, provider), case.settings.prices,
            embeds=True,
        )  # fmt: skip
    except AgentctlError as error:
        return told(name, error)
    return Finding(name, "ok", f"{provider}/{made.model} can be asked")


def _options(case: Case, provider: str) -> Mapping[str, str]:
    address = case.settings.address(provider, case.env)
    return {"base_url": address} if address else {}


def _model(case: Case, provider: str, model: str) -> Finding:
    name = f"model {provider}"
    try:
        options = _options(case, provider)
        made = assembly.make_provider(provider, model, options, warm=False)
        full = f"{provider}/{made.model}"
        priced = pricing.pricer(
            provider, made.model, made.rates, case.settings.prices,
            base_url=options.get("base_url", ""),
        ).cost(Usage(input=1, output=1))  # fmt: skip
    except AgentctlError as error:
        return told(name, error)
    if priced is not None:
        return Finding(name, "ok", f"{full}, its price is known")
    limits = case.settings.limits()
    if limits.allow_unpriced or not limits.has_money_limit:
        return Finding(name, "warning", f"no price is known for {full}: it is shown as unpriced")
    return Finding(
        name, "problem", f"no price is known for {full}, so a run would be refused",
        f'Check the name, or write [prices."{full}"] into the configuration',
    )  # fmt: skip


def tools(case: Case) -> Iterator[Finding]:
    """Whether what names further tools can be read; nothing is started. Raises ConfigError."""
    own, servers = case.settings.tools, case.settings.mcp
    missing = [path for path in map(_path, (*own, *servers)) if path and not Path(path).exists()]
    if missing:
        yield Finding("tools", "problem", f"the settings name what is not there: {missing[0]}",
                      "Bring it back, or take its name out of the settings")  # fmt: skip
        return
    mcp_servers.check(servers, case.home)
    counts = f"{number_of(len(own), 'file')} or packages of own tools, "
    counts += f"{number_of(len(servers), 'file')} that name MCP servers"
    if own or servers:
        yield Finding("tools", "ok", counts, "Start them all with: agentctl tools check")
    else:
        yield Finding("tools", "ok", "only the built-in ones")


def _path(entry: str) -> str:
    """The file that an entry of the settings names; empty: it is a package's."""
    path = entry.removeprefix(trust.MARK)
    return path if path.startswith("/") else ""


def ollama(case: Case) -> Iterator[Finding]:
    """The models of an Ollama on this machine; nothing leaves it."""
    found = _ollama_models()
    if found is None:
        yield Finding("ollama", "note", "none answers at 127.0.0.1:11434")
    elif not found:
        yield Finding("ollama", "note", "it answers and has no model", "ollama pull qwen3")
    else:
        yield Finding("ollama", "ok", f"{number_of(len(found), 'model')}: {', '.join(found)}")


def _ollama_models() -> list[str] | None:
    """Names of its models; None where nothing of the kind answers."""
    import http.client  # here, as nothing else needs it

    connection = http.client.HTTPConnection("127.0.0.1", 11434, timeout=assembly.OLLAMA_ANSWERS_S)
    try:
        connection.request("GET", "/api/tags")
        said: Any = json.loads(connection.getresponse().read(1_000_000))
        return [str(each["name"]) for each in said["models"]]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None
    finally:
        connection.close()


def rank_files(case: Case) -> Iterator[Finding]:
    """Whether OpenAI's tokens can be counted exactly."""
    names = {counting.encoding_name(provider, model) for provider, model in case.asked} - {""}
    if not names:
        yield Finding("ranks", "ok", "not needed: no model of OpenAI is configured")
    for name in sorted(names):
        place = ranks.found(name, case.home)
        if place is None:
            yield Finding("ranks", "note", f"{name} is not here: tokens are estimated",
                          f"agentctl tokens fetch {name}")  # fmt: skip
        else:
            yield Finding("ranks", "ok", f"{name} is at {place}: tokens are counted exactly")


def sandbox(case: Case) -> Iterator[Finding]:
    """What really confines commands here, found by trying."""
    from agentctl.tools import sandbox as confining  # here, as it brings much along

    policy = assembly.fenced(case.settings.sandbox(), case.home)
    found = confining.probe(policy, str(case.cwd))
    try:
        confining.require(policy, found)
    except AgentctlError as error:
        yield told("sandbox", error)
        return
    line = found.line().removeprefix("sandbox: ")
    if policy.mode == "off":
        yield Finding("sandbox", "warning", "it is switched off by the settings")
        return
    holds = f"; holds: {', '.join(found.parts)}" if found.parts else ""
    level: Level = "ok" if not found.missing else "warning"
    remedy = found.advice[:1].upper() + found.advice[1:]
    yield Finding("sandbox", level, f"{policy.mode}: {line}{holds}", remedy)


def online(case: Case) -> Iterator[Finding]:
    """Whether each provider can be reached with its key; only where that was asked for."""
    import asyncio  # these, as nothing else here awaits

    if not case.online:
        return
    for provider, model in case.asked:
        kind = registry.load(registry.PROVIDERS, provider, "provider")
        if not hasattr(kind, "models"):
            yield Finding("online", "ok", f"{provider} needs no network")
            continue
        try:
            made = kind(model or kind.default_model, _options(case, provider))
            names = asyncio.run(_listed(made))
        except (AgentctlError, TimeoutError) as error:
            yield told(f"online {provider}", error)
            continue
        name = made.model
        if name and name not in names:
            yield Finding(f"online {provider}", "warning",
                          f"reached with its key; it does not list {name}")  # fmt: skip
        else:
            yield Finding(
                f"online {provider}", "ok", f"reached; it lists {number_of(len(names), 'model')}"
            )


async def _listed(provider: Any) -> tuple[str, ...]:
    import asyncio  # as in `online`

    try:
        async with asyncio.timeout(ONLINE_S):
            names: tuple[str, ...] = await provider.models()
            return names
    finally:
        await provider.close()
