"""The patterns by which the offline planner reads a goal. To teach it a phrase, add a row here."""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal["list", "dir", "search", "lines", "words", "files", "occurrences", "summarise"]
"""What to do: list files, list one folder, search, count (four ways), summarise."""

KIND_GLOBS: dict[str, tuple[str, ...]] = {
    "text": ("*.md", "*.rst", "*.txt"),
    "markdown": ("*.md",),
    "python": ("*.py",),
    "javascript": ("*.js",),
    "typescript": ("*.ts",),
    "rust": ("*.rs",),
    "shell": ("*.sh",),
    "yaml": ("*.yaml", "*.yml"),
    "image": ("*.gif", "*.jpeg", "*.jpg", "*.png", "*.svg"),
    "log": ("*.log",),
}
EXTENSIONS = frozenset(
    """c cfg conf cpp cs css csv go h hpp html ini ipynb java js json jsx kt lua md pdf php png py
    rb rs rst scala sh sql svg swift tex toml ts tsx txt xml yaml yml zip""".split()  # noqa: SIM905 - a list of words is easier to read
)
TEXT_GLOBS = KIND_GLOBS["text"]

# Quoted texts are set aside as one private-use character each, so that no rule looks into them.
QUOTED_AT = 0xE000
QUOTES_MAX = 50
GOAL_CHARS_MAX = 600
"""A longer text is not one of our goals, and patterns need not be tried on it."""
QUOTED = f"[{chr(QUOTED_AT)}-{chr(QUOTED_AT + QUOTES_MAX - 1)}]"

_PATH = r"[^\s,;:!?*]+"
_IN = r"(?:in|inside|within|under|below|from|across|throughout|of)"
_THE = r"(?:(?:all|every|each|any|both)\b\s*)?(?:of\s+)?(?:(?:the|my|our|these|those|open)\s+)*"
_FOLDER = r"(?:folder|directory|dir)"
HERE = re.compile(
    r"here|\.|\./|everywhere|(?:(?:this|the|my|our)\s+)?(?:current\s+|whole\s+|entire\s+|working\s+)*"
    r"(?:folder|directory|dir|workspace|project|repo|repository|tree|code\s?base)"
    r"(?:\s+and\s+(?:its|all)\s+sub-?(?:folders|directories))?",
    re.IGNORECASE,
)
NAMED_PLACE = re.compile(
    rf"(?:(?:the|my|our)\s+)?(?:(?:{_FOLDER}|file)\s+(?P<a>{_PATH})"
    rf"|(?P<b>{_PATH})\s+(?:{_FOLDER}|file)|(?P<c>{_PATH}))",
    re.IGNORECASE,
)
_NOUN = r"(?:source\s+)?(?:files|file|documents|scripts|modules)"
FILES = re.compile(
    rf"{_THE}(?:(?P<kinds>[\w.+#*-]+(?:\s*(?:,|/|\band\b|\bor\b)\s*[\w.+#*-]+)*)\s+)?{_NOUN}"
    r"(?:\s+(?:(?:that\s+)?end(?:ing)?\s+(?:in|with|on)|with\s+(?:the\s+)?(?:extension|ending|suffix))"
    r"\s+\.?(?P<ext>\w+)"
    rf"|\s+(?:named|called|matching|like)\s+(?P<glob>[^\s,;:!]+))?"
    rf"(?:\s+{_IN}\s+(?P<place>.+))?",
    re.IGNORECASE,
)
GLOB = re.compile(
    rf"{_THE}(?P<glob>[\w./-]*[*?][\w./*?-]*)(?:\s+files)?(?:\s+{_IN}\s+(?P<place>.+))?",
    re.IGNORECASE,
)
NAME = re.compile(
    rf"(?:the\s+file\s+|the\s+)?(?P<glob>[\w-]+\.\w+)(?:\s+{_IN}\s+(?P<place>.+))?",
    re.IGNORECASE,
)
NO_PLACES = frozenset(
    ["all", "any", "each", "every", "files", "it", "the", "them", "there", "these", "this", "those"]
)

