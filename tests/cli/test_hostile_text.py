"""What a model or tool prints is data: it moves no cursor, sets no title, is no markup."""

from __future__ import annotations

from tests.cli.parts import Place, Terminal, shell

EVIL = "\x1b[31mred\x1b]0;title\x07 [bold]b[/bold] \u202egnp.exe\x9b2J \x08\x08ok"
SHOWN = r"\x1b[31mred\x1b]0;title\x07 [bold]b[/bold] \u202egnp.exe\x9b2J \x08\x08ok"
RAW = ("\x1b[31mred", "\x1b]0;", "\x07", "\u202e", "\x9b")
EMOJI = "👩\u200d🔬 zażółć"


def turns(place: Place) -> None:
    """Hostile text in every place that a model or tool can fill."""
    place.turns(
        {"text": f"thinking {EVIL}", "calls": [{"name": EVIL, "arguments": {"x": EVIL}}]},
        {
            "text": "",
            "calls": [shell(f"printf '%b' '{chr(92)}033[31mred{chr(92)}033]0;t{chr(92)}007'")],
        },
        {"text": f"answer {EVIL}\nsecond line {EMOJI}"},
    )


def test_on_a_terminal_it_is_made_visible(place: Place) -> None:
    turns(place)
    words = ("run", EVIL, "--script", str(place.script), "--approve", "auto", "-v")
    with Terminal(place, *words) as terminal:
        assert terminal.end() == 0
    for raw in RAW:
        assert raw not in terminal.text, repr(raw)
    joined = terminal.text.replace("\r\n", "")
    assert f"thinking {SHOWN}" in joined
    assert f"answer {SHOWN}" in joined
    assert EMOJI in joined, "ordinary text is left alone"


def test_in_a_pipe_stderr_is_harmless_and_the_result_is_untouched(place: Place) -> None:
    """Stderr is read by people in a terminal later; stdout is the program's product."""
    turns(place)
    ran = place.run(EVIL, "--approve", "auto", "-v")
    assert ran.code == 0
    assert ran.out == f"answer {EVIL}\nsecond line {EMOJI}\n"
    for raw in RAW:
        assert raw not in ran.err, repr(raw)
    assert f"thinking {SHOWN}" in ran.err


def test_tables_and_reports_of_it_are_harmless(place: Place) -> None:
    turns(place)
    place.run(EVIL, "--approve", "auto", "--name", EVIL)
    for words in (["list"], ["show", "@last"], ["costs", "report", "--by", "task"]):
        with Terminal(place, *words) as terminal:
            assert terminal.end() == 0
        for raw in RAW:
            assert raw not in terminal.text, (words, repr(raw))


def test_the_event_log_on_a_terminal_is_harmless(place: Place) -> None:
    turns(place)
    place.run(EVIL, "--approve", "auto")
    with Terminal(place, "show", "@last", "--events") as terminal:
        assert terminal.end() == 0
    assert not [raw for raw in RAW if raw in terminal.text]


def test_markup_in_a_goal_is_no_markup(place: Place) -> None:
    place.turns({"text": "[link=http://x]click[/link] [/]"})
    ran = place.run("[red]goal[/red]")
    assert ran.out == "[link=http://x]click[/link] [/]\n"
    assert "[red]goal[/red]" in place.cli("list").out
    assert "[link=http://x]click[/link] [/]" in place.cli("show", "@last").out


def test_the_question_for_approval_shows_what_it_is_about(place: Place) -> None:
    place.turns({"calls": [shell(f"true {EVIL}")]}, {"text": "done"})
    with Terminal(place, "run", "x", "--script", str(place.script)) as terminal:
        terminal.expect("[a]lways: ")
        terminal.type("n\n")
        assert terminal.end() == 0
    assert not [raw for raw in RAW if raw in terminal.text]
