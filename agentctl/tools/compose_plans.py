"""The five ways to join tools: what each makes act, in which order, and what it makes of results.

A plan only ever acts through `Work.attempt`, which asks the run to make the call: it is in the log,
needs its own permission and has its own time-out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from agentctl.core.values import TIMEOUTS_MS, Millis, ToolSpec
from agentctl.errors import ConfigError, ToolError
from agentctl.ports import CallInner, ToolResult
from agentctl.tools import compose_refs as refs
from agentctl.tools.compose_refs import Scope
from agentctl.tools.compose_when import holds, tested

ITEMS_MAX = 100
AT_ONCE_MAX = 5
TEXT_MAX = 10_000_000
"""Most characters of a result that is joined from several."""

Specs = Mapping[str, ToolSpec]


class Step(Struct, frozen=True):
    """One call of a composition."""

    tool: str
    label: str
    arguments: Any = refs.WHOLE_INPUT
    """A template: see compose_refs."""


class Outcome(Struct, frozen=True):
    """How a call went."""

    result: ToolResult
    unsure: bool = False
    """It did not end properly: nobody knows what it did."""


class Work:
    """One run of a composed tool."""

    def __init__(self, name: str, given: dict[str, Any], call: CallInner, specs: Specs) -> None:
        """Act for the composed tool `name`; `specs` are those of the tools within, where known."""
        self.name = name
        self.scope = Scope(given, {})
        self._call = call
        self._specs = specs

    async def attempt(self, step: Step, scope: Scope | None = None) -> Outcome:
        """Make one call. What it fails with is part of the outcome."""
        try:
            arguments = refs.fill(step.arguments, scope or self.scope)
            if not isinstance(arguments, dict):
                raise ToolError(f"The arguments of {step.label} are no JSON object.")
            text = msgspec.json.encode(arguments).decode()
        except (ToolError, RecursionError) as error:
            return Outcome(ToolResult(str(error), ok=False))
        try:
            result = await self._call(step.tool, text)
        except ToolError as error:  # refused: it was not begun
            return Outcome(ToolResult(str(error), ok=False))
        return Outcome(result, not result.ok and _is_cut(step.tool, result.text))

    async def noted(self, step: Step) -> Outcome:
        """Make one call whose result later references can name."""
        outcome = await self.attempt(step)
        self.scope.results[step.label] = self.scope.last = outcome.result
        return outcome

    def is_unsafe(self, step: Step) -> bool:
        """Whether a call must not be made twice unasked; one of an unknown tool must not."""
        spec = self._specs.get(step.tool)
        return spec is None or spec.repeat == "unsafe"


def _is_cut(tool: str, text: str) -> bool:
    """Whether a failed call was cut off rather than answered, by what the run says of it then."""
    is_late = text.startswith("Stopped after ") and f"the time limit of {tool}." in text
    return is_late or text.startswith(f"{tool} broke: ")


class Plan(Protocol):
    """A way to join steps."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """All that it may make act."""
        ...

    def check(self, inputs: Collection[str] | None) -> None:
        """Raise ConfigError for a reference to what cannot be there."""
        ...

    def timeout_ms(self, specs: Specs) -> Millis:
        """Longest that it may take, by the time-outs of its parts."""
        ...

    def words(self) -> str:
        """What it does, for a description."""
        ...

    async def run(self, work: Work) -> ToolResult:
        """Do it. Raises ToolError."""
        ...


def step_timeout_ms(step: Step, specs: Specs) -> Millis:
    """Longest that a step may take, all its attempts together."""
    spec = specs.get(step.tool)
    return TIMEOUTS_MS["default"] if spec is None else spec.timeout_ms * max(1, spec.attempts)


class Sequential(Struct, frozen=True):
    """One after the other, until one fails; the result is that of the last."""

    steps: tuple[Step, ...]

    def check(self, inputs: Collection[str] | None) -> None:
        """Each step may name the input and the steps before it."""
        for n, step in enumerate(self.steps):
            earlier = [each.label for each in self.steps[:n]]
            roots = ("input", "result", "steps") if n else ("input",)
            _checked(step.label, step.arguments, roots, earlier, inputs)

    def timeout_ms(self, specs: Specs) -> Millis:
        """The sum."""
        return sum(step_timeout_ms(step, specs) for step in self.steps)

    def words(self) -> str:
        """What it does, for a description."""
        return f"Runs {', then '.join(step.tool for step in self.steps)}."

    async def run(self, work: Work) -> ToolResult:
        """Run the steps in order."""
        for n, step in enumerate(self.steps, 1):
            outcome = await work.noted(step)
            if not outcome.result.ok:
                before = ", ".join(each.label for each in self.steps[: n - 1]) or "nothing"
                place = f"Step {n} of {len(self.steps)} ({step.label})"
                text = f"{place} failed: {outcome.result.text}\nDone before it: {before}."
                return ToolResult(text, ok=False)
        return ToolResult(outcome.result.text)


class Parallel(Struct, frozen=True):
    """Side by side; the result has a section for each, in the order given."""

    steps: tuple[Step, ...]

    def check(self, inputs: Collection[str] | None) -> None:
        """Each step may name the input only."""
        for step in self.steps:
            _checked(step.label, step.arguments, ("input",), (), inputs)

    def timeout_ms(self, specs: Specs) -> Millis:
        """That of the longest, as often as there are more steps than run at once."""
        longest_ms = max(step_timeout_ms(step, specs) for step in self.steps)
        return longest_ms * -(-len(self.steps) // AT_ONCE_MAX)

    def words(self) -> str:
        """What it does, for a description."""
        return f"Runs {', '.join(step.tool for step in self.steps)} side by side."

    async def run(self, work: Work) -> ToolResult:
        """Run all of them, whether or not one fails."""
        outcomes = await _side_by_side([work.attempt(step) for step in self.steps])
        results = [outcome.result for outcome in outcomes]
        text = _sections([(s.label, r) for s, r in zip(self.steps, results, strict=True)])
        return ToolResult(text, ok=all(result.ok for result in results))


class Conditional(Struct, frozen=True):
    """One step or another, depending on the input or on a step before."""

    when: Any
    """A callable, or a test as a table: see compose_when."""
    then: Step
    otherwise: Step | None = None
    first: Step | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """All that it may make act."""
        return tuple(step for step in (self.first, self.then, self.otherwise) if step is not None)

    def check(self, inputs: Collection[str] | None) -> None:
        """The test and the branches may name the input and what `first` gave."""
        if self.first is not None:
            _checked(self.first.label, self.first.arguments, ("input",), (), inputs)
        earlier = [] if self.first is None else [self.first.label]
        roots = ("input", "result", "steps") if earlier else ("input",)
        for step in (self.then, self.otherwise):
            if step is not None:
                _checked(step.label, step.arguments, roots, earlier, inputs)
        if not callable(self.when):
            _checked("when", tested(self.when)[1], roots, earlier, inputs)

    def timeout_ms(self, specs: Specs) -> Millis:
        """That of `first` and of the longer branch."""
        branches = [step for step in (self.then, self.otherwise) if step is not None]
        first_ms = 0 if self.first is None else step_timeout_ms(self.first, specs)
        return first_ms + max(step_timeout_ms(step, specs) for step in branches)

    def words(self) -> str:
        """What it does, for a description."""
        first = "" if self.first is None else f"Runs {self.first.tool}. "
        other = "nothing" if self.otherwise is None else self.otherwise.tool
        return f"{first}Runs {self.then.tool} if a condition holds, otherwise {other}."

    async def run(self, work: Work) -> ToolResult:
        """Run `first`, look, run a branch. A failed `first` is for the test to judge."""
        if self.first is not None:
            await work.noted(self.first)
        step = self.then if self._holds(work) else self.otherwise
        if step is None:
            return ToolResult("Nothing was done: the condition does not hold.")
        outcome = await work.noted(step)
        return _plain(outcome.result)

    def _holds(self, work: Work) -> bool:
        if not callable(self.when):
            return holds(self.when, work.scope)
        try:
            return bool(self.when(dict(work.scope.input), dict(work.scope.results)))
        except Exception as error:  # foreign code: what it raises is told like any tool's failure
            why = f"{type(error).__name__}: {error}"
            raise ToolError(f"The condition of {work.name} broke: {why}") from error


class Fallback(Struct, frozen=True):
    """The first; when it fails the next, if trying that is harmless."""

    steps: tuple[Step, ...]
    even_if_unknown: bool = False

    def check(self, inputs: Collection[str] | None) -> None:
        """Each step may name the input only."""
        for step in self.steps:
            _checked(step.label, step.arguments, ("input",), (), inputs)

    def timeout_ms(self, specs: Specs) -> Millis:
        """The sum."""
        return sum(step_timeout_ms(step, specs) for step in self.steps)

    def words(self) -> str:
        """What it does, for a description."""
        return f"Runs {', or if that fails '.join(step.tool for step in self.steps)}."

    async def run(self, work: Work) -> ToolResult:
        """Try the steps in order."""
        failed: list[tuple[str, ToolResult]] = []
        unknown = ""
        for step in self.steps:
            if unknown and work.is_unsafe(step) and not self.even_if_unknown:
                told = f"Nobody knows what {unknown} did, so {step.label} was not tried after it. "
                text = f"{told}Check before repeating.\n{_sections(failed)}"
                return ToolResult(text, ok=False)
            outcome = await work.attempt(step)
            if outcome.result.ok:
                return ToolResult(outcome.result.text)
            failed.append((step.label, outcome.result))
            if outcome.unsure and work.is_unsafe(step):
                unknown = step.label
        return ToolResult(_sections(failed), ok=False)


class Mapped(Struct, frozen=True):
    """The same step for each item of a list; the results are joined in its order."""

    step: Step
    over: Any
    """A reference to a list, or a list whose texts may hold references."""
    at_most: int = ITEMS_MAX
    at_once: int = 1
    stop_on_error: bool = False

    @property
    def steps(self) -> tuple[Step, ...]:
        """All that it may make act."""
        return (self.step,)

    def check(self, inputs: Collection[str] | None) -> None:
        """The list may name the input; the step also the item and its index, from 0."""
        for name, value, most in (
            ("at_most", self.at_most, ITEMS_MAX),
            ("at_once", self.at_once, AT_ONCE_MAX),
        ):
            if not 1 <= value <= most:
                raise ConfigError(f"{name} must be from 1 to {most}.")
        if not isinstance(self.over, list | tuple) and refs.lone(self.over) is None:
            raise ConfigError('over must be one reference to a list, as "{input.items}".')
        _checked("over", self.over, ("input",), (), inputs)
        roots = ("input", "item", "index")
        _checked(self.step.label, self.step.arguments, roots, (), inputs)

    def timeout_ms(self, specs: Specs) -> Millis:
        """Enough for the longest list."""
        return step_timeout_ms(self.step, specs) * -(-self.at_most // self.at_once)

    def words(self) -> str:
        """What it does, for a description."""
        return f"Runs {self.step.tool} for each item of a list of at most {self.at_most}."

    async def run(self, work: Work) -> ToolResult:
        """Run the step for every item. A failure is told in its place."""
        items = self._items(work.scope)
        results: dict[int, ToolResult] = {}
        left = iter(range(len(items)))

        async def take() -> None:
            for n in left:
                scope = Scope(work.scope.input, item=items[n], index=n)
                results[n] = (await work.attempt(self.step, scope)).result
                if self.stop_on_error and not results[n].ok:
                    for _ in left:  # nobody shall begin another
                        pass

        await _side_by_side([take() for _ in range(min(self.at_once, len(items)))])
        if not items:
            return ToolResult("Nothing was done: the list is empty.")
        text = _sections([(f"{n + 1} of {len(items)}", results[n]) for n in sorted(results)])
        if len(results) < len(items):
            text += f"\nStopped: {len(items) - len(results)} of {len(items)} were not begun."
        good = sum(result.ok for result in results.values())
        return ToolResult(text, ok=good == len(items) if self.stop_on_error else bool(good))

    def _items(self, scope: Scope) -> list[Any]:
        found = refs.present(refs.fill(self.over, scope))
        if not isinstance(found, list):
            raise ToolError(f"{self.over} is no list.")
        if len(found) > self.at_most:
            raise ToolError(f"The list has {len(found):,} items; at most {self.at_most} are taken.")
        return found


# --- parts ---------------------------------------------------------------------------------------


async def _side_by_side(jobs: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Run all; when the run itself breaks, the others are stopped and the first error raised."""
    try:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(job) for job in jobs]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    return [task.result() for task in running]


def _sections(results: Sequence[tuple[str, ToolResult]]) -> str:
    sections = (
        f"[{label}]{'' if result.ok else ' failed:'}\n{result.text}" for label, result in results
    )
    text = "\n\n".join(sections)
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}\n[the rest is left out]"


def _plain(result: ToolResult) -> ToolResult:
    """The result without a proof: that was about another call."""
    return ToolResult(result.text, result.ok)


def _checked(
    place: str,
    template: object,
    roots: Collection[str],
    steps: Collection[str],
    inputs: Collection[str] | None,
) -> None:
    try:
        refs.check(template, roots, steps, inputs)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error.what}", next_step=error.next_step) from error
