"""Whose calls count against the pace, and how long an answer may be waited for."""

from __future__ import annotations

import asyncio

import pytest

from agentctl.providers._http import _Watch
from agentctl.providers.anthropic import Anthropic
from agentctl.providers.offline import Offline
from agentctl.providers.ollama import Ollama
from agentctl.providers.openai import OpenAI


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "OLLAMA_HOST"):
        monkeypatch.delenv(name, raising=False)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "sk-test")


@pytest.mark.parametrize(
    ("url", "paced"),
    [
        ("", True),
        ("https://api.openai.com/v1", True),
        ("http://192.168.0.7:8000/v1", True),
        ("http://localhost.example.org/v1", True),
        ("http://localhost:8000/v1", False),
        ("http://llm.localhost:8000/v1", False),
        ("http://127.0.0.5:8000/v1", False),
        ("http://[::1]:8000/v1", False),
    ],
)
def test_an_openai_server_is_paced_unless_it_is_on_this_machine(url: str, paced: bool) -> None:
    assert OpenAI("m", {"base_url": url}).paced is paced


@pytest.mark.parametrize(
    ("url", "model", "paced"),
    [
        ("", "qwen3", False),
        ("0.0.0.0", "qwen3", False),
        ("http://gpu-box:11434", "qwen3", True),
        ("", "gpt-oss:120b-cloud", True),
        ("", "glm:cloud", True),
    ],
)
def test_a_remote_ollama_is_paced(url: str, model: str, paced: bool) -> None:
    assert Ollama(model, {"base_url": url}).paced is paced


def test_anthropic_is_paced_and_rules_are_not() -> None:
    assert (Anthropic("", {}).paced, Offline("", {}).paced) == (True, False)


def test_the_watch_waits_for_the_first_event_and_then_for_each_chunk() -> None:
    async def main() -> None:
        async with asyncio.timeout(50) as limit:
            watch, first = _Watch(limit, silence_s=500), limit.when()
            whens = []
            for happens in (watch.heard, watch.event, watch.heard, watch.stop, watch.heard):
                happens()
                await asyncio.sleep(0)
                whens.append(limit.when())
        before, *during, last, drained = whens
        assert before == first
        assert first + 400 < during[0] < during[1]
        assert (last, drained) == (None, None)

    asyncio.run(main())
