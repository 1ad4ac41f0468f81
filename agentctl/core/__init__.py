"""Pure decisions: values, events, state and what to do next.

Nothing here knows a clock, a file, a network, randomness or asyncio; time, prices and luck come
in as arguments. Values are msgspec structs: they cost a tenth of a dataclass at start-up and are
their own JSON. Imports go one way: values, events, context, state, limits, guards, decide.
"""
