"""Tools made from tools: one after the other, side by side, on a condition, instead, for each.

What a composed tool does is written down before it runs. Every call within it goes through the run
as one of its own: in the log with its parent, with its own permission, time-out and retries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from agentctl.core.values import Repeat, ToolSpec
from agentctl.errors import ConfigError, ToolError
from agentctl.ports import ToolContext, ToolResult
from agentctl.tools import compose_plans as plans
from agentctl.tools import compose_refs as refs
from agentctl.tools import compose_schema as schemas
from agentctl.tools.base import bounded
from agentctl.tools.compose_plans import Plan

REPEATS: tuple[Repeat, ...] = ("safe", "idempotent", "unsafe")
MARGIN_MS = 5_000
"""More than its parts may take, so that it can tell which of them took too long."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


class HasSpec(Protocol):
    """Something that knows what tool it is."""

    spec: ToolSpec


Part = str | HasSpec
"""A tool, or the name of one."""
When = Callable[[Mapping[str, Any], Mapping[str, ToolResult]], bool] | Mapping[str, Any]
"""Takes the input and the results by label; or a test as a table."""


class Use:
    """A tool as part of another, with what it is given. Made by `use`."""

    def __init__(self, part: Part, arguments: object, label: str) -> None:
        self.part = part
        self.tool = _name_of(part)
        self.arguments = arguments
        self.label = label or self.tool


def use(tool: Part, arguments: Mapping[str, Any] | str | None = None, *, label: str = "") -> Use:
    """Say what a tool within a composition is given.

    `arguments` holds literals and references ("{input.path}", "{result}", "{steps.LABEL}");
    without it the tool is given the whole input. Others refer to the step by its label.
    """
    if arguments is None:
        return Use(tool, None, label)
    if isinstance(arguments, str) and refs.lone(arguments) is None:
        raise ConfigError(f"The arguments of {_name_of(tool)} must be a table or one reference.")
    return Use(tool, arguments if isinstance(arguments, str) else dict(arguments), label)


def sequential(
    name: str,
    *steps: Part | Use,
    description: str = "",
    parameters: Mapping[str, Any] | None = None,
) -> Composed:
    """Make a tool that runs tools one after the other, until one fails; it gives the last result.

    The first is given the whole input unless `use` says otherwise; the others need `use`. Raises
    ConfigError, as all of these do.
    """
    uses = _uses(name, steps)
    for each in uses[1:]:
        if each.arguments is None:
            raise ConfigError(
                f"{name}: it is not said what {each.label} is given.",
                next_step=f'Write, e.g.: use("{each.tool}", {{"text": "{{result}}"}})',
            )
    return Composed(name, plans.Sequential(_steps(uses)), uses, description, parameters)


def parallel(
    name: str,
    *steps: Part | Use,
    description: str = "",
    parameters: Mapping[str, Any] | None = None,
) -> Composed:
    """Make a tool that runs tools side by side; its result has a section for each.

    All run to their end; if one failed, its section says so and the whole counts as failed.
    """
    uses = _uses(name, steps)
    return Composed(name, plans.Parallel(_steps(uses)), uses, description, parameters)


def conditional(
    name: str,
    *,
    when: When,
    then: Part | Use,
    otherwise: Part | Use | None = None,
    first: Part | Use | None = None,
    description: str = "",
    parameters: Mapping[str, Any] | None = None,
) -> Composed:
    """Make a tool that runs `then` if a condition holds, else `otherwise`, if there is one.

    The condition may look at the input, and at the result of `first`, which then runs before it.
    """
    given = {"first": first, "then": then, "otherwise": otherwise}
    uses = _uses(name, [each for each in given.values() if each is not None])
    named = zip([key for key in given if given[key] is not None], _steps(uses), strict=True)
    return Composed(name, plans.Conditional(when, **dict(named)), uses, description, parameters)


def with_fallback(
    name: str,
    first: Part | Use,
    *others: Part | Use,
    even_if_unknown: bool = False,
    description: str = "",
    parameters: Mapping[str, Any] | None = None,
) -> Composed:
    """Make a tool that tries the next tool when the one before failed.

    After an unsafe call whose outcome nobody knows no other unsafe one is tried, unless
    `even_if_unknown`: the same thing might be done twice.
    """
    uses = _uses(name, (first, *others))
    plan = plans.Fallback(_steps(uses), even_if_unknown)
    return Composed(name, plan, uses, description, parameters)


