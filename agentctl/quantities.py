"""Read what people write for money, durations and counts. Exact: no floating point in between.

Each function takes text or a number and raises ValueError with half a sentence that says what is
wrong; the caller knows where the value came from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation

MAX_DOLLARS = 1_000_000
MAX_COUNT = 10**12
MAX_BYTES = 10**18
MAX_MS = 366 * 24 * 3_600_000
MAX_MODELS = 20
MAX_TEXTS = 1_000
UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

Reader = Callable[[object], object]


def shown(value: object) -> str:
    """Return a short, printable picture of a value for an error message."""
    text = str(value) if isinstance(value, (int, Decimal, float)) else repr(value)
    return text if len(text) <= 40 else text[:37] + "…"


def micros(value: object) -> int:
    """Read dollars, e.g. "0.50", as whole micro-dollars."""
    amount = _decimal(value, "an amount in dollars")
    if amount < 0:
        raise ValueError(f"{shown(value)} is negative")
    if amount > MAX_DOLLARS:  # compared before it is multiplied: 1e999999 would overflow
        raise ValueError(f"{shown(value)} is more than a million dollars")
    return _exact(amount, 1_000_000, value)


def duration_ms(value: object) -> int:
    """Read "90s", "5m", "1h", "250ms", "2d" or seconds as milliseconds."""
    text = str(value).strip().lower() if isinstance(value, str) else value
    factor = 1_000
    if isinstance(text, str):
        for unit in ("ms", "s", "m", "h", "d"):
            if text.endswith(unit):
                text, factor = text.removesuffix(unit).rstrip(), UNITS_MS[unit]
                break
    amount = _decimal(text, "a duration")
    if amount < 0:
        raise ValueError(f"{shown(value)} is negative")
    if amount > MAX_MS // factor:
        raise ValueError(f"{shown(value)} is more than a year")
    return _exact(amount, factor, value)


def size_bytes(value: object) -> int:
    """Read "2GB", "500MB", "10kB" or a number of bytes; a unit is a power of 1000."""
    text, factor = str(value).strip().lower().removesuffix("b").rstrip(), 1
    for unit, size in (("k", 10**3), ("m", 10**6), ("g", 10**9), ("t", 10**12)):
        if text.endswith(unit):
            text, factor = text.removesuffix(unit).rstrip(), size
    amount = _decimal(text, "a size")
    if not 0 <= amount <= MAX_BYTES // factor:
        raise ValueError(f"{shown(value)} is not a size that a file can have")
    return int(amount * factor)


def count(minimum: int) -> Reader:
    """Return a reader of whole numbers from `minimum` on."""

    def read(value: object) -> int:
        amount = _decimal(value, "a whole number")
        if amount < minimum:
            raise ValueError(
                f"{shown(value)} is {'negative' if amount < 0 else f'less than {minimum}'}"
            )
        if amount > MAX_COUNT:
            raise ValueError(f"{shown(value)} is too large")
        if amount != int(amount):
            raise ValueError(f"{shown(value)} is not a whole number")
        return int(amount)

    return read


def or_none(read: Reader) -> Reader:
    """Return a reader that also takes the word "none", for no limit."""

    def either(value: object) -> object:
        if isinstance(value, str) and value.strip().lower() == "none":
            return None
        return read(value)

    return either


def at_least(minimum: int, read: Callable[[object], int]) -> Reader:
    """Return a reader that refuses anything below `minimum`."""

    def checked(value: object) -> int:
        number = read(value)
        if number < minimum:
            raise ValueError(f"{shown(value)} is too small")
        return number

    return checked


def choice(names: Sequence[str]) -> Reader:
    """Return a reader of one of these words."""

    def read(value: object) -> str:
        if value not in names:
            raise ValueError(f"{shown(value)} is not one of {', '.join(names)}")
        return str(value)

    return read


def text(limit: int, *, lines: bool = False) -> Reader:
    """Return a reader of text of at most `limit` characters, of one line unless `lines`."""

    def read(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f"{shown(value)} is not text")
        if len(value) > limit:
            raise ValueError(f"it has {len(value)} characters, more than {limit}")
        if not lines and not value.isprintable():
            raise ValueError(f"{shown(value)} contains control characters")
        return value

    return read


def name(value: object) -> str:
    """Read the name of an account, a tier or a category."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", value):
        raise ValueError(f"{shown(value)} is not a name of 1 to 64 letters, digits, dots, - or _")
    return value


def texts(value: object) -> tuple[str, ...]:
    """Read a list of texts of one line each, or one of them."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list | tuple):
        raise ValueError(f"{shown(value)} is not a list of texts")
    if len(values) > MAX_TEXTS:
        raise ValueError(f"there are {len(values)}, more than {MAX_TEXTS}")
    read = text(40_000)
    return tuple(str(read(part)) for part in values if part != "")


def hosts(value: object) -> tuple[str, ...]:
    """Read a list of `host` or `host:port`; IPv6 addresses stand in brackets."""
    found = texts(value)
    for each in found:
        if not re.fullmatch(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(:\d{1,5})?", each):
            raise ValueError(f"{shown(each)} is neither a host nor host:port")
    return tuple(each.lower() for each in found)


def models(value: object) -> tuple[str, ...]:
    """Read "provider/model,provider/model", or a list of such texts."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")] if value.strip() else []
    if not isinstance(value, list):
        raise ValueError(f"{shown(value)} is not a list of provider/model")
    if len(value) > MAX_MODELS:
        raise ValueError(f"there are {len(value)}, more than {MAX_MODELS}")
    return tuple(model(part) for part in value)


def model(value: object) -> str:
    """Read "provider/model"; the model's own name may have slashes too."""
    if not isinstance(value, str) or not re.fullmatch(r"[\w.-]{1,100}/[^\s,]{1,200}", value):
        raise ValueError(f"{shown(value)} is not provider/model")
    if not value.isprintable():
        raise ValueError(f"{shown(value)} contains control characters")
    return value


def yes_no(value: object) -> bool:
    """Read true or false."""
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise ValueError(f"{shown(value)} is neither true nor false")


def address(value: object) -> str:
    """Read the http(s) address of a provider, without a password in it."""
    if not isinstance(value, str) or not value.isprintable() or " " in value:
        raise ValueError("it is not an address")
    if value and not value.startswith(("http://", "https://")):
        raise ValueError(f"{shown(value)} does not begin with http:// or https://")
    if "@" in value.partition("://")[2].partition("/")[0]:
        # Not shown: it would put the password on the screen.
        raise ValueError("it contains a user name or password")
    return value


def _decimal(value: object, what: str) -> Decimal:
    # A bool is an int to Python, not to the person who wrote it.
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise ValueError(f"{shown(value)} is not {what}")
    try:
        amount = Decimal(str(value).strip()) if isinstance(value, (str, float)) else Decimal(value)
    except InvalidOperation:
        raise ValueError(f"{shown(value)} is not {what}") from None
    if not amount.is_finite():
        raise ValueError(f"{shown(value)} is not {what}")
    return amount


def _exact(amount: Decimal, factor: int, value: object) -> int:
    # Decimal would round a product silently at 28 digits; integers do not.
    if amount and amount.adjusted() < -30:
        raise ValueError(f"{shown(value)} is finer than can be counted")
    over, under = amount.as_integer_ratio()
    whole, rest = divmod(over * factor, under)
    if rest:
        raise ValueError(f"{shown(value)} is finer than can be counted")
    return whole
