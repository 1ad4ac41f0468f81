"""Folders that lie in one another: workspace, home, state, the temporary folder."""

import subprocess

from agentctl.errors import ToolError
from agentctl.tools import sandbox, shell
from tests.tools.sandbox_parts import run


def test_state_and_workspace_may_both_lie_below_home(engine, ws, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    state, settings = tmp_path / "state", tmp_path / ".config" / "agentctl"
    for folder in (state, settings):
        folder.mkdir(parents=True)
        (folder / "secret").write_text("canary")
    ran = run(
        engine, ws, f"echo hi > made && cat made; cat {state}/secret {settings}/secret; true",
        hidden=(str(state), str(settings)),
    )  # fmt: skip
    assert ran.text.startswith("hi\n")
    assert "canary" not in ran.text
    assert (ws / "made").read_text() == "hi\n"


def test_what_stands_for_home_cannot_be_replaced_where_it_lies_in_the_workspace(
    engine, ws, tmp_path, monkeypatch
):
    """A link in its place would be mounted, and what it leads to could be written."""
    private, out = ws / "agentctl-sandbox-mine", tmp_path / "out"
    for folder in (out, private / "home", private / "tmp"):
        folder.mkdir(parents=True)
    monkeypatch.setattr(sandbox, "private_folder", lambda: str(private))
    link = f"rm -rf {private}/home; ln -s {out} {private}/home; mv {private} {ws}/moved; true"
    for command in (link, "echo x > ~/new"):
        try:
            run(engine, ws, command)
        except ToolError:
            assert not engine.namespaces  # they are refused where they could not be confined
    assert list(out.iterdir()) == []
    assert not (private / "home").is_symlink()


def test_a_command_cannot_change_the_rules_of_the_project(spaces, ws):
    (ws / ".agentctl.toml").write_text("[permissions]")
    run(spaces, ws, "echo x > .agentctl.toml; rm -f .agentctl.toml; mv .agentctl.toml moved; true")
    assert (ws / ".agentctl.toml").read_text() == "[permissions]"
    (ws / "x").mkdir()
    named = (str(ws / ".agentctl.toml"),)
    assert run(spaces, ws, "echo x > .agentctl.toml", writable=named).ok


def test_a_commit_has_the_users_name_though_the_home_is_out_of_sight(
    complete, ws, home, monkeypatch
):
    (home / ".gitconfig").write_text(
        "[user]\nname = A B\nemail = a@example.org\n[core]\nx = canary\n"
    )
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    shell._identity.cache_clear()
    subprocess.run(["git", "init", "-q"], cwd=ws, check=True)
    said = run(
        complete, ws, "touch f; git add f; git commit -qm first; git log --format=%an.%ae; env"
    )
    shell._identity.cache_clear()
    assert "A B.a@example.org" in said.text
    assert "canary" not in said.text


def test_a_workspace_inside_a_repository_can_look_at_it_but_not_change_it(complete, home):
    repository = home / "code"
    below = repository / "part"
    below.mkdir(parents=True)
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@b", "-C", str(repository)]
    subprocess.run([*git, "init", "-q"], check=True)
    (repository / "readme").write_text("hello")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    said = run(complete, below, "git log --format=%s; cat ../readme; echo no > ../readme; ls ~")
    assert said.text.startswith("first\nhello")
    assert "diary.txt" not in said.text
    assert (repository / "readme").read_text() == "hello"
