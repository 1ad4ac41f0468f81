"""A shell command read as the shell reads it: into simple commands and their words. Runs nothing.

`/bin/sh` is dash on one machine and bash on the next. Where they read a text differently, or where
only a running shell could know, the text is not guessed: the word becomes unknown, or `Parsed` says
what is in doubt. The grammar is read flat: all that might be run is found, wherever it stands.
"""

from __future__ import annotations

from msgspec import Struct

from agentctl.core.shellwords import (
    BLANK,
    DIGITS,
    LETTERS,
    META,
    UNKNOWN,
    Argv,
    Broken,
    Found,
    Word,
    WordReader,
)

MAX_CHARS = 30_000
MAX_COMMANDS = 500
MAX_WORDS = 2_000
_OPENERS = frozenset({"if", "then", "elif", "else", "while", "until", "do", "{", "!"})
_CLOSERS = frozenset({"fi", "done", "}"})


class Parsed(Struct, frozen=True):
    """What a text would run, as far as can be told."""

    commands: tuple[Argv, ...] = ()
    """Every simple command, also of substitutions; assignments and redirections left out."""
    doubts: tuple[str, ...] = ()
    """What it does besides running these: writes files, sets variables, runs substitutions."""
    opaque: str = ""
    """Why more may be run than `commands`; empty when these are all."""


def parse(text: str, *, nested: bool = False) -> Parsed:
    """Read a command. Never raises. `nested`: it comes from a word and may hold UNKNOWN."""
    if len(text) > MAX_CHARS:
        return Parsed(opaque=f"it is longer than {MAX_CHARS:,} characters")
    found = Found()
    if UNKNOWN in text:
        found.opaque = "a part of it is not known" if nested else "it contains a NUL character"
    try:
        _Reader(text, found, 0).run("")
    except Broken as error:
        found.opaque = found.opaque or str(error)
    return Parsed(tuple(found.commands), tuple(dict.fromkeys(found.doubts)), found.opaque)


