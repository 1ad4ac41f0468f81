"""Options that several commands share. Values stay text here: `settings` reads and checks them."""

from __future__ import annotations

from typing import Annotated

import typer

MaxCost = Annotated[
    str | None, typer.Option(metavar="USD", help="Most this task may spend, e.g. 0.50.")
]
MaxCostHour = Annotated[
    str | None, typer.Option(metavar="USD", help="Most all tasks may spend in an hour.")
]
MaxTokens = Annotated[
    str | None, typer.Option(metavar="N", help="Most tokens processed anew by this task.")
]
MaxSteps = Annotated[str | None, typer.Option(metavar="N", help="Most answers of the model.")]
Timeout = Annotated[
    str | None, typer.Option(metavar="TIME", help="Most running time: 90s, 5m, 1h.")
]
Provider = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="anthropic, openai, ollama, offline or scripted."),
]
Model = Annotated[str | None, typer.Option(metavar="NAME", help="The provider's name for it.")]
Approve = Annotated[
    str | None,
    typer.Option(metavar="auto|ask|never|read-only", help="Who allows calls that change things."),
]
AllowUnpriced = Annotated[
    bool | None,
    typer.Option("--allow-unpriced", help="Run a model without a known price.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print events as JSON lines on stdout.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print the result only.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Print tool outputs too.")]
Output = Annotated[
    str | None, typer.Option("-o", "--output", metavar="FILE", help="Write the result to a file.")
]