def mapped(
    name: str,
    tool: Part | Use,
    *,
    over: str | Sequence[Any] = "{input.items}",
    at_most: int = plans.ITEMS_MAX,
    at_once: int = 1,
    stop_on_error: bool = False,
    description: str = "",
    parameters: Mapping[str, Any] | None = None,
) -> Composed:
    """Make a tool that runs another for each item of a list, and joins the results in its order.

    Without `use` the item is the arguments; else they name it as "{item}", its place as "{index}".
    A failure is told in its place, unless `stop_on_error`. `at_most` 100 items, `at_once` 5.
    """
    uses = _uses(name, [tool])
    (step,) = _steps(uses, "{item}")
    plan = plans.Mapped(step, over, at_most, at_once, stop_on_error)
    return Composed(name, plan, uses, description, parameters)


class Composed:
    """A tool that makes others act. Made by the functions above."""

    def __init__(
        self,
        name: str,
        plan: Plan,
        uses: Sequence[Use],
        description: str,
        parameters: Mapping[str, Any] | None,
    ) -> None:
        """Check what can be checked now; the specs of tools given by name come with `settle`."""
        self._plan = plan
        self._description = description or plan.words()
        self._given = None if parameters is None else schemas.schema_of(parameters)
        self.brings: tuple[HasSpec, ...] = tuple(
            each.part for each in uses if not isinstance(each.part, str)
        )
        """Tools that it was given itself, which the run must know too."""
        self._specs: plans.Specs = {part.spec.name: part.spec for part in self.brings}
        self.spec = ToolSpec(name, "", "")
        self.settle({})

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the tools that it makes act itself, each once."""
        return tuple(dict.fromkeys(step.tool for step in self._plan.steps))

    def settle(self, specs: Mapping[str, ToolSpec]) -> None:
        """Take its own spec from those of its parts. One that is not there counts as unsafe."""
        known = {**self._specs, **{name: specs[name] for name in self.needs if name in specs}}
        self._specs = known
        name = self.spec.name
        try:
            self._schema = self._given or self._schema_of_parts(known)
            self._plan.check(schemas.names_in(self._schema))
            self._check_shell(known)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error.what}", next_step=error.next_step) from error
        inner = [known[need] for need in self.needs if need in known]
        complete = len(inner) == len(self.needs)
        worst = max((REPEATS.index(spec.repeat) for spec in inner), default=0)
        every = [part for need in self.needs for part in (need, *_parts(known.get(need)))]
        self.spec = ToolSpec(
            name,
            self._description,
            msgspec.json.encode(self._schema, order="sorted").decode(),
            repeat=REPEATS[worst] if complete else "unsafe",
            changes=not complete or any(spec.changes for spec in inner),
            timeout_ms=self._plan.timeout_ms(known) + MARGIN_MS,
            origin="composed",
            parts=tuple(dict.fromkeys(every)),
        )

    def check(self, arguments: str) -> str:
        """Return why this JSON text does not fit the tool, or an empty string."""
        try:
            return schemas.problem(self._schema, msgspec.json.decode(bounded(arguments)))
        except (ToolError, msgspec.DecodeError) as error:
            return str(error)

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        """Make the tools within act. Raises ToolError."""
        why = self.check(arguments)
        if why:
            raise ToolError(f"The arguments do not fit {self.spec.name}: {why}.")
        if context.call is None:
            raise ToolError(f"{self.spec.name} cannot work here: no other tool can be made to act.")
        given: dict[str, Any] = msgspec.json.decode(bounded(arguments))
        work = plans.Work(self.spec.name, given, context.call, self._specs)
        return await self._plan.run(work)

    async def close(self) -> None:
        """Nothing of its own outlives a call; its parts are closed by the run."""

    def _schema_of_parts(self, known: plans.Specs) -> schemas.Schema:
        """What the input looks like where the author does not say: that of the part given all."""
        plan = self._plan
        for step in plan.steps:
            spec = known.get(step.tool)
            found = schemas.OPEN if spec is None else msgspec.json.decode(spec.parameters)
            if isinstance(plan, plans.Mapped) and step.arguments == "{item}":
                items = {"type": "array", "items": found, "maxItems": plan.at_most}
                return schemas.schema_of({"items": items})
            if step.arguments == refs.WHOLE_INPUT:
                return dict(found)
        templates = [step.arguments for step in plan.steps] + [getattr(plan, "over", None)]
        used = sorted(
            {r.path[0] for r in refs.references(templates) if r.root == "input" and r.path}
        )
        if used:
            names = ", ".join(used)
            raise ConfigError(f"parameters must say what these inputs are: {names}.")
        return schemas.schema_of({})

    def _check_shell(self, known: plans.Specs) -> None:
        """Text within a command must be quoted: else what a model wrote is read as commands."""
        for step in self._plan.steps:
            spec = known.get(step.tool)
            is_shell = step.tool == "run_shell" if spec is None else spec.category == "shell"
            for ref in refs.unquoted(step.arguments) if is_shell else ():
                raise ConfigError(
                    f"{step.label}: {ref.text} stands within a command.",
                    next_step=f"Write {ref.text[:-1]}:sh}}, which quotes it for the shell.",
                )


def settled(tools: Sequence[Any], *, more_later: bool = False) -> list[Any]:
    """Return the tools of a run with all that composed ones bring, every composed spec complete.

    Raises ConfigError for a part that is not there, unless there are `more_later` (such a part
    counts as unsafe), for two tools of one name and for tools that would call each other for ever.
    """
    every: dict[str, Any] = {}
    for tool in _with_brought(tools):
        name = tool.spec.name
        if every.setdefault(name, tool) is not tool:
            raise ConfigError(f"There are two tools named {name!r}.")
    specs: dict[str, ToolSpec] = {
        n: t.spec for n, t in every.items() if not isinstance(t, Composed)
    }
    waiting = {n: tool for n, tool in every.items() if isinstance(tool, Composed)}
    for name, tool in waiting.items():
        lost = [need for need in tool.needs if need not in every]
        if lost and not more_later:
            raise ConfigError(
                f"{name} is made of {lost[0]!r}, which is no tool.",
                next_step=f"There are: {', '.join(every)}.",
            )
    while waiting:
        ready = [n for n, tool in waiting.items() if not any(p in waiting for p in tool.needs)]
        if not ready:
            raise ConfigError(f"These tools call each other for ever: {', '.join(waiting)}.")
        for name in ready:
            tool = waiting.pop(name)
            tool.settle(specs)
            specs[name] = tool.spec
    return list(every.values())


def _with_brought(tools: Sequence[Any]) -> Iterator[Any]:
    """The tools, and after each those that it brings."""
    for tool in tools:
        yield tool
        if isinstance(tool, Composed):
            yield from _with_brought(tool.brings)


def _parts(spec: ToolSpec | None) -> tuple[str, ...]:
    return () if spec is None else spec.parts


def _name_of(part: Part) -> str:
    name = part if isinstance(part, str) else getattr(getattr(part, "spec", None), "name", "")
    if not isinstance(name, str) or not _NAME.match(name):
        raise ConfigError(f"{part!r} is neither a tool nor the name of one.")
    return name


def _uses(name: str, steps: Sequence[Part | Use]) -> list[Use]:
    """The steps as uses, their labels made different. Raises ConfigError."""
    if not _NAME.match(name):
        raise ConfigError(f"A tool cannot be named {name!r}: at most 64 of A-Z a-z 0-9 _ -.")
    if not steps:
        raise ConfigError(f"{name} is made of no tool.")
    found: list[Use] = []
    taken: set[str] = set()
    for step in steps:
        each = step if isinstance(step, Use) else Use(step, None, "")
        label = each.label
        if not _NAME.match(label):
            raise ConfigError(f"{name}: a step cannot be named {label!r}.")
        if label in taken and label != each.tool:
            raise ConfigError(f"{name}: two steps are named {label!r}.")
        count = 2
        while label in taken:
            label, count = f"{each.label}_{count}", count + 1
        taken.add(label)
        found.append(Use(each.part, each.arguments, label))
    return found


def _steps(uses: Sequence[Use], default: str = refs.WHOLE_INPUT) -> tuple[plans.Step, ...]:
    return tuple(
        plans.Step(u.tool, u.label, default if u.arguments is None else u.arguments) for u in uses
    )