_REFERENCE = (
    r"(?:(?:all\s+)?(?:of\s+)?(?:them|it|these|this|those|that|everything)(?:\s+all)?"
    r"|(?:(?:the|your|a|an|all|its|their)\s+)*(?:(?:found|full|short|brief|complete)\s+)?"
    r"(?:findings?|results?|summary|summaries|report|list|counts?|numbers?|totals?|output|answer|"
    r"todos?|matches|files?|names?|paths?|lines))"
)
_INTO_FILE = (
    r"(?:(?:a|the)\s+)?(?:new\s+)?(?:(?:markdown|text)\s+)?(?:file\s+)?(?:(?:called|named)\s+)?"
    rf"(?P<out>{_PATH})"
)
OUTPUTS = (
    re.compile(
        r"(?P<body>.+?)(?:\s*[,;.]\s*(?:and\s+then\s+|and\s+|then\s+)?|\s+(?:and\s+then|and|then)\s+)"
        rf"(?:write|save|store|put|record|export|collect|report)\s+(?:{_REFERENCE}\s+)?"
        rf"(?:down\s+)?(?:in|into|to|as)\s+{_INTO_FILE}",
        re.IGNORECASE,
    ),
    re.compile(rf"(?P<body>.+?)\s+(?:into|to)\s+{_INTO_FILE}", re.IGNORECASE),
)
REWRITES = (
    (r"(?:(?:please|kindly|hi|hello)[\s,]+|(?:can|could|would|will)\s+you\s+(?:please\s+)?)+", ""),
    (r"i\s+(?:want|would\s+like|need)\s+(?:you\s+to\s+|to\s+)?", ""),
    (
        r"(?:write|create|make|produce|prepare|generate|give|show|print|save)(?:\s+me)?\s+"
        r"(?:(?:a|an|the)\s+)?(?:short\s+|brief\s+|quick\s+)?(?:summary|overview|digest)\s+of\s+",
        "summarise ",
    ),
    (
        r"(?:write|create|make|produce|prepare|generate|give|show|print|save|list|get)(?:\s+me)?\s+"
        r"(?:(?:a|an|the)\s+)?(?:full\s+|complete\s+)?list\s+of\s+",
        "list ",
    ),
    (r"(?:write|save|collect|gather)\s+(?=(?:all|every|each|the)\b)", "list "),
    (r"(?:summari[sz]e|sum\s+up|outline)\s+", "summarise "),
    (r"(?:show|give|tell|print|get|locate|name)\s+(?:me\s+)?", "list "),
    (r"(?:what|which)\s+are\s+", "list "),
    (r"list\s+(?:how\s+(?:many\s+times|often))\s+", "count how often "),
    (r"(?:count\s+)?how\s+(?:many\s+times|often)\s+", "count how often "),
    (r"(?:list|count)\s+how\s+many\s+", "how many "),
    (r"list\s+(?:the\s+)?(?:total\s+)?number\s+of\s+", "count "),
    (r"count\s+(?:the\s+)?(?:total\s+)?number\s+of\s+", "count "),
)

MARKER = r"(?:to-?do|fixme|xxx|hack)s?"
_MARKERS = (
    rf"(?P<markers>{MARKER}(?:(?:\s*(?:,|/|\band\b|\bor\b)\s*)+(?:all\s+|the\s+)*{MARKER})*)"
    r"(?:\s+(?:comments?|items?|notes?|entries|markers?|tags?|lines))?(?:\s+left)?"
)
_TERM = r"(?:(?:the|a)\s+)?(?:word|words|text|string|phrase|term|name)\s+"
_REGEX = (
    rf"(?:(?:the|a)\s+)?(?:regex|regexp|regular\s+expression|pattern)\s+(?P<regex>{QUOTED}|\S+)"
)
_PLAIN = rf"(?:(?:{_TERM})?(?P<quoted>{QUOTED})|{_TERM}(?P<word>[\w.@#-]+)|{_REGEX})"
_BARE = rf"(?:{_PLAIN}|(?P<bare>[\w.@#-]+))"
_SCOPE_IN = rf"(?:\s+{_IN}\s+(?P<scope>.+))?"
_HITS = (
    r"(?:lines|places|occurrences|mentions|uses|usages|matches|appearances|instances|references)"
    r"\s+(?:of|to|for|with|that\s+(?:contain|mention|match)|containing|mentioning|matching)"
)
_THERE = r"(?:\s+(?:are|is)(?:\s+there)?|\s+there\s+are|\s+exist)?"