class _Reader(WordReader):
    """Reads one text, or one substitution within it."""

    def __init__(self, text: str, found: Found, depth: int, at: int = 0) -> None:
        super().__init__(text, found, depth, at)
        self.open: list[str] = []  # "(" and "case", innermost last
        self.documents: list[tuple[str, bool, bool]] = []  # delimiter, quoted, tabs stripped
        self._fresh()

    def _fresh(self) -> None:
        """A command may begin here."""
        self.words: list[Word] = []
        self.begun = False  # by an assignment or a redirection
        self.closed = False  # a compound command ended: no word may follow
        self.dash_only = False  # bash would add these words to the command before

    def commands(self, text: str, at: int, until: str) -> int:
        """Read the commands of a substitution; return where it ends."""
        if self.documents:
            raise Broken("a here-document begins behind it")
        inner = _Reader(text, self.found, self.depth + 1, at)
        inner.run(until)
        return inner.at

    # --- lists of commands -------------------------------------------------------------------

    def run(self, until: str) -> None:
        """Read commands up to the end, or behind the parenthesis that ends a substitution."""
        try:
            while self._blanks():
                char = self.next()
                if char == "\n":
                    self._finish()
                    self._newline()
                elif char == ")":
                    self._finish()
                    self.at += 1
                    if not self.open and until:
                        break
                    if not self.open or self.open.pop() != "(":
                        raise Broken("a parenthesis is closed that was not opened")
                    self.closed = True
                elif char in ";&|":
                    self._separator(char)
                elif char == "(":
                    self._parenthesis()
                elif char in "<>":
                    self._redirection("")
                else:
                    self._command_word()
            else:
                if until or self.open:
                    raise Broken("a parenthesis or a case is not closed")
            if self.documents:
                raise Broken("a here-document has no end")
        finally:
            self._finish()

    def _blanks(self) -> bool:
        """Pass blanks and comments; whether there is more. Only called where a word may begin."""
        while self.at < len(self.text):
            if self.next() in BLANK:
                self.at += 1
            elif self.next() == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif not self.take("\\\n"):
                return True
        return False

    def _finish(self) -> None:
        """The simple command ends here."""
        if self.words:
            self.found.commands.append(tuple(self.words))
            if len(self.found.commands) > MAX_COMMANDS:
                self.words = []
                raise Broken(f"it has more than {MAX_COMMANDS} commands")
        self._fresh()

    def _separator(self, char: str) -> None:
        self._finish()
        self.at += 1
        if char == "&" and (self.next() == ">" or self.text.startswith("\\\n", self.at)):
            self.dash_only = True
        elif char == "|" and self.take("&"):
            self.doubt("|&")
        elif char == ";" and self.next() in (";", "&"):
            if self.open[-1:] != ["case"]:
                raise Broken("there is a ;; outside a case")
            self.at += 1
            self.take("&")
            self._case_pattern()
        else:
            self.take(char)

    def _parenthesis(self) -> None:
        """A subshell, or the () of a function."""
        self.at += 1
        if self.words:
            if len(self.words) > 1 or self.begun or not self._blanks() or not self.take(")"):
                raise Broken("there is a parenthesis where none may stand")
            self.doubt("a function")
            self._fresh()
            return
        if self.next() in ("(", "\\") or self.begun or self.closed:
            raise Broken("it has a double or misplaced parenthesis")
        self.open.append("(")

    def _newline(self) -> None:
        """Pass a line end, and the here-documents that begin behind it."""
        self.at += 1
        for delimiter, quoted, stripped in self.documents:
            lines = []
            while True:
                if self.at >= len(self.text):
                    raise Broken("a here-document has no end")
                end = self.text.find("\n", self.at)
                end = len(self.text) if end < 0 else end
                line = self.text[self.at : end]
                self.at = min(end + 1, len(self.text))
                if (line.lstrip("\t") if stripped else line) == delimiter:
                    break
                if not quoted and line.endswith("\\"):
                    raise Broken("a line of a here-document is continued")
                lines.append(line)
            if not quoted:
                _Reader("\n".join(lines), self.found, self.depth + 1).expansions("")
        self.documents = []

    # --- words of commands -------------------------------------------------------------------

    def _command_word(self) -> None:
        begin = self.at
        word = self.word()
        raw = self.text[begin : self.at]
        if self.next() in ("<", ">") and word.bare and word.text:
            if set(word.text) <= DIGITS:
                if len(word.text) > 1:
                    self.doubt("a descriptor of two digits")
                self._redirection(word.text)
                return
            if "{" in word.text:
                raise Broken("shells read a {name} before a redirection differently")
        if self.dash_only:
            self.found.opaque = "shells read &> differently"
            self.dash_only = False
        is_first = not self.words
        if is_first and not self.begun and word.bare and self._keyword(word):
            return
        if self.closed:
            raise Broken("a word follows the end of a compound command")
        if is_first and _assigns(raw):
            self.doubt("a variable that is set")
            self.begun = True
            return
        if "[" in raw and raw != "[" and (is_first or "]" not in raw or self.next() == "<"):
            raise Broken("shells read an open bracket differently")
        self.words.append(word)
        self.found.words += 1
        if self.found.words > MAX_WORDS:
            raise Broken(f"it has more than {MAX_WORDS:,} words")

    def _keyword(self, word: Word) -> bool:
        """Whether the word only structures; then what may follow it is set up."""
        text = word.text
        if text in _OPENERS:
            self.closed = False
        elif text in _CLOSERS:
            self.closed = True
        elif text == "esac" and self.open[-1:] == ["case"]:
            self.open.pop()
            self.closed = True
        elif self.closed:
            return False
        elif text in ("function", "select") and (not self._blanks() or self.next() in META):
            return False  # dash does not know these words
        elif text in ("for", "select"):
            self._loop_head()
        elif text == "case":
            self._bound_word()
            if self._bound_word().text != "in":
                raise Broken("a case has no in")
            self.open.append("case")
            self._case_pattern()
        elif text == "function":
            self.doubt("a function")
            self._bound_word()
        else:
            return False
        return True

    def _bound_word(self) -> Word:
        """The next word, which must be there; line ends may come first."""
        while self._blanks() and self.next() == "\n":
            self._newline()
        if not self.next() or self.next() in META:
            raise Broken("a word is missing")
        return self.word()

    def _loop_head(self) -> None:
        name = self._bound_word()
        # A variable of the environment, such as PATH, would change what later commands do.
        if not name.bare or name.text != name.text.lower() or "proxy" in name.text:
            self.doubt("a variable that is set")
        while self._blanks() and self.next() == "\n":
            self._newline()
        before = self.at
        if self.next() in ("", ";") or self.word().text != "in":
            self.at = before
            return
        while self._blanks() and self.next() not in META:
            self.word()
        if self.next() not in (";", "\n"):
            raise Broken("the list of a loop does not end")

    def _case_pattern(self) -> None:
        """Read `pattern | pattern )`, or the esac that ends it all."""
        word = None
        while self._blanks() and self.next() == "\n":
            self._newline()
        if not self.take("("):
            word = self._bound_word()
            if word.bare and word.text == "esac":
                self.open.pop()
                self._fresh()
                self.closed = True
                return
        while True:
            word = word or self._bound_word()
            self._blanks()
            if self.take(")"):
                break
            if not self.take("|"):
                raise Broken("a pattern of a case does not end")
            word = None
        self._fresh()

    def _redirection(self, descriptor: str) -> None:
        if self.next(1) == "(" and not descriptor:
            self._command_word()
            return
        marks = ("<<<", "<<-", "<<", "<&", "<>", "<", ">>", ">&", ">|", ">")
        mark = next(each for each in marks if self.take(each))
        self.begun = True
        if not self._blanks() or self.next() in META:
            raise Broken("a redirection leads nowhere")
        target = self.word()
        if mark in ("<<", "<<-"):
            if not target.known:
                raise Broken("the delimiter of a here-document is not plain")
            self.documents.append((target.text, not target.bare, mark == "<<-"))
        elif mark == "<<<":
            self.doubt("<<<")
        elif mark in ("<&", ">&") and target.bare and set(target.text) <= DIGITS | {"-"}:
            pass  # between descriptors
        elif not target.known or target.text.startswith(("/dev/tcp", "/dev/udp")):
            self.doubt("a redirection to what is not known")
        elif mark != "<" and target.text != "/dev/null":
            self.doubt("a redirection to a file")


def _assigns(raw: str) -> bool:
    """Whether a word as it was written is `name=value` or `name+=value`."""
    name, equals, _ = raw.replace("\\\n", "").partition("=")
    name = name.removesuffix("+")
    return bool(equals and name) and name[0] in LETTERS and set(name) <= LETTERS | DIGITS
