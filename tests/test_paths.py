"""Where state and settings are, and that finding them is cheap."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentctl import paths

TOP = Path(__file__).resolve().parent.parent


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="these follow their own rules")
def test_folders_without_our_own_variables_are_those_of_platformdirs(monkeypatch, tmp_path):
    import platformdirs

    for changes in (
        {"HOME": str(tmp_path)},
        {"XDG_STATE_HOME": str(tmp_path / "s"), "XDG_CONFIG_HOME": str(tmp_path / "c")},
        {"XDG_STATE_HOME": "relative", "XDG_CONFIG_HOME": ""},
    ):
        for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "AGENTCTL_HOME", "AGENTCTL_CONFIG"):
            monkeypatch.delenv(name, raising=False)
        for name, value in changes.items():
            monkeypatch.setenv(name, value)
        assert paths.state_home(os.environ) == platformdirs.user_state_dir("agentctl")
        config = Path(platformdirs.user_config_dir("agentctl"), "config.toml")
        assert paths.config_file(os.environ) == str(config)


def test_the_state_home_is_absolute_and_may_begin_with_a_tilde(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert paths.state_home({"AGENTCTL_HOME": "rel"}) == str(tmp_path / "rel")
    assert paths.state_home({"AGENTCTL_HOME": "~/x"}) == "/home/me/x"


def imported_by(code):
    program = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=TOP,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path])},
    )
    return set(done.stdout.split())


def test_the_state_home_can_be_found_without_any_heavy_import():
    loaded = imported_by("from agentctl.paths import state_home; state_home({})")
    assert not loaded & {"msgspec", "pathlib", "platformdirs", "tomllib", "json"}


def test_settings_without_files_load_nothing_heavy(tmp_path):
    loaded = imported_by(
        "from pathlib import Path; from agentctl.settings import load\n"
        f"load({{}}, env={{'HOME': {str(tmp_path)!r}}}, cwd=Path({str(tmp_path)!r}))"
    )
    assert not loaded & {
        "platformdirs", "pydantic", "tomllib", "hashlib", "json", "asyncio", "filelock", "rich",
        "typer", "secrets", "tempfile",
    }  # fmt: skip
