"""`doctor` finds each fault where it is, with its remedy; `init` overwrites nothing."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agentctl.store.lease import Lease
from tests.cli.parts import Place
from tests.contracts.wire import Reply, Server

KEY = "sk-canary-0123456789abcdef"


def examined(place: Place, *words: str, **env: str) -> tuple[int, dict[str, Any]]:
    """Exit code, and the worst finding of each name."""
    ran = place.cli("doctor", "--json", *words, **env)
    order = ("ok", "note", "warning", "problem")
    findings = sorted(ran.json["findings"], key=lambda each: order.index(each["level"]))
    assert ran.json["ok"] == (ran.code == 0)
    return ran.code, {each["name"]: each for each in findings}


@pytest.fixture
def used(place: Place) -> Place:
    """With a task that is done."""
    place.turns({"text": "done"}, rates={"input": 3, "output": 15})
    assert place.run().code == 0
    return place


def test_a_place_that_nothing_was_done_in_yet_has_no_problem(place: Place) -> None:
    code, found = examined(place)
    assert code == 0
    assert found["state home"]["level"] == found["database"]["level"] == "note"
    assert not place.home.exists()


def test_a_place_in_use_is_well(used: Place) -> None:
    code, found = examined(used)
    assert code == 0
    assert {found[name]["level"] for name in ("state home", "database", "books", "tasks")} == {"ok"}
    assert "schema 4" in found["database"]["found"]


def test_what_others_can_read_is_a_problem_that_fix_mends(used: Place) -> None:
    used.home.chmod(0o755)
    path = used.home / "agentctl.db"
    path.chmod(0o644)
    code, found = examined(used)
    assert code == 1
    assert found["state home"]["level"] == "problem"
    assert "agentctl.db" in found["state home"]["found"]
    assert found["state home"]["remedy"] == f"chmod -R go-rwx {used.home}"
    code, found = examined(used, "--fix")
    assert code == 0
    assert found["state home"]["fixed"]
    assert (used.home.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)


def test_a_link_in_the_state_home_is_told_and_not_followed(used: Place, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.touch(mode=0o644)
    (used.home / "link").symlink_to(elsewhere)
    _, found = examined(used, "--fix")
    assert found["state home"]["level"] == "warning"
    assert "link" in found["state home"]["found"]
    assert elsewhere.stat().st_mode & 0o777 == 0o644


def test_a_damaged_database_is_a_problem_and_is_left_alone(used: Place) -> None:
    path = used.home / "agentctl.db"
    data = bytearray(path.read_bytes())
    data[8192:] = b"\xa5" * (len(data) - 8192)
    path.write_bytes(data)
    code, found = examined(used, "--fix")
    assert code == 1
    assert found["database"]["level"] == "problem"
    assert ".recover" in found["database"]["remedy"]
    assert "books" not in found
    assert found["sandbox"]["found"]  # the other checks are made
    assert path.read_bytes() == data


def test_a_newer_database_is_a_problem_and_is_left_alone(used: Place) -> None:
    path = used.home / "agentctl.db"
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    data = path.read_bytes()
    code, found = examined(used, "--fix")
    assert (code, found["database"]["level"]) == (1, "problem")
    assert "newer" in found["database"]["found"]
    assert path.read_bytes() == data


def test_books_that_differ_are_a_problem_that_fix_mends(used: Place) -> None:
    db = sqlite3.connect(used.home / "agentctl.db")
    db.execute("UPDATE usage SET output = output + 1")
    db.commit()
    db.close()
    code, found = examined(used)
    assert (code, found["books"]["level"]) == (1, "problem")
    assert "agentctl costs rebuild" in found["books"]["remedy"]
    code, found = examined(used, "--fix")
    assert code == 0
    assert found["books"]["fixed"]
    assert used.cli("costs", "check").code == 0


def test_a_log_that_is_ahead_of_the_clock_is_a_warning(used: Place) -> None:
    db = sqlite3.connect(used.home / "agentctl.db")
    db.execute("UPDATE tasks SET updated_ms = updated_ms + 7200000")
    db.commit()
    db.close()
    _, found = examined(used)
    assert found["clock"]["level"] == "warning"
    assert "behind the newest event" in found["clock"]["found"]


def test_a_read_only_state_home_is_a_problem_and_the_rest_is_still_checked(used: Place) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare")
    home = used.home
    mounts = f'mount --bind "{home}" "{home}" && mount -o remount,bind,ro "{home}" || exit 99'
    script = f'{mounts}; "$@" doctor --json'
    done = subprocess.run(
        ["unshare", "-rm", "/bin/sh", "-c", script, "sh", *used.command()],
        env=used.env, cwd=used.work, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip("mounting is not allowed here")
    found = {each["name"]: each for each in json.loads(done.stdout)["findings"]}
    assert done.returncode == 1
    assert "cannot be written to" in found["state home"]["found"]
    assert found["database"]["level"] == "ok"


def test_a_setting_that_is_wrong_is_a_problem_told_with_its_line(place: Place) -> None:
    place.user_file.write_text("max_cots = 1\n", encoding="utf-8")
    code, found = examined(place)
    assert (code, found["settings"]["level"]) == (1, "problem")
    assert "config.toml:1" in found["settings"]["found"]
    assert "max_cost" in found["settings"]["remedy"]


def test_an_untrusted_project_is_a_warning_with_the_command(place: Place) -> None:
    (place.work / ".agentctl.toml").write_text('provider = "openai"\n', encoding="utf-8")
    _, found = examined(place)
    assert found["settings"]["level"] == "warning"
    assert f"-> agentctl trust {place.work}" in place.cli("doctor").out


def test_keys_are_named_and_never_shown(place: Place) -> None:
    ran = place.cli("doctor", OPENAI_API_KEY=KEY)
    assert "OPENAI_API_KEY" in ran.out
    assert KEY not in ran.out + ran.err


def test_a_chosen_provider_without_its_key_is_a_problem(place: Place) -> None:
    code, found = examined(place, LLM_PROVIDER="anthropic")
    assert (code, found["model anthropic"]["level"]) == (1, "problem")
    assert "ANTHROPIC_API_KEY" in found["model anthropic"]["remedy"]


def test_a_model_without_a_price_is_a_problem(place: Place) -> None:
    env = {"LLM_PROVIDER": "openai", "LLM_MODEL": "no-such-model", "OPENAI_API_KEY": KEY}
    code, found = examined(place, **env)
    assert (code, found["model openai"]["level"]) == (1, "problem")
    assert '[prices."openai/no-such-model"]' in found["model openai"]["remedy"]


def test_an_embedder_without_its_key_is_a_problem(place: Place) -> None:
    code, found = examined(place, AGENTCTL_EMBEDDER="openai/text-embedding-3-small")
    assert (code, found["embedder openai"]["level"]) == (1, "problem")
    env = {"AGENTCTL_EMBEDDER": "openai/text-embedding-3-small", "OPENAI_API_KEY": KEY}
    assert examined(place, LLM_PROVIDER="offline", **env)[1]["embedder openai"]["level"] == "ok"


@pytest.mark.parametrize("table", ["tools", "mcp"])
def test_a_file_of_tools_that_is_gone_is_a_problem(place: Place, table: str) -> None:
    place.user_file.write_text(f'[{table}]\nfiles = ["gone.py"]\n', encoding="utf-8")
    code, found = examined(place)
    assert (code, found["tools"]["level"]) == (1, "problem")
    assert "gone.py" in found["tools"]["found"]


def test_who_holds_a_lock_is_told(used: Place) -> None:
    held = Lease(used.home / "locks", "task-1")
    _, found = examined(used)
    assert f"task-1 by process {os.getpid()}" in found["locks"]["found"]
    held.release()


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_provider_is_reached_only_where_that_was_asked_for(place: Place, provider: str) -> None:
    models = json.dumps({"data": [{"id": "a"}, {"id": "b"}], "has_more": False}).encode()
    with Server(Reply([models], headers={"content-type": "application/json"})) as server:
        env = {f"{provider.upper()}_API_KEY": KEY, f"{provider.upper()}_BASE_URL": server.url}
        env["LLM_PROVIDER"] = provider
        _, found = examined(place, **env)
        assert server.paths == []
        assert f"online {provider}" not in found
        _, found = examined(place, "--online", **env)
        assert [path.partition("?")[0].rpartition("/")[2] for path in server.paths] == ["models"]
    assert "reached" in found[f"online {provider}"]["found"]
    assert KEY not in json.dumps(found)


def test_a_refused_key_is_a_problem_with_the_providers_own_advice(place: Place) -> None:
    said = json.dumps({"error": {"message": f"bad key {KEY}", "code": "invalid_api_key"}}).encode()
    with Server(Reply([said], status=401)) as server:
        env = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url, "LLM_PROVIDER": "openai"}
        code, found = examined(place, "--online", **env)
    assert (code, found["online openai"]["level"]) == (1, "problem")
    assert "export OPENAI_API_KEY" in found["online openai"]["remedy"]
    assert KEY not in json.dumps(found)


@pytest.mark.parametrize("columns", [80, 50])
def test_its_lines_fit_the_width(place: Place, columns: int) -> None:
    """But for a path or a command, which must stay copyable."""
    from agentctl.reports.doctor import Finding, doctor_text

    findings = [Finding("sandbox", "warning", "word " * 60, "a command"), Finding("x", "ok", "y")]
    lines = doctor_text(findings, columns).splitlines()
    assert max(map(len, lines)) <= columns
    assert lines[-1] == "2 checks: 1 warning"


# --- init ----------------------------------------------------------------------------------------


def test_init_writes_a_file_that_doctor_finds_nothing_wrong_with(place: Place) -> None:
    ran = place.cli("init")
    assert (ran.code, ran.out) == (0, "")
    assert str(place.user_file) in ran.err
    assert examined(place)[1]["settings"]["level"] == "ok"
    again = place.cli("init")
    assert again.code == 2
    assert "--force" in again.err
    assert place.cli("init", "--force", "--json").json["kept"].endswith("config.toml.old-1")


def test_init_prints_the_same_and_writes_nothing(place: Place) -> None:
    shown = place.cli("init", "-", "--project")
    assert not place.user_file.exists()
    assert place.cli("init", "--project").code == 0
    assert (place.work / ".agentctl.toml").read_text(encoding="utf-8") == shown.out


# --- gc and db backup ----------------------------------------------------------------------------


def test_gc_says_what_can_go_and_takes_it_out_only_with_yes(used: Place) -> None:
    listed, spent = used.cli("list", "--json").json, used.cli("costs", "report", "--json").json
    kept = used.cli("gc", "--json")
    assert kept.json["tasks"] == []  # it ended just now
    plan = used.cli("gc", "--older-than", "0s", "--json").json
    assert [task["id"] for task in plan["tasks"]] == [listed[0]["id"]]
    assert not plan["done"]
    assert used.last()["answer"] == "done"
    assert used.cli("gc", "--older-than", "0s", "--yes").code == 0
    assert used.last()["answer"] == "(removed)"
    assert used.cli("list", "--json").json == listed
    assert used.cli("costs", "report", "--json").json == spent
    assert "taken out on" in used.cli("show", "@last").out
    assert examined(used)[0] == 0


@pytest.mark.parametrize(
    "words",
    [
        ("--older-than", "soon"),
        ("--max-size", "much"),
        ("--max-size", "-1"),
        ("--yes", "--dry-run"),
    ],
)
def test_gc_refuses_what_it_cannot_read(used: Place, words: tuple[str, ...]) -> None:
    ran = used.cli("gc", *words)
    assert (ran.code, ran.out) == (2, "")


def test_a_backup_put_in_its_place_has_every_task(used: Place, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    assert used.cli("db", "backup", str(copy), "--json").json["tasks"] == 1
    listed = used.cli("list", "--json").json
    assert used.run("another").code == 0
    for path in used.home.glob("agentctl.db*"):
        path.unlink()
    shutil.copy(copy, used.home / "agentctl.db")
    assert used.cli("list", "--json").json == listed
    assert used.cli("costs", "rebuild").code == 0
    code, found = examined(used)
    assert (code, found["books"]["level"]) == (0, "ok")
