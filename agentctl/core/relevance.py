"""How near each old turn is to what is being done now, by the words that they share (BM25).

No model is asked. A turn is an answer with its results, or a user message. A word that is in few
turns says more than one in many, the tenth time it is said tells little more than the ninth, and a
long turn must share more than a short one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import fsum, log

from agentctl.core.context import protected_from
from agentctl.core.context_words import Terms, Words, terms, text_of
from agentctl.core.values import Message

K1 = 1.2
B = 0.75
"""The usual settings: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and
Beyond" (2009), with the logarithm that is never below 0, as Lucene has it."""


def bm25(texts: Mapping[int, Terms], query: Collection[str]) -> dict[int, float]:
    """Score each text by the words of the query that it has; 0 for one that has none."""
    wanted = set(query)
    found = {key: wanted & text.counts.keys() for key, text in texts.items()}
    having: dict[str, int] = {}
    for words in found.values():
        for word in words:
            having[word] = having.get(word, 0) + 1
    weight = {word: log(1 + (len(texts) - n + 0.5) / (n + 0.5)) for word, n in having.items()}
    usual = max(sum(text.length for text in texts.values()) / max(len(texts), 1), 1)
    scores = {}
    for key, words in found.items():
        counts = texts[key].counts
        damping = K1 * (1 - B + B * texts[key].length / usual)
        # Exact to the last bit in whatever order a set gives its words.
        scores[key] = fsum(
            weight[word] * counts[word] * (K1 + 1) / (counts[word] + damping) for word in words
        )
    return scores


def by_words(
    messages: Sequence[Message], spans: Collection[tuple[int, int]], words: Words
) -> dict[int, float]:
    """BM25 of each span of messages (begin and end), by its begin."""
    texts = {begin: words.terms(messages, begin, end) for begin, end in spans}
    return bm25(texts, terms(now(messages)))


def by_meaning(
    relevance: Mapping[int, float], spans: Collection[tuple[int, int]]
) -> dict[int, float]:
    """The best score of each span's messages, by its begin; below all others where none has one."""
    return {
        begin: max((relevance[i] for i in range(begin, end) if i in relevance), default=-2.0)
        for begin, end in spans
    }


def now(messages: Sequence[Message]) -> str:
    """What is being done: the goal, what the user last said, and the last turn."""
    last_user = max(index for index, m in enumerate(messages) if not index or m.role == "user")
    last_turn = range(protected_from(messages, 1), len(messages))
    return "\n".join(text_of(messages[i]) for i in sorted({0, last_user, *last_turn}))


def nearest_first(scores: Mapping[int, float]) -> list[int]:
    """Begins of spans, the best score first, the latest first among equals."""
    return sorted(scores, key=lambda begin: (-scores[begin], -begin))