# Tried in order; the first that fits the whole goal counts.
_TABLE: tuple[tuple[Kind, str], ...] = (
    ("summarise", r"summarise\s+(?:the\s+(?:contents?|text)\s+of\s+)?(?P<scope>.+)"),
    ("lines", r"count\s+(?:all\s+)?(?:the\s+)?lines(?:\s+of\s+(?:code|text))?" + _SCOPE_IN),
    ("lines", rf"how\s+many\s+lines(?:\s+of\s+(?:code|text))?{_THERE}{_SCOPE_IN}"),
    ("lines", r"how\s+many\s+lines\s+(?:does|do|has|have)\s+(?P<scope>.+?)\s+(?:have|has|contain)"),
    ("words", r"count\s+(?:all\s+)?(?:the\s+)?words" + _SCOPE_IN),
    ("words", rf"how\s+many\s+words{_THERE}{_SCOPE_IN}"),
    ("words", r"how\s+many\s+words\s+(?:does|do|has|have)\s+(?P<scope>.+?)\s+(?:have|has|contain)"),
    ("occurrences", rf"(?:count|how\s+many)\s+{_THE}{_MARKERS}{_THERE}{_SCOPE_IN}"),
    ("occurrences", rf"(?:count|how\s+many)\s+{_THE}{_HITS}\s+{_BARE}{_THERE}{_SCOPE_IN}"),
    (
        "occurrences",
        rf"count\s+how\s+often\s+(?:does\s+|do\s+|is\s+)?{_BARE}\s+(?:is\s+|are\s+)?"
        rf"(?:occurs?|appears?|comes?\s+up|mentioned|used|found){_SCOPE_IN}",
    ),
    ("files", rf"(?:count|how\s+many)\s+(?P<files>.+?){_THERE}"),
    ("files", rf"how\s+many\s+(?P<files>.+?){_THERE}\s+{_IN}\s+(?P<place>.+)"),
    (
        "search",
        rf"(?:find|search|look|grep|scan|list|check)(?:\s+for)?\s+{_THE}{_MARKERS}{_SCOPE_IN}",
    ),
    (
        "search",
        rf"(?:search|look|grep|scan|check)\s+(?:(?:in|through)\s+)?(?P<scope>.+?)\s+for\s+{_THE}"
        rf"(?:{_MARKERS}|(?:{_HITS}\s+)?{_BARE})",
    ),
    ("search", rf"(?:search|grep)(?:\s+for)?\s+{_THE}(?:{_HITS}\s+)?{_BARE}{_SCOPE_IN}"),
    ("search", rf"(?:find|look\s+for|list)\s+{_THE}{_HITS}\s+{_BARE}{_SCOPE_IN}"),
    ("search", rf"(?:find|look\s+for)\s+{_THE}{_PLAIN}{_SCOPE_IN}"),
    (
        "search",
        r"(?:find|list|search\s+for|look\s+for)\s+(?P<scope>.+?)\s+"
        rf"(?:containing|that\s+contain|mentioning|that\s+mention)\s+{_BARE}"
        rf"(?:\s+{_IN}\s+(?P<place>.+))?",
    ),
    (
        "dir",
        r"list\s+(?:the\s+)?(?:contents?(?:\s+of\s+(?P<a>.+))?"
        rf"|{_THE}files\s+and\s+(?:folders|directories)(?:\s+{_IN}\s+(?P<b>.+))?)",
    ),
    ("dir", rf"list\s+(?P<a>{_PATH}/)"),
    ("dir", r"what(?:\s+is|'s)\s+in\s+(?P<a>.+)"),
    ("list", rf"(?:what|which)\s+(?P<files>.+?){_THERE}\s+{_IN}\s+(?P<place>.+)"),
    ("list", rf"(?:find|list|search\s+for|look\s+for)\s+(?P<files>.+?){_THERE}"),
)
RULES = tuple((kind, re.compile(text, re.IGNORECASE)) for kind, text in _TABLE)
