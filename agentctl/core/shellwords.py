"""One word of a shell command, with its quotes and expansions: the lower half of `argv`."""

from __future__ import annotations

from msgspec import Struct

UNKNOWN = "\0"
"""Stands in a word for what only a running shell would know."""
BLANK = " \t"
META = " \t\n;&|<>()"
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
DIGITS = frozenset("0123456789")
_ARITHMETIC = LETTERS | DIGITS | frozenset("+-*/% ")
_MAX_DEPTH = 12


class Word(Struct, frozen=True):
    """One word of a command, quotes removed."""

    text: str
    known: bool = True
    """The shell would see exactly `text`. With False and no UNKNOWN in it, some shells would."""
    loose: bool = False
    """It may become several words, or none."""
    bare: bool = True
    """Nothing in it was quoted."""


Argv = tuple[Word, ...]


def name_of(word: Word) -> str:
    """The name of a command without its folder, in lower case as some file systems see it."""
    return word.text.rpartition("/")[2].lower()


class Broken(Exception):
    """The text cannot be read on."""


class Found:
    """What was found so far, by all readers of one text."""

    def __init__(self) -> None:
        self.commands: list[Argv] = []
        self.doubts: list[str] = []
        self.opaque = ""
        self.words = 0


class WordReader:
    """Reads words from a place in a text on. What stands in substitutions is for the subclass."""

    def __init__(self, text: str, found: Found, depth: int, at: int = 0) -> None:
        if depth > _MAX_DEPTH:
            raise Broken("it is nested too deep")
        self.text, self.found, self.depth, self.at = text, found, depth, at

    def commands(self, text: str, at: int, until: str) -> int:
        """Read the commands of a substitution; return where it ends."""
        raise NotImplementedError

    def next(self, ahead: int = 0) -> str:
        """The next character, or an empty string."""
        return self.text[self.at + ahead : self.at + ahead + 1]

    def take(self, mark: str) -> bool:
        """Pass `mark` if it comes next."""
        taken = self.text.startswith(mark, self.at)
        self.at += len(mark) if taken else 0
        return taken

    def doubt(self, what: str) -> None:
        """Note something that is done besides running commands."""
        self.found.doubts.append(what)

    def word(self) -> Word:
        """Read one word from here. Raises Broken for a quote that is not closed."""
        parts: list[str] = []
        known, loose, bare, brace = True, False, True, False
        before = ""  # the last character, if it was not quoted
        while True:
            char = self.next()
            if char in ("<", ">") and self.next(1) == "(" and not parts:
                self.at += 2
                self.substitution("a process substitution")
                parts.append(UNKNOWN)
                known = bare = False
            elif not char or char in META:
                break
            elif self.take("\\\n"):
                pass
            elif char in "'\"\\":
                text, is_known, is_loose = self._quoted(char)
                parts.append(text)
                known, loose, bare = known and is_known, loose or is_loose, False
                before = ""
            elif char in "$`":
                text, is_known = self._expansion(quoted=False)
                parts.append(text)
                known, loose, before = known and is_known, loose or UNKNOWN in text, "$"
                bare = bare and text == "$"
            else:
                self.at += 1
                brace = brace or char == "{"
                if (brace and (char == "," or char + before == "..")) or self._odd(char):
                    parts.insert(0, UNKNOWN)
                    known, loose = False, True
                elif char in "*?" or (char == "[" and self._closes()) or _tilde(char, before):
                    parts.append(UNKNOWN)
                    known = False
                else:
                    parts.append(char)
                before = char
        return Word("".join(parts), known, loose, bare)

    def _quoted(self, char: str) -> tuple[str, bool, bool]:
        """Read what a quote or backslash covers: the text, whether it is known, and loose."""
        self.at += 1
        if char == '"':
            return self.expansions('"')
        if char == "\\":
            escaped = self.next() or char  # at the very end it stands for itself
            self.at += 1
            return escaped, True, False
        end = self.text.find("'", self.at)
        if end < 0:
            raise Broken("a quote is not closed")
        text = self.text[self.at : end]
        self.at = end + 1
        return text, True, False

    def expansions(self, end: str) -> tuple[str, bool, bool]:
        """Read as within double quotes, up to `end` or, if that is empty, all."""
        parts: list[str] = []
        known, loose = True, False
        while not (end and self.take(end)):
            char = self.next()
            if not char:
                if end:
                    raise Broken("a quote is not closed")
                break
            if self.take("\\\n"):
                continue
            if char in "$`":
                begin = self.at
                text, is_known = self._expansion(quoted=True)
                parts.append(text)
                known = known and is_known
                # "$@" is as many words as there are arguments.
                loose = loose or "@" in self.text[begin : self.at]
            elif char == "\\" and self.next(1) in ("$", "`", '"', "\\"):
                parts.append(self.next(1))
                self.at += 2
            else:
                stop = min(
                    (at for at in map(self._find, ("\\", "$", "`", end or "$")) if at > self.at),
                    default=len(self.text),
                )
                parts.append(self.text[self.at : stop])
                known = known and UNKNOWN not in parts[-1]
                self.at = stop
        return "".join(parts), known, loose

    def _find(self, mark: str) -> int:
        return self.text.find(mark, self.at + 1)

    def _expansion(self, *, quoted: bool) -> tuple[str, bool]:
        """Read from a `$` or backtick on: the text, and whether it is known."""
        if self.next() == "`":
            self._backticks(quoted)
            return UNKNOWN, False
        self.at += 1
        char = self.next()
        if char == "(":
            self.at += 1
            self._arithmetic() if self.next() == "(" else self.substitution("a substitution")
        elif char == "{":
            self.at += 1
            self._parameter()
        elif char and char in LETTERS:
            while self.next() and self.next() in LETTERS | DIGITS:
                self.at += 1
        elif char and char in "0123456789@*#?$!-":
            self.at += 1
        elif char == "'" and not quoted:
            return self._ansi_text(), False
        elif char == '"' and not quoted:
            # For bash a quoted text to translate, for dash a dollar sign before a quoted text.
            return "", False
        elif char == "[" or self.text.startswith("\\\n", self.at):
            raise Broken("shells read what follows a $ differently")
        else:
            return "$", True
        return UNKNOWN, False

    def substitution(self, what: str) -> None:
        """Read the commands of `$(`, `<(` or `>(`, from behind the parenthesis on."""
        self.doubt(what)
        if self.text.startswith("\\\n", self.at):
            raise Broken("shells read what follows a $ differently")
        self.at = self.commands(self.text, self.at, ")")

    def _backticks(self, quoted: bool) -> None:
        self.doubt("a substitution")
        parts: list[str] = []
        self.at += 1
        while not self.take("`"):
            char = self.next()
            if not char:
                raise Broken("a backtick is not closed")
            if char == "\\" and self.next(1) in ("$", "`", "\\", '"' if quoted else "$"):
                self.at += 1
                char = self.next()
            parts.append(char)
            self.at += 1
        self.commands("".join(parts), 0, "")

    def _arithmetic(self) -> None:
        self.doubt("an arithmetic expansion")
        end = self.text.find("))", self.at)
        if end < 0 or not set(self.text[self.at + 1 : end]) <= _ARITHMETIC:
            raise Broken("an arithmetic expansion is not plain")
        self.at = end + 2

    def _parameter(self) -> None:
        """Read the rest of `${`. More than a name may set variables and run commands."""
        begin = self.at
        while not self.take("}"):
            char = self.next()
            if not char or char in "'\"\\{\n" or (char == "$" and self.next(1) in ("'", '"')):
                raise Broken("the expansion of a variable is not plain")
            if char in "$`":
                self._expansion(quoted=True)
            else:
                self.at += 1
        name = self.text[begin : self.at - 1]
        if not set(name) <= LETTERS | DIGITS and name not in ("@", "*", "#", "?", "$", "!", "-"):
            self.doubt("an expansion that does more than look up a variable")

    def _ansi_text(self) -> str:
        """Read bash's $'text'; for dash it is a dollar sign before a quoted text."""
        end = self.text.find("'", self.at + 1)
        if end < 0 or self.text[end - 1] == "\\":
            raise Broken("shells read a $'text' differently")
        text = self.text[self.at + 1 : end]
        self.at = end + 1
        return UNKNOWN if "\\" in text else text

    def _odd(self, char: str) -> bool:
        """Whether shells may differ on what a character means outside quotes; then it is noted."""
        if char.isascii() and char.isprintable():
            return False
        if char != UNKNOWN and char.isprintable() and not char.isspace():
            return False
        self.doubt("an unusual character")
        return True

    def _closes(self) -> bool:
        """Whether a bracket that was just read may begin a set, as far as can be seen quickly."""
        return bool(self.next()) and self.next() not in META and "]" in self.text[self.at :]


def _tilde(char: str, before: str) -> bool:
    return char == "~" and before in ("", "=", ":")
