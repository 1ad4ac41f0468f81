"""Token estimates by bytes, and never a download."""

import hashlib
import socket

import pytest
import tiktoken

from agentctl.counting import EXACT_CHARS, ByteCounter, RankCounter, counter


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

    from agentctl import counting

    for name, sha256 in counting._SHA256.items():
        source = inspect.getsource(getattr(openai_public, name))
        assert sha256 in source
        assert counting._URL.format(name) in source


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
