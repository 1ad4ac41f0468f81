"""context: what a task would be sent now, and what other policies would have sent and cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from agentctl.cli.output import say_json
from agentctl.core.values import POLICIES
from agentctl.errors import AgentctlError

if TYPE_CHECKING:
    from agentctl.control import Desk
    from agentctl.core.events import Recorded, TaskCreated
    from agentctl.core.rows import TaskRow
    from agentctl.core.state import State
    from agentctl.core.values import Approve, ContextPolicy, Rates
    from agentctl.ports import Pricer


def context(
    task: Annotated[str, typer.Argument(metavar="TASK_ID", help="Id, prefix, name or @last.")],
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="auto|window|none|NAME|all",
            help="What the task would have cost with it instead; NAME: an installed policy.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Show what a task would be sent now, and why. E.g.: agentctl context @last --policy all"""
    from agentctl.control import Desk  # the store, not needed for --help

    found = {} if policy is None else _policies(policy)
    with Desk() as desk:
        row = desk.find(task)
        log = desk.store.read(row.id)
        if policy is None:
            _show_next(desk, row, log, json=json)
        else:
            _compare(desk, row, log, found, json=json)


def _policies(name: str) -> dict[str, Callable[..., object] | None]:
    """Policies by name, the installed ones loaded. Raises UsageError for an unknown one."""
    from agentctl import registry  # entry points, which --help does not need

    names = [*POLICIES, *registry.installed_policies()] if name == "all" else [name]
    return {each: registry.context_policy(each, "--policy") for each in names}


def _show_next(desk: Desk, row: TaskRow, log: Sequence[Recorded], *, json: bool) -> None:
    # The tables and the whole core: no other command needs all of this.
    from agentctl.assembly import shape_of
    from agentctl.cli.costs import say_fitting
    from agentctl.cli.tokens import ratio
    from agentctl.core.context_auto import most_tokens
    from agentctl.core.context_view import sight
    from agentctl.core.tokens import TokenTally
    from agentctl.reports import context as report

    per_ktoken = ratio(desk, row.provider, row.model)
    tally = TokenTally(per_ktoken)
    for record in log:
        tally.add(record)
    seen = sight(log)
    state = seen.state
    count, size_bytes = _tools(state.approve)
    shape = shape_of(row.provider, row.model, *_pricer(row, state.created, _last_rates(log)))
    most, why = None, ""
    if state.policy.name == "auto":
        most, why = most_tokens(state.policy, shape)
    elif state.policy.name == "window":
        most, why = state.policy.max_tokens, "the most to send"
    found = report.ContextReport(
        row,
        seen,
        per_ktoken,
        count,
        size_bytes,
        tally.next_request(),
        shape.window_tokens or None,
        most,
        why,
    )
    if json:
        say_json(report.as_json(found))
    else:
        say_fitting(lambda width, plain: report.text(found, width, plain=plain))


def _compare(
    desk: Desk,
    row: TaskRow,
    log: Sequence[Recorded],
    asked: Mapping[str, Callable[..., object] | None],
    *,
    json: bool,
) -> None:
    # The same, and the prices.
    from agentctl import pricing
    from agentctl.assembly import shape_of
    from agentctl.cli.costs import say_fitting
    from agentctl.cli.tokens import ratio
    from agentctl.core.context_custom import PolicyBroke
    from agentctl.core.context_replay import Model, as_it_was, replay
    from agentctl.core.events import ModelFailed
    from agentctl.core.state import fold
    from agentctl.core.values import Usage
    from agentctl.reports import context_policies as report

    state = fold(log)
    created, per_ktoken = state.created, ratio(desk, row.provider, row.model)
    pricer, base_url = _pricer(row, created, _last_rates(log))
    shape = shape_of(row.provider, row.model, pricer, base_url)
    cliff = shape.cliff_tokens
    overhead_bytes = len(created.system.encode()) + _tools(state.approve)[1]
    model = Model(
        shape,
        per_ktoken,
        overhead_bytes * 1000 // per_ktoken,
        pricing.cost_of,
        pricer.rates(Usage(input=cliff + 1)) if cliff else None,
    )
    policies = {name: _policy(row, state, name, base_url) for name in asked}
    was = as_it_was(log)
    try:
        sums = [replay(log, policies[name], model, custom) for name, custom in asked.items()]
    except PolicyBroke as error:
        raise AgentctlError(
            f"{error}.", next_step="Mend it, or name another with --policy."
        ) from error
    found = report.Comparison(
        row,
        state.policy.name,
        was,
        tuple(zip(policies.values(), sums, strict=True)),
        sum(isinstance(record.event, ModelFailed) for record in log),
        was.cache_read > 0,
    )
    if json:
        say_json(report.as_json(found))
    else:
        say_fitting(lambda width, plain: report.text(found, width, plain=plain))


def _policy(row: TaskRow, state: State, name: str, base_url: str) -> ContextPolicy:
    """The task's own settings of this policy, or else the usual ones."""
    from agentctl.assembly import context as fitted
    from agentctl.settings import Settings

    if state.policy.name == name:
        return state.policy
    usual = Settings(context_policy=name).context()
    return fitted(usual, row.provider, row.model, base_url)


def _tools(approve: Approve) -> tuple[int, int]:
    """How many tools a model is told of, and the bytes of what it is told."""
    from agentctl.assembly import tools

    specs = [tool.spec for tool in tools(approve)]
    return len(specs), sum(len((spec.description + spec.parameters).encode()) for spec in specs)


def _pricer(row: TaskRow, created: TaskCreated, rates: Rates | None) -> tuple[Pricer, str]:
    """Today's price table if the task was priced by it, else the prices it had; the address."""
    from agentctl import pricing  # the price table, which is heavy

    options = created.options
    base_url = options.get(f"{row.provider}:base_url", options.get("base_url", ""))
    own = None if rates is None or rates.source.startswith("genai-prices") else rates
    return pricing.pricer(row.provider, row.model, own, {}, base_url=base_url), base_url


def _last_rates(log: Sequence[Recorded]) -> Rates | None:
    """The unit prices of the task's last answer that told them."""
    from agentctl.core.context_replay import rates_of

    told = (found for record in reversed(log) if (found := rates_of(record.event)))
    return next(told, None)
