"""BM25 over turns: what counts, what does not, and that it is the same every time."""

from agentctl.core.context import turns
from agentctl.core.context_words import Terms, Words, terms
from agentctl.core.relevance import bm25, by_meaning, by_words, nearest_first, now
from agentctl.core.values import Message, ToolCall


def text(said: str) -> Terms:
    counts = terms(said)
    return Terms(counts, sum(counts.values()))


def talk(*outputs: str, last: str = "thinking") -> list[Message]:
    """A goal, a turn with each of these outputs, and a last answer."""
    messages = [Message("user", "mend the parser")]
    for number, output in enumerate(outputs):
        call = ToolCall(f"c{number}", "look", f'{{"n":{number}}}')
        messages += [
            Message("assistant", "", (call,)),
            Message("tool", output, call_id=call.id),
        ]
    return [*messages, Message("assistant", last)]


def ranked(messages: list[Message]) -> list[int]:
    spans = list(turns(messages, 0, len(messages) - 1))
    return nearest_first(by_words(messages, spans, Words()))


def test_the_scores_are_those_of_the_formula() -> None:
    """Two texts of lengths 2 and 4, a mean of 3; idf of a word in one of two texts is ln 2."""
    scores = bm25({1: text("ab cd"), 2: text("ab ef ef gh")}, ["ef", "unknown"])
    assert scores[1] == 0
    damping = 1.2 * (0.25 + 0.75 * 4 / 3)
    assert abs(scores[2] - 0.6931471805599453 * 2 * 2.2 / (2 + damping)) < 1e-12


def test_a_rare_word_weighs_more_than_a_common_one() -> None:
    scores = bm25({n: text("common word" if n else "common rare") for n in range(5)}, ["rare"])
    assert scores[0] > 0
    assert {scores[n] for n in range(1, 5)} == {0}
    both = bm25({1: text("rare x1"), 2: text("often x2"), 3: text("often x3")}, ["rare", "often"])
    assert both[1] > both[2] == both[3] > 0


def test_nothing_is_scored_without_texts_and_zero_without_a_query() -> None:
    assert bm25({}, ["word"]) == {}
    assert bm25({7: text("word"), 8: text("")}, []) == {7: 0, 8: 0}


def test_words_are_compared_in_lower_case_and_paths_by_their_parts_too() -> None:
    found = terms("See src/Main_Window.py, or `main`: main. I!")
    assert {"see", "src/main_window.py", "src", "main", "window", "py", "or"} == found.keys()
    assert found["main"] == 3


def test_very_long_words_are_no_words() -> None:
    assert terms("A" * 500 + " " + "b/" * 200) == {}


def test_the_turn_that_speaks_of_the_goal_comes_first() -> None:
    assert ranked(talk("weather", "the parser fails", "football"))[0] == 3


def test_the_turn_that_speaks_of_the_last_turn_comes_first() -> None:
    messages = talk("in src/lexer.py", "in src/other.py", "nothing", last="now src/lexer.py")
    assert ranked(messages)[0] == 1


def test_among_equals_the_latest_comes_first() -> None:
    assert ranked(talk("same", "same", "same")) == [5, 3, 1]


def test_what_the_user_last_said_counts_and_what_was_said_before_does_not() -> None:
    messages = [*talk("x"), Message("user", "older"), Message("user", "newest")]
    assert "newest" in now(messages)
    messages += [Message("assistant", "last turn")]
    assert now(messages) == "mend the parser\nnewest\nlast turn"


def test_a_conversation_of_a_goal_alone_is_about_the_goal() -> None:
    assert now([Message("user", "goal")]) == "goal"


def test_what_is_remembered_makes_no_difference() -> None:
    messages = talk("parser one", "two", "three parser parser")
    spans = list(turns(messages, 0, 7))
    words = Words()
    by_words(messages, spans[:1], words)
    by_words(messages, spans, words)
    assert by_words(messages, spans, words) == by_words(messages, spans, Words())


def test_a_turn_is_as_near_in_meaning_as_its_nearest_message() -> None:
    scores = by_meaning({1: 0.2, 2: 0.7, 3: -0.9}, [(1, 3), (3, 4), (4, 6)])
    assert nearest_first(scores) == [1, 3, 4]
    assert scores[1] == 0.7
