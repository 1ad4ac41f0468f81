"""Which values are secrets, and which variables a tool gets."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from agentctl.core.environment import looks_secret, tool_environment
from agentctl.secrets import redactor, secret_values

PROVIDERS = Path(__file__).parents[1] / "agentctl" / "providers"
SECRET = [
    "OPENAI_API_KEY", "ANTHROPIC_AUTH_TOKEN", "GH_TOKEN", "GITHUB_PAT", "DB_PASSWORD",
    "PGPASSWORD", "DB_PASSWD", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "CLIENT_SECRET",
    "MY_CREDENTIALS", "apiKey", "api-key", "accessToken", "SSH_PASSPHRASE", "APIKEY", "NPM_AUTH",
    "DB_PWD", "KEY", "SIGNING_KEYS", "SERVICE_KEY_BASE64", "API_KEY_2",
]  # fmt: skip
NOT_SECRET = [
    "PATH", "HOME", "PWD", "OLDPWD", "LANG", "KEYBOARD_LAYOUT", "SSH_AUTH_SOCK", "MONKEY_ISLAND",
    "TOKENIZERS_PARALLELISM", "SSH_PUBLIC_KEY", "EDITOR", "MAX_TOKENS_PER_TASK", "SECRETARY",
    "COMPASS", "KEY_FILE", "PATTERN", "AUTHOR", "XDG_SESSION_ID",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRET)
def test_a_name_that_tells_of_a_secret(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize("name", NOT_SECRET)
def test_a_name_that_tells_of_none(name: str) -> None:
    assert not looks_secret(name)


def test_every_variable_that_a_provider_reads_a_key_from_is_known() -> None:
    texts = [path.read_text(encoding="utf-8") for path in PROVIDERS.glob("*.py")]
    names = {
        node.value
        for text in texts
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if re.fullmatch(r"[A-Z]+(_[A-Z]+)+", node.value)
        and re.search("KEY|TOKEN|SECRET", node.value)
    }
    assert {"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY"} <= names
    assert [name for name in names if not looks_secret(name)] == []


def test_values_of_variables_are_found_and_common_ones_are_not() -> None:
    env = {
        "OPENAI_API_KEY": " key-of-mine-1 ", "HOME": "/home/me", "X_TOKEN": "true",
        "CI_TOKEN": "12345678",
        "GOOGLE_APPLICATION_CREDENTIALS": "/home/me/key.json", "EDITOR": "vim-with-long-name",
    }  # fmt: skip
    assert secret_values(env) == {"OPENAI_API_KEY": "key-of-mine-1"}


@pytest.mark.parametrize(
    ("url", "passwords"),
    [
        ("postgres://app:hunter2hunter@db/x", ["hunter2hunter"]),
        ("postgres://app:p%40ss%2Fword@db/x", ["p%40ss%2Fword", "p@ss/word"]),
        ("redis://:only-password@cache:6379", ["only-password"]),
        ("amqp://u:raw@sign@@host/v", ["raw@sign@"]),
        ("mysql://u:with/slash9@host/v", ["with/slash9"]),
        ("https://example.com/a:b@c", []),
        ("https://example.com:8080/", []),
        ("postgres://app@db/x", []),
    ],
)
def test_the_password_of_an_address_is_a_secret(url: str, passwords: list[str]) -> None:
    assert list(secret_values({"DATABASE_URL": url}).values()) == passwords


def test_secrets_of_a_configuration_are_named_by_their_place() -> None:
    config = {
        "mcpServers": {
            "db": {"command": "run", "env": {"DB_TOKEN": "tok-en-77-x", "DEBUG": "something"}},
            "web": {"headers": {"Authorization": "Bearer abc-def-123", "X-Api-Key": "xyz-xyz-987"}},
        },
        "list": [{"password": "pass-word-1x"}, {"password": "pass-word-2x"}],
        "number": 7,
    }
    assert secret_values({}, config) == {
        "mcpServers.db.env.DB_TOKEN": "tok-en-77-x",
        "mcpServers.web.headers.Authorization": "abc-def-123",
        "mcpServers.web.headers.X-Api-Key": "xyz-xyz-987",
        "list.password": "pass-word-1x",
        "list.password 2": "pass-word-2x",
    }


def test_what_was_found_is_taken_out_of_text() -> None:
    found = redactor({"DATABASE_URL": "db://u:hunter2hunter@h"}, {"a": {"token": "tok-en-77-x"}})
    assert (
        found.text("hunter2hunter tok-en-77-x")
        == "[secret: DATABASE_URL password] [secret: a.token]"
    )


ENV = {
    "PATH": "/bin", "HOME": "/home/me", "LANG": "C", "LC_ALL": "C.UTF-8", "TERM": "xterm",
    "USER": "me", "LOGNAME": "me", "SHELL": "/bin/sh", "TMPDIR": "/x", "TZ": "UTC",
    "OPENAI_API_KEY": "k", "APP_MODE": "fast", "APP_TOKEN": "t",
    "APP_DB": "pg://u:hunter2hunter@h", "LD_PRELOAD": "x.so", "SSH_AUTH_SOCK": "/s",
    "EDITOR": "vi", "LC_SECRET": "s",
}  # fmt: skip
USUAL = {"PATH", "HOME", "LANG", "LC_ALL", "TERM", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ"}


@pytest.mark.parametrize(
    ("allowed", "more"),
    [
        ((), set()),
        (("EDITOR",), {"EDITOR"}),
        (("APP_*",), {"APP_MODE"}),
        (("APP_*", "APP_TOKEN"), {"APP_MODE", "APP_TOKEN"}),
        (("*",), {"APP_MODE", "EDITOR", "SSH_AUTH_SOCK"}),
        (("LD_PRELOAD",), {"LD_PRELOAD"}),
        (("NOT_SET",), set()),
    ],
)
def test_a_tool_gets_what_is_allowed_and_no_secret_unless_named(
    allowed: tuple[str, ...], more: set[str]
) -> None:
    assert set(tool_environment(ENV, allowed)) == USUAL | more
    assert set(tool_environment(ENV, allowed).items()) <= set(ENV.items())
