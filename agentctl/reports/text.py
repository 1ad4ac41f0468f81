"""Make text from models, tools and files safe to show, and money short."""

from __future__ import annotations

from agentctl.core.values import Micros

# Joiners that ordinary words and emoji need; they can neither move the cursor nor turn text round.
_HARMLESS = "\u200c\u200d"
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")


def visible(text: str, *, newlines: bool = False) -> str:
    r"""Return the text with control, direction and other invisible characters shown as \x1b.

    Line ends and tabs stay only if `newlines`. The result can always be encoded as UTF-8.
    """
    if text.isprintable():
        return text
    import unicodedata  # a megabyte of tables, needed only for text with something to hide

    kept = _HARMLESS + "\n\t" if newlines else _HARMLESS
    category = unicodedata.category
    return "".join(
        _escape(char) if char not in kept and category(char) in _HIDDEN else char for char in text
    )


def visible_json(text: str) -> str:
    r"""Return compact JSON with the same characters written as \u001b: it means what it meant.

    Whoever prints it on a terminal is as safe as with `visible`.
    """
    if text.isprintable():
        return text
    import unicodedata  # as in `visible`

    category = unicodedata.category
    return "".join(
        _json_escape(char) if char not in _HARMLESS and category(char) in _HIDDEN else char
        for char in text
    )


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def usd(micros: Micros) -> str:
    """Return dollars, rounded to the nearest cent; below one cent with four decimals.

    Something is never shown as nothing: below $0.0001 it is "<$0.0001".
    """
    sign, amount = ("-", -micros) if micros < 0 else ("", micros)
    if amount and amount < 10_000:
        ten_thousandths = (amount + 50) // 100
        if not ten_thousandths:
            return f"{sign}<$0.0001"
        return f"{sign}$0.{ten_thousandths:04d}"
    dollars, cents = divmod((amount + 5_000) // 10_000, 100)
    return f"{sign}${dollars:,}.{cents:02d}"


def count(number: int) -> str:
    """Return a whole number with thousands apart, as 12,345."""
    return f"{number:,}"
