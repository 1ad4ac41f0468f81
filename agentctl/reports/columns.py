"""Plain tables for terminals, files and pipes: whole numbers or no column, never half a number.

Rich takes about a millisecond for a row; a report of a year by hours would take ten seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

GAP = "  "
KEY_LEAST = 16
"""A first column that is longer may be broken over lines before another column is left out."""
BAR_LEAST, BAR_MOST = 6, 20
_ASCII = str.maketrans({"─": "-", "≤": "<=", "…": "...", "█": "#", "└": "`"})
_ASCII_LAID_OUT = str.maketrans({"─": "-", "…": "."})
_EIGHTHS = " ▏▎▍▌▋▊▉█"


class Column(Struct, frozen=True):
    """A column after the first: its head, and a cell for each row. A cell may have lines."""

    head: str
    cells: Sequence[str] = ()
    left: bool = False
    """Words begin on the left; numbers end on the right."""
    least: int = 0
    """So narrow it may be cut, for words; 0: never."""
    rank: int = 0
    """Columns are taken in the order of their ranks while there is room; 0 always is."""
    bars: Sequence[int] = ()
    """Amounts to draw instead of cells."""

    def widths(self) -> tuple[int, int]:
        """The least and the best width."""
        if self.bars:
            return BAR_LEAST, BAR_MOST
        lines = (line for cell in self.cells for line in cell.split("\n"))
        best = max(map(cells_of, (self.head, *lines)))
        return min(best, max(self.least, cells_of(self.head))) if self.least else best, best

    def text(self, row: int, width: int) -> list[str]:
        """The lines of a cell."""
        if self.bars:
            return [bar(self.bars[row], max(self.bars), width)]
        return self.cells[row].split("\n")


def table(
    head: str,
    keys: Sequence[str],
    columns: Sequence[Column],
    width: int,
    *,
    rules: Sequence[int] = (),
    plain: bool = False,
) -> list[str]:
    """Return the lines of a table that is at most `width` wide, if its least columns can be.

    `keys` is the first column; it is broken over lines where it must. Before the rows numbered in
    `rules` there is an empty line. With `plain` nothing but ASCII is used.
    """
    if plain:
        keys = [ascii_only(key) for key in keys]
        columns = [_plain(column) for column in columns]
    key_width = max(map(cells_of, (head, *keys)))
    chosen = _fitting(min(key_width, max(KEY_LEAST, width * 2 // 5)), columns, width)
    taken = sum(size + len(GAP) for _, size in chosen)
    key_width = max(min(key_width, width - taken), 1)
    lines = [_row(head, [_fit(c.head, size, left=c.left) for c, size in chosen], key_width)]
    lines.append("─" * min(width, key_width + taken))
    for row, key in enumerate(keys):
        if row in rules:
            lines.append("")
        cells = [(column, size, column.text(row, size)) for column, size in chosen]
        pieces = folded(key, key_width, words=True)
        for place in range(max(len(pieces), *(len(text) for _, _, text in cells), 1)):
            fitted = [
                _fit(text[place] if place < len(text) else "", size, left=column.left)
                for column, size, text in cells
            ]
            lines.append(_row(pieces[place] if place < len(pieces) else "", fitted, key_width))
    if plain:
        return [ascii_only(line.translate(_ASCII_LAID_OUT)) for line in lines]
    return lines


def fits(keys: Sequence[str], columns: Sequence[Column], width: int) -> int:
    """How many of the columns there would be room for."""
    key_width = min(max(map(cells_of, keys)), max(KEY_LEAST, width * 2 // 5))
    return len(_fitting(key_width, columns, width))


def _row(key: str, cells: Sequence[str], key_width: int) -> str:
    return GAP.join((_fit(key, key_width, left=True), *cells)).rstrip()


def _plain(column: Column) -> Column:
    cells = ["\n".join(map(ascii_only, cell.split("\n"))) for cell in column.cells]
    return Column(column.head, cells, column.left, column.least, column.rank, column.bars)


def _fitting(key_width: int, columns: Sequence[Column], width: int) -> list[tuple[Column, int]]:
    """The columns that have room, in their own order, with their widths."""
    room = width - key_width
    taken: dict[int, int] = {}
    wished: dict[int, int] = {}
    for place, column in sorted(enumerate(columns), key=lambda each: each[1].rank):
        least, best = column.widths()
        if column.rank and least + len(GAP) > room:
            if least < best:
                continue  # words and bars can be spared where the numbers after them fit
            break
        taken[place], wished[place] = least, best
        room -= least + len(GAP)
    for place, best in wished.items():
        more = max(min(room, best - taken[place]), 0)
        taken[place] += more
        room -= more
    return [(columns[place], taken[place]) for place in sorted(taken)]


def cells_of(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # tables of wide characters, seldom needed

    return cell_len(text)


def folded(text: str, width: int, *, words: bool = False) -> list[str]:
    """The text in pieces of at most this width; with `words`, broken between words if it can be."""
    if cells_of(text) <= width:
        return [text]
    pieces, piece, used = [], "", 0
    for char in text:
        size = cells_of(char)
        if used + size > width and piece:
            whole, space, rest = piece.rpartition(" ")
            if words and space and whole and char != " ":
                pieces.append(whole)
                piece, used = rest, cells_of(rest)
            else:
                pieces.append(piece)
                piece, used = "", 0
        piece, used = piece + char, used + size
    return [*pieces, piece]


def _fit(text: str, width: int, *, left: bool) -> str:
    size = cells_of(text)
    if size > width:
        text = folded(text, max(width - 1, 1))[0] + "…"
        size = cells_of(text)
    blank = " " * (width - size)
    return text + blank if left else blank + text


def bar(amount: int, most: int, width: int) -> str:
    """A bar for `amount` where `most` would fill the width; something is never nothing."""
    if amount <= 0 or most <= 0:
        return ""
    whole, eighths = divmod(max(amount * width * 8 // most, 1), 8)
    return "█" * whole + (_EIGHTHS[eighths] if eighths else "")


def ascii_only(text: str) -> str:
    """The same for a stream that has no more than ASCII; what has no likeness is escaped."""
    text = text.translate(_ASCII)
    for eighth, sign in enumerate(_EIGHTHS[1:-1], 1):
        text = text.replace(sign, "#" if eighth >= 4 else "")
    return text.encode("ascii", "backslashreplace").decode()


def wrapped(text: str, width: int) -> list[str]:
    """A remark over as many lines as it needs, broken between words."""
    lines, line = [], ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if line and cells_of(joined) > width:
            lines.append(line)
            joined = word
        line = joined
    return [piece for each in (*lines, line) for piece in folded(each, width)]
