"""The settings file that `init` writes: complete, true, and changing nothing by itself."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from agentctl import settings, settings_template
from agentctl.errors import UsageError
from agentctl.settings_keys import KEYS, TABLES
from agentctl.settings_words import EXAMPLES, WORDS
from tests.test_docs import page, rows, section

KINDS = pytest.mark.parametrize("project", [False, True], ids=["user", "project"])


def taken(content: str) -> str:
    """The file with the # taken away before every setting and table."""
    return re.sub(r'^#(?=[\w"\[])', "", content, flags=re.MULTILINE)


def loaded(tmp_path: Path, content: str, *, project: bool = False) -> settings.Settings:
    path = tmp_path / (".agentctl.toml" if project else "config.toml")
    path.write_text(content, encoding="utf-8")
    env = {"HOME": "/nowhere", "AGENTCTL_HOME": str(tmp_path / "home")}
    if not project:
        env["AGENTCTL_CONFIG"] = str(path)
    return settings.load({}, env=env, cwd=tmp_path)


def test_the_words_are_those_of_the_documentation() -> None:
    found = rows(section(page("docs/configuration.md"), "## The settings"))
    assert {row[0].strip("`"): (row[2], row[3]) for row in found} == WORDS
    assert set(WORDS) == set(KEYS)


@KINDS
def test_as_it_is_written_it_sets_nothing(project: bool) -> None:
    assert tomllib.loads(settings_template.text(project=project)) == {}


@KINDS
def test_every_setting_and_table_is_in_it_and_valid(project: bool, tmp_path: Path) -> None:
    content = taken(settings_template.text(project=project))
    assert {*KEYS, *TABLES} == set(tomllib.loads(content))
    found = loaded(tmp_path, content, project=project)
    assert bool(found.warnings) == project  # nobody has trusted it


@pytest.mark.parametrize("name", sorted(set(KEYS) - set(EXAMPLES)))
def test_a_line_that_shows_the_default_changes_nothing(name: str, tmp_path: Path) -> None:
    content = settings_template.text(project=False).replace(f"\n#{name} =", f"\n{name} =", 1)
    assert list(tomllib.loads(content)) == [name]
    with_it, without = loaded(tmp_path, content), loaded(tmp_path, "")
    field = KEYS[name].field
    assert getattr(with_it, field) == getattr(without, field)
    assert with_it.origins[name] != "default"


def test_a_file_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "config.toml"
    assert settings_template.write(path, "one", force=False) is None
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="already"):
        settings_template.write(path, "two", force=False)
    assert path.read_text() == "one"


def test_a_file_that_is_replaced_is_kept_beside_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    kept = [settings_template.write(path, text, force=True) for text in ("one", "two", "three")]
    assert kept[0] is None
    assert [each.read_text() for each in kept if each] == ["one", "two"]
    assert path.read_text() == "three"


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        settings_template.write(tmp_path / "file" / "config.toml", "x", force=False)
