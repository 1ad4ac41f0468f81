"""diff: what a task changed in its workspace."""

from __future__ import annotations

from typing import Annotated

import typer

from agentctl.cli.output import give, has_colour, paragraphs, say_json, show_fitting, tell

Task = Annotated[str, typer.Argument(metavar="TASK_ID", help="Id, unique prefix, name or @last.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def diff(
    task: Task,
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH", help="Only these files and folders.")
    ] = None,
    stat: Annotated[
        bool, typer.Option("--stat", help="Count lines instead of showing them.")
    ] = False,
    json: Json = False,
    file: Annotated[
        str, typer.Option("-o", metavar="FILE", help="Write the patch there; - is stdout.")
    ] = "",
) -> None:
    """Show what a task changed in files, as a patch. E.g.: agentctl diff @last | git apply -R"""
    from agentctl.control import Desk  # these, because --help needs none of them
    from agentctl.reports import task_diff
    from agentctl.settings import here
    from agentctl.sights import diff as changed

    with Desk() as desk:
        found = changed(desk, task, paths or (), here())
    if json:
        say_json(task_diff.as_json(found))
        return
    if not found.files:
        tell(found.nothing)
    elif stat:
        from agentctl.cli.costs import say_fitting

        say_fitting(lambda width, plain: task_diff.stat(found, width, plain))
    elif file or not has_colour():
        text = task_diff.patch(found)
        if text or file:
            give(text, file)
    else:
        show_fitting(lambda _width, _plain: task_diff.coloured(found))
    paragraphs("\n".join(task_diff.remarks(found)))
