"""show: one task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agentctl.cli.listing import as_dict
from agentctl.cli.output import give, say, say_json, show
from agentctl.errors import UsageError

if TYPE_CHECKING:
    from agentctl.core.steps import Step
    from agentctl.reports.task_look import Look

Task = Annotated[str, typer.Argument(metavar="TASK_ID", help="Id, unique prefix, name or @last.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def show_task(
    task: Task,
    json: Json = False,
    step: Annotated[
        str, typer.Option(metavar="N", help="Show one step whole; `last` is the newest.")
    ] = "",
    everything: Annotated[
        bool, typer.Option("--all", "-a", help="Show every step, not just the last lines.")
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the whole task as Markdown.")
    ] = False,
    html: Annotated[
        bool, typer.Option("--html", help="Print it as one HTML page with charts, to be mailed.")
    ] = False,
    events: Annotated[bool, typer.Option("--events", help="Print the log, line by line.")] = False,
    tokens: Annotated[
        bool, typer.Option("--tokens", help="Show its tokens: the window, each call, savings.")
    ] = False,
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="Show what it looked up more than once.")
    ] = False,
    tools: Annotated[
        bool, typer.Option("--tools", help="Show how its tools did: calls, failures, times.")
    ] = False,
    output: Annotated[
        str | None,
        typer.Option(metavar="REF", help="Print a tool's whole output, by hash or call id."),
    ] = None,
    file: Annotated[
        str, typer.Option("-o", metavar="FILE", help="Write the page there; - is stdout.")
    ] = "",
) -> None:
    """Show a task: goal, state, steps, cost and answer. E.g.: agentctl show @last --step 3"""
    _check(task, file, page=markdown or html)
    if output is not None:
        from agentctl.cli.outputs import show_output  # only here

        show_output(task, output, json=json)
    elif duplicates:
        from agentctl.cli.duplicates import show_duplicates  # only here

        show_duplicates(task, json=json)
    elif tools:
        from agentctl.cli.tool_metrics import show_metrics  # only here

        show_metrics(task, json=json)
    elif tokens:
        from agentctl.cli.tokens import show_tokens  # only here

        show_tokens(task, json=json)
    elif events:
        _events(task)
    elif markdown or html:
        _page(task, file, html=html)
    else:
        _task(task, step, json=json, whole=everything)


def _check(task: str, file: str, *, page: bool) -> None:
    """Raise UsageError for a file that nothing would be written to."""
    if file and not page:
        raise UsageError(
            "-o writes a page, made by --markdown or --html.",
            next_step=f"For everything else: agentctl show {task} > {file}",
        )


def _task(task: str, number: str, *, json: bool, whole: bool) -> None:
    from agentctl.control import Desk  # these, because --help needs none of them
    from agentctl.reports import task_look
    from agentctl.sights import look

    with Desk() as desk:
        found = look(desk, task)
    if number:
        step = _step(found, number)
        if json:
            head = {"schema": 1, "task_id": found.row.id, "of": len(found.steps)}
            say_json(head | task_look.step_json(step))
            return
        from agentctl.reports.task_step import step_report  # Rich

        show(step_report(found, step))
    elif json:
        say_json(as_dict(found.row) | task_look.as_json(found))
    else:
        from agentctl.reports.tasks import task_report  # Rich

        show(task_report(found, whole=whole))


def _step(look: Look, text: str) -> Step:
    """The step of that number. Raises UsageError."""
    steps = look.steps
    if text == "last" and steps:
        return steps[-1]
    if text.isascii() and text.isdigit() and 1 <= int(text) <= len(steps):
        return steps[int(text) - 1]
    if not steps:
        raise UsageError(
            f"Task {look.row.id} has no step yet.", next_step=f"See agentctl show {look.row.id}"
        )
    raise UsageError(
        f"--step: task {look.row.id} has no step {text!r}.",
        next_step=f"Write a number from 1 to {len(steps)}, or last.",
    )


def _events(task: str) -> None:
    from agentctl.control import Desk  # the store, not needed for --help
    from agentctl.core.events import to_json

    with Desk() as desk:
        log = desk.store.read(desk.find(task).id)
    for record in log:
        kind, body = to_json(record.event)
        say(f"{record.seq:4d} {kind} {body.decode()}")


def _page(task: str, file: str, *, html: bool) -> None:
    import os  # these, because few look at a task so

    from agentctl.control import Desk
    from agentctl.reports import task_html, task_markdown
    from agentctl.secrets import redactor
    from agentctl.sights import look

    with Desk() as desk:
        found = look(desk, task, redactor(os.environ))
    give(task_html.page(found) if html else task_markdown.page(found), file)
