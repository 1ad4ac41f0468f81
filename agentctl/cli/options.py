"""Options that several commands share. Values stay text here: `settings` reads and checks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

LIMITS = (
    "max_cost",
    "max_cost_hour",
    "max_cost_day",
    "max_cost_step",
    "max_tokens",
    "max_steps",
    "timeout",
    "max_credits",
    "max_credits_step",
    "on_limit",
    "wait_in_place",
    "allow_unpriced",
)
"""Settings that a task is begun with and that a resume may change: a parameter has their name."""

CHOICES = (
    "provider",
    "model",
    "fallback",
    "account",
    "tier",
    "profile",
    "context",
    "system",
    "approve",
    "sandbox",
    "delegate",
    "no_cache",
    "reuse",
)
"""Other settings that only a new task takes as they are."""


def picked(parameters: Mapping[str, object], names: Sequence[str]) -> dict[str, object]:
    """Return the parameters of these names, as flags for `settings`."""
    return {name: parameters[name] for name in names}


MaxCost = Annotated[
    str | None, typer.Option(metavar="USD", help="Most this task may spend, e.g. 0.50.")
]
MaxCostHour = Annotated[
    str | None, typer.Option(metavar="USD", help="Most all tasks may spend in an hour.")
]
MaxCostDay = Annotated[
    str | None, typer.Option(metavar="USD", help="Most all tasks may spend in 24 hours.")
]
MaxCostStep = Annotated[
    str | None, typer.Option(metavar="USD", help="Most one call of the model may cost.")
]
MaxTokens = Annotated[
    str | None, typer.Option(metavar="N", help="Most tokens processed anew by this task.")
]
MaxSteps = Annotated[str | None, typer.Option(metavar="N", help="Most answers of the model.")]
Timeout = Annotated[
    str | None, typer.Option(metavar="TIME", help="Most running time: 90s, 5m, 1h.")
]
MaxCredits = Annotated[
    str | None, typer.Option(metavar="N", help="Most credits this task may use.")
]
MaxCreditsStep = Annotated[
    str | None, typer.Option(metavar="N", help="Most credits one step may use.")
]
OnLimit = Annotated[
    str | None, typer.Option(metavar="pause|fail|wait", help="What reaching a limit does.")
]
WaitInPlace = Annotated[
    str | None, typer.Option(metavar="TIME", help="A longer wait frees the process: 60s, 5m.")
]
Fallback = Annotated[
    str | None,
    typer.Option(metavar="LIST", help="Asked instead, in order: provider/model,provider/model."),
]
Provider = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="anthropic, openai, ollama, offline or scripted."),
]
Model = Annotated[str | None, typer.Option(metavar="NAME", help="The provider's name for it.")]
Account = Annotated[
    str | None, typer.Option(metavar="NAME", help="Whose calls and credits these are.")
]
Tier = Annotated[str | None, typer.Option(metavar="NAME", help="A configured set of limits.")]
Profile = Annotated[str | None, typer.Option(metavar="NAME", help="A configured set of settings.")]
Agent = Annotated[
    str,
    typer.Option(metavar="NAME|FILE.md", help="Work by this definition: see agentctl agents list."),
]
Delegate = Annotated[
    bool | None,
    typer.Option("--delegate", help="Let it have other tasks work for it.", show_default=False),
]
Schema = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="JSON Schema that the answer must fit; it is then JSON."),
]
Cwd = Annotated[
    str | None, typer.Option(metavar="DIR", help="The workspace; default: this folder.")
]
Sandbox = Annotated[
    str | None,
    typer.Option(
        metavar="auto|off|read-only|workspace|strict", help="What confines commands of tools."
    ),
]
SandboxNetwork = Annotated[
    bool, typer.Option("--sandbox-network", help="Let confined commands use the network.")
]
Allow = Annotated[
    list[str] | None,
    typer.Option(metavar="RULE", help="Allow calls, e.g. 'run_shell: git status *'."),
]
Deny = Annotated[
    list[str] | None, typer.Option(metavar="RULE", help="Deny calls, e.g. 'write_file: .env*'.")
]
NoSummaries = Annotated[
    bool, typer.Option("--no-summaries", help="Never ask the model to sum up what is left out.")
]
NoRules = Annotated[bool, typer.Option("--no-rules", help="Do not read AGENTS.md.")]
Context = Annotated[
    str | None,
    typer.Option(
        metavar="auto|window|none|NAME",
        help="How long conversations are shortened; NAME: by an installed policy.",
    ),
]
System = Annotated[str | None, typer.Option(metavar="TEXT", help="Added to the system prompt.")]
Script = Annotated[
    str | None, typer.Option(metavar="FILE", help="Turns for the scripted provider.")
]
Tools = Annotated[
    list[str] | None,
    typer.Option(
        "--tools",
        metavar="FILE.py|NAME",
        help="Tools of your own, or of an installed package; more than once.",
        show_default=False,
    ),
]
Mcp = Annotated[
    list[str] | None,
    typer.Option(
        "--mcp",
        metavar="FILE",
        help="MCP servers, by the usual mcpServers JSON; more than once.",
        show_default=False,
    ),
]
Approve = Annotated[
    str | None,
    typer.Option(metavar="auto|ask|never|read-only", help="Who allows calls that change things."),
]
AllowUnpriced = Annotated[
    bool | None,
    typer.Option("--allow-unpriced", help="Run a model without a known price.", show_default=False),
]
Reuse = Annotated[
    bool | None,
    typer.Option("--reuse", help="Take earlier answers to equal requests.", show_default=False),
]
NoCache = Annotated[
    bool | None,
    typer.Option("--no-cache", help="Look everything up anew, every time.", show_default=False),
]
Estimate = Annotated[
    bool,
    typer.Option("--estimate", help="Say what it will probably cost; no call is made."),
]
Json = Annotated[bool, typer.Option("--json", help="Print events as JSON lines on stdout.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print the result only.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Print tool outputs too.")]
Output = Annotated[
    str | None, typer.Option("-o", "--output", metavar="FILE", help="Write the result to a file.")
]
Detach = Annotated[bool, typer.Option("--detach", help="Run in the background; the id is printed.")]
