"""Which server a key is sent to."""

from __future__ import annotations

import pytest

from agentctl.errors import ConfigError
from agentctl.settings import Settings

OWN = Settings(base_url="http://127.0.0.1:8000/v1", base_url_for="openai")


def test_an_address_is_used_for_the_provider_it_was_written_for() -> None:
    assert OWN.address("openai", {}) == "http://127.0.0.1:8000/v1"


def test_no_other_providers_key_is_sent_there() -> None:
    assert OWN.address("anthropic", {}) == "https://api.anthropic.com"


def test_the_usual_variable_of_the_providers_library_counts() -> None:
    assert Settings().address("openai", {"OPENAI_BASE_URL": "http://x/v1"}) == "http://x/v1"


def test_a_provider_without_a_server_has_no_address() -> None:
    assert Settings().address("offline", {}) == ""


def test_an_address_with_a_password_is_refused_without_showing_it() -> None:
    """It would be stored with the task and printed with its events."""
    with pytest.raises(ConfigError) as refused:
        Settings().address("openai", {"OPENAI_BASE_URL": "http://me:hunter2@x/v1"})
    assert "hunter2" not in str(refused.value)
