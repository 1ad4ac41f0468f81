"""Folders that lie in one another: workspace, home, state, the temporary folder."""

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
