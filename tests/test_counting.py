"""Token estimates by bytes, and never a download."""

import base64
import hashlib
import socket

import pytest
import tiktoken

from agentctl import counting, ranks
from agentctl.core.calibrate import Calibration
from agentctl.counting import EXACT_CHARS, ByteCounter, RankCounter, counter
from agentctl.errors import AgentctlError, UsageError


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    """No ranks are on this machine, and any connection is an error."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))

    def refuse(*_args, **_kwargs):
        raise AssertionError("a count reached for the network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return tmp_path


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("openai", "gpt-6.1-sol", 3800),
        ("openai", "o3", 3800),
        ("openai", "ft:gpt-4o:me", 3800),
        ("openai", "openai/gpt-5.4", 3800),
        ("openai", "llama-3.3-70b", 3400),
        ("openai", "anthropic/claude-opus-5.5", 2500),
        ("anthropic", "claude-opus-4-7", 2500),
        ("anthropic", "claude-fable-5-2", 2500),
        ("anthropic", "claude-haiku-5-5-20260901", 2500),
        ("anthropic", "claude-10-opus", 2500),
        ("anthropic", "claude-next", 2500),
        ("anthropic", "", 2500),
        ("anthropic", "claude-opus-4-6", 3100),
        ("anthropic", "claude-sonnet-4-20250514", 3100),
        ("anthropic", "claude-3-5-sonnet-20241022", 3100),
        ("anthropic", "claude-2.1", 3100),
        ("anthropic", "claude-instant-1.2", 3100),
        ("google", "gemini-3-pro", 3200),
        ("ollama", "qwen3:8b", 3400),
        ("scripted", "script", 3400),
    ],
)
def test_calibration_follows_the_model_then_the_provider(provider, model, expected):
    assert counter(provider, model).bytes_per_ktoken == expected


def test_the_estimate_is_rounded_up_from_utf8_bytes():
    bytes_only = ByteCounter(3400)
    assert bytes_only.count("") == 0
    assert bytes_only.count("a") == 1
    assert bytes_only.count("a" * 3400) == 1000
    assert bytes_only.count("a" * 3401) == 1001
    assert bytes_only.count("日本") == 2  # six bytes


def test_a_lone_surrogate_is_counted_and_not_an_error():
    assert ByteCounter(3400).count("\udc80") == 1


def test_without_ranks_openai_models_are_estimated_by_bytes():
    assert isinstance(counter("openai", "gpt-5.4"), ByteCounter)


def test_a_damaged_rank_file_is_neither_used_nor_downloaded_again(empty_cache):
    for name in ("o200k_base", "cl100k_base"):
        url = f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
        (empty_cache / hashlib.sha1(url.encode()).hexdigest()).write_bytes(b"damaged")
    for model in ("gpt-5.4", "gpt-4"):
        assert isinstance(counter("openai", model), ByteCounter)
    assert len(list(empty_cache.iterdir())) == 2


def test_an_empty_cache_folder_name_means_no_cache_and_so_no_ranks(monkeypatch):
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    assert isinstance(counter("openai", "gpt-5.4"), ByteCounter)


def test_the_rank_files_are_those_of_the_installed_tiktoken():
    import inspect

    from tiktoken_ext import openai_public

    for name, sha256 in ranks.SHA256.items():
        source = inspect.getsource(getattr(openai_public, name))
        assert sha256 in source
        assert ranks.URL.format(name) in source


@pytest.fixture
def byte_ranks():
    return tiktoken.Encoding(
        "bytes",
        pat_str=r"[\s\S]",
        mergeable_ranks={bytes([number]): number for number in range(256)},
        special_tokens={"<|endoftext|>": 256},
    )


def test_with_ranks_the_count_is_exact_and_special_tokens_are_plain_text(byte_ranks):
    assert RankCounter(byte_ranks).count("<|endoftext|>") == len("<|endoftext|>")


def test_a_huge_text_is_estimated_even_with_ranks(byte_ranks):
    text = "a" * (EXACT_CHARS + 1)
    assert RankCounter(byte_ranks).count(text) == ByteCounter(3800).count(text)


def test_a_counter_begins_with_what_was_learned_of_its_model():
    learned = Calibration(500_000, 200_000)
    found = counter("openai", "gpt-5.4", learned=learned).bytes_per_ktoken
    assert found == 2_500 < counting.usual("openai", "gpt-5.4")


@pytest.fixture
def ranks_of_bytes(monkeypatch):
    """A rank file of single bytes, which passes for o200k_base."""
    lines = (base64.b64encode(bytes([n])) + f" {n}".encode() for n in range(256))
    data = b"\n".join(lines) + b"\n"
    monkeypatch.setitem(ranks.SHA256, "o200k_base", hashlib.sha256(data).hexdigest())
    return data


def put(place, data):
    place.mkdir(parents=True, exist_ok=True)
    (place / ranks.file_name("o200k_base")).write_bytes(data)


def test_ranks_are_found_in_the_state_home_unless_the_library_was_told_of_a_folder(
    ranks_of_bytes, tmp_path, monkeypatch
):
    home = tmp_path / "home"
    put(home / ranks.FOLDER, ranks_of_bytes)
    assert ranks.found("o200k_base", home) is None
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR")
    assert ranks.found("o200k_base", home) == home / ranks.FOLDER
    assert ranks.found("o200k_base", tmp_path / "other") is None
    put(tmp_path / "told", ranks_of_bytes)
    monkeypatch.setenv("DATA_GYM_CACHE_DIR", str(tmp_path / "told"))
    assert ranks.found("o200k_base", home) == tmp_path / "told"


def test_the_library_is_shown_the_folder_and_its_variable_is_put_back(monkeypatch, tmp_path):
    import os

    for before in ("elsewhere", None):
        if before is None:
            monkeypatch.delenv("TIKTOKEN_CACHE_DIR")
        else:
            monkeypatch.setenv("TIKTOKEN_CACHE_DIR", before)
        with ranks.looked_for_in(tmp_path):
            assert os.environ["TIKTOKEN_CACHE_DIR"] == str(tmp_path)
        assert os.environ.get("TIKTOKEN_CACHE_DIR") == before


@pytest.mark.parametrize(
    ("provider", "model", "name"),
    [
        ("openai", "gpt-6.1-sol", "o200k_base"),
        ("openai", "gpt-4o-mini", "o200k_base"),
        ("openai", "gpt-4", "cl100k_base"),
        ("openai", "gpt-3.5-turbo", "cl100k_base"),
        ("", "GPT-5.4", "o200k_base"),
        ("anthropic", "claude-opus-5.5", ""),
        ("ollama", "qwen3", ""),
    ],
)
def test_only_openais_models_have_ranks(provider, model, name):
    assert counting.encoding_name(provider, model) == name


def test_what_was_fetched_is_whole_private_and_found(ranks_of_bytes, tmp_path, monkeypatch):
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR")
    home = tmp_path / "home"
    asked = []
    path = ranks.fetch("o200k_base", home, lambda url: asked.append(url) or ranks_of_bytes)
    assert asked == [ranks.URL.format("o200k_base")]
    assert path == ranks.target("o200k_base", home)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert ranks.found("o200k_base", home) == home / ranks.FOLDER
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_download_with_another_sha256_is_thrown_away(tmp_path, empty_cache):
    with pytest.raises(AgentctlError, match="not the file that was expected"):
        ranks.fetch("o200k_base", tmp_path, lambda _url: b"<html>log in first</html>")
    assert not list(empty_cache.rglob("*"))


def test_an_empty_folder_name_leaves_nowhere_to_fetch_to(tmp_path, monkeypatch):
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    with pytest.raises(UsageError, match="switches rank files off"):
        ranks.fetch("o200k_base", tmp_path, lambda _url: b"")
