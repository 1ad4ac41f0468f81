"""What a task changed in files, as a patch that git takes."""

from __future__ import annotations

import subprocess
from typing import Any

from agentctl.store.sqlite import SqliteStore
from tests.cli.parts import Place, Terminal, shell

TREE = {
    "a.txt": b"one\ntwo\nthree",
    "crlf.txt": b"x\r\ny\r\n",
    "d \xc3\xa9/s\tp.txt".encode("latin-1").decode(): b"old\n",
    "form.txt": b"a\x0cb\n\xe2\x80\xa8c\n",
}


def write(path: str, text: str) -> dict[str, Any]:
    return {"name": "write_file", "arguments": {"path": path, "text": text}}


def edit(path: str, old: str, new: str) -> dict[str, Any]:
    return {"name": "edit_file", "arguments": {"path": path, "old": old, "new": new}}


CALLS = (
    write("new/n.txt", "hello\n--- x\n"),
    edit("a.txt", "two", "2"),
    edit("crlf.txt", "y", "z\nq"),
    edit("new/n.txt", "--- x", "-- y\n++ z"),
    write("d é/s\tp.txt", "new"),
    edit("form.txt", "b", "B"),
    write("empty.txt", ""),
)


def git(place: Place, *words: str, stdin: str = "") -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@y", *words], cwd=place.work,
        input=stdin.encode(), capture_output=True, env=place.env, timeout=30, check=True,
    )  # fmt: skip
    return done.stdout.decode()


def changed(place: Place, *calls: dict[str, Any], **more: Any) -> None:
    place.turns({"calls": list(calls)}, {"text": "done"}, **more)
    assert place.run("x", "--approve", "auto").code == 0


def test_git_takes_the_patch_there_and_back(place: Place) -> None:
    for name, data in TREE.items():
        (place.work / name).parent.mkdir(exist_ok=True)
        (place.work / name).write_bytes(data)
    git(place, "init", "-q")
    git(place, "add", "-A")
    git(place, "commit", "-qm", "before")
    changed(place, *CALLS)
    patch = place.cli("diff", "@last").out
    git(place, "add", "-A")
    after = git(place, "write-tree")
    git(place, "reset", "-q", "--hard")
    git(place, "apply", "--index", stdin=patch)
    assert git(place, "write-tree") == after
    git(place, "apply", "--index", "-R", stdin=patch)
    assert git(place, "status", "--short") == ""


def test_edits_of_one_file_are_one_change_from_the_first_to_the_last(place: Place) -> None:
    (place.work / "a").write_text("1\n")
    changed(place, edit("a", "1", "2"), edit("a", "2", "3"), write("b", "x"), edit("b", "x", "y"))
    first, second = place.cli("diff", "@last", "--json").json["files"]
    assert (first["created"], first["calls"], first["added"], first["removed"]) == (False, 2, 1, 1)
    assert "-1\n+3\n" in first["patch"]
    assert second["created"]


def test_what_was_undone_is_no_change(place: Place) -> None:
    (place.work / "a").write_text("1\n")
    changed(place, edit("a", "1", "2"), write("a", "1\n"))
    assert place.cli("diff", "@last").out == ""
    assert "unchanged" in place.cli("diff", "@last", "--stat").out


def test_a_file_that_is_different_now_is_told(place: Place) -> None:
    changed(place, write("a", "1\n"), write("b", "1\n"), write("c", "1\n"))
    (place.work / "a").write_text("mine\n")
    (place.work / "b").unlink()
    ran = place.cli("diff", "@last")
    assert "a was changed since" in ran.err
    assert "b is gone" in ran.err
    now = [file["now"] for file in place.cli("diff", "@last", "--json").json["files"]]
    assert now == ["different", "gone", "same"]


def test_what_commands_changed_is_said_to_be_unknown(place: Place) -> None:
    changed(
        place,
        write("a", "1\n"),
        shell("echo 2 > a"),
        {"name": "read_file", "arguments": {"path": "a"}},
    )
    ran = place.cli("diff", "@last")
    assert "these calls changed in files: run_shell (1)." in ran.err
    assert "run_shell" not in ran.out
    assert "read_file" not in ran.err


def test_contents_that_are_not_kept_are_named_and_no_patch_is_made_up(place: Place) -> None:
    (place.work / "bin").write_bytes(b"\0\xff")
    (place.work / "big").write_text("x" * 300_000 + "\nend\n")
    changed(place, write("bin", "text"), edit("big", "end", "END"), write("ok", "1\n"))
    ran = place.cli("diff", "@last")
    assert ran.out.count("diff --git") == 1
    assert "bin: its contents are binary" in ran.err
    assert "big: its contents are too large" in ran.err


def test_secrets_are_not_kept_and_the_patch_says_that_it_does_not_fit(place: Place) -> None:
    secret = "hunter2-and-a-few-more-characters"
    (place.work / "a").write_text(f"word = {secret}\nx = 1\n")
    place.turns({"calls": [edit("a", "x = 1", "x = 2")]}, {"text": "done"})
    assert place.run("x", "--approve", "auto", MY_API_KEY=secret).code == 0
    ran = place.cli("diff", "@last")
    assert "+x = 2" in ran.out
    assert secret not in ran.out
    assert "secrets were taken out" in ran.err
    assert secret.encode() not in (place.home / "agentctl.db").read_bytes()


def test_paths_choose_files_and_folders(place: Place) -> None:
    changed(place, write("src/a", "1"), write("src/deep/b", "1"), write("srcs", "1"))

    def names(*words: str, **more: Any) -> list[str]:
        return [
            f["path"] for f in place.cli("diff", "@last", "--json", *words, **more).json["files"]
        ]

    assert names("src") == ["src/a", "src/deep/b"]
    assert names("src/a", "srcs") == ["src/a", "srcs"]
    assert names("deep", cwd=place.work / "src") == ["src/deep/b"]
    assert names(".") == ["src/a", "src/deep/b", "srcs"]
    assert names("/etc") == []


def test_a_patch_on_a_terminal_has_colour_and_no_control_characters(place: Place) -> None:
    changed(place, write("a", "red \x1b[31m\n"))
    with Terminal(place, "diff", "@last") as terminal:
        assert terminal.end() == 0
    assert "\x1b[32m+red \\x1b[31m" in terminal.text
    assert "\x1b[31m\r" not in terminal.text
    piped = place.cli("diff", "@last").out
    assert "+red \x1b[31m\n" in piped, "a pipe gets it as it is"
    assert "\x1b[32m" in place.cli("diff", "@last", FORCE_COLOR="1").out


def test_a_task_that_changed_nothing_says_so(place: Place) -> None:
    place.turns({"text": "done"})
    place.run("x")
    ran = place.cli("diff", "@last")
    assert (ran.code, ran.out) == (0, "")
    assert "No file was changed" in ran.err


def test_of_a_task_whose_log_was_taken_out_nothing_is_claimed(place: Place) -> None:
    changed(place, write("a", "1\n"))
    store = SqliteStore(place.home / "agentctl.db")
    store.connection.execute("UPDATE tasks SET updated_ms = 1")
    store.close()
    assert place.cli("gc", "--older-than", "1d", "--yes").code == 0
    ran = place.cli("diff", "@last")
    assert (ran.code, ran.out) == (0, "")
    assert "not known any more" in ran.err
