"""Where agentctl keeps its state and looks for its settings.

Only `os` and `sys` are imported: control commands such as `pause` need the state home and nothing
else, and are on a budget.
"""
# ruff: noqa: PTH100, PTH111, PTH117, PTH118 - importing pathlib costs a tenth of all `pause` does

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

APP = "agentctl"


def state_home(env: Mapping[str, str]) -> str:
    """Return the absolute folder of database, ledger and locks. It need not exist yet.

    `AGENTCTL_HOME` if set, else the platform's folder for state.
    """
    chosen = env.get("AGENTCTL_HOME", "")
    if chosen:
        return os.path.abspath(os.path.expanduser(chosen))
    return _platform_folder(env, "XDG_STATE_HOME", ".local/state")


def config_file(env: Mapping[str, str]) -> str:
    """Return the absolute path of the user's settings file. It need not exist.

    `AGENTCTL_CONFIG` if set, else `config.toml` in the platform's folder for settings.
    """
    chosen = env.get("AGENTCTL_CONFIG", "")
    if chosen:
        return os.path.abspath(os.path.expanduser(chosen))
    return os.path.join(_platform_folder(env, "XDG_CONFIG_HOME", ".config"), "config.toml")


def user_home(env: Mapping[str, str]) -> str:
    """Return the user's home folder."""
    return env.get("HOME") or os.path.expanduser("~")


def _platform_folder(env: Mapping[str, str], variable: str, below_home: str) -> str:
    if sys.platform in ("darwin", "win32"):
        return _from_platformdirs(variable)
    # The XDG rule by hand: two lines instead of an import that costs more than all of this.
    base = env.get(variable, "")
    if not os.path.isabs(base):
        base = os.path.join(user_home(env), below_home)
    return os.path.join(base, APP)


def _from_platformdirs(variable: str) -> str:
    import platformdirs  # here, because it is heavy and only two platforms need it

    if variable == "XDG_STATE_HOME":
        return platformdirs.user_state_dir(APP, appauthor=False)
    return platformdirs.user_config_dir(APP, appauthor=False)
