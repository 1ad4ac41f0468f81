"""Secrets are taken out of text, whole or in pieces, and nothing else is touched."""

from __future__ import annotations

import base64
import json
import random
import re
import re._parser as regex_parser
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentctl.core.redact import Redactor, StreamRedactor, is_common, marker
from agentctl.core.secret_patterns import KEY_PATTERNS, KeyBlock

LETTERS = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"
DIGITS = "0123456789"


def made(start: str, count: int, signs: str = LETTERS + DIGITS) -> str:
    """A key that nobody has; joined here, so that no scanner finds one in this file."""
    draw = random.Random(start)
    return start + "".join(draw.choice(signs) for _ in range(count - 2)) + "a7"


def pem(kind: str, lines: int = 12) -> str:
    dashes = "-" * 5
    body = "\n".join(made("MI", 62, LETTERS + DIGITS + "+/") for _ in range(lines))
    name = f"{kind} PRIVATE KEY".strip() + (" BLOCK" if kind == "PGP" else "")
    return f"{dashes}BEGIN {name}{dashes}\n{body}\nabc=\n{dashes}END {name}{dashes}"


WIDE = LETTERS + DIGITS + "-_"
JWT = ".".join((made("ey" + "J", 40, WIDE), made("ey" + "J", 90, WIDE), made("", 43, WIDE)))
BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
CANARIES = {
    "anthropic": ("anthropic key", made("sk-" + "ant-api03-", 95, WIDE)),
    "anthropic admin": ("anthropic key", made("sk-" + "ant-admin01-", 95, WIDE)),
    "anthropic oauth": ("anthropic key", made("sk-" + "ant-oat01-", 95, WIDE)),
    "anthropic refresh": ("anthropic key", made("sk-" + "ant-ort01-", 60, WIDE)),
    "openai project": ("openai key", made("sk-" + "proj-", 156, WIDE)),
    "openai first project": ("openai key", made("sk-" + "proj-", 48)),
    "openai service": ("openai key", made("sk-" + "svcacct-", 156, WIDE)),
    "openai admin": ("openai key", made("sk-" + "admin-", 130, WIDE)),
    "openai none": ("openai key", made("sk-" + "None-", 130, WIDE)),
    "openai legacy": ("openai key", made("sk-", 20) + "T3Blbk" + made("FJ", 20)),
    "openrouter": ("openrouter key", made("sk-" + "or-v1-", 64, "abcdef" + DIGITS)),
    "deepseek": ("api key", made("sk-", 32, "abcdef" + DIGITS)),
    "google": ("google key", made("AI" + "zaSy", 33, WIDE)),
    "google 2026": ("google key", made("AQ" + ".Ab8RN6", 44, WIDE)),
    "aws": ("aws key id", "AK" + "IA" + "QWERTZ23ABCDEF67"),
    "aws session": ("aws key id", "AS" + "IA" + "QWERTZ23ABCDEF67"),
    "github": ("github token", made("gh" + "p_", 36)),
    "github oauth": ("github token", made("gh" + "o_", 36)),
    "github user": ("github token", made("gh" + "u_", 36)),
    "github app": ("github token", made("gh" + "s_", 36)),
    "github app 2026": ("github token", f"gh{'s'}_123456_{JWT}"),
    "github refresh": ("github token", made("gh" + "r_", 76)),
    "github fine": ("github token", made("github" + "_pat_", 82, LETTERS + DIGITS + "_")),
    "gitlab": ("gitlab token", made("gl" + "pat-", 20, WIDE)),
    "gitlab routable": ("gitlab token", made("gl" + "pat-", 27, WIDE) + ".01.0z1abcdef"),
    "gitlab runner": ("gitlab token", made("gl" + "rt-", 20, WIDE)),
    "slack bot": ("slack token", "xo" + "xb-263594206564-2343594206574-" + made("", 24)),
    "slack user": (
        "slack token",
        "xo" + "xp-263594206564-298911817009-298923149681-" + made("", 32),
    ),
    "slack app": ("slack token", "xa" + "pp-1-A052FGTS2DL-5171572773297-" + made("", 64)),
    "stripe": ("stripe key", made("sk" + "_live_", 24)),
    "stripe restricted": ("stripe key", made("rk" + "_live_", 24)),
    "npm": ("npm token", made("np" + "m_", 36)),
    "pypi": ("pypi token", made("pypi" + "-AgEIcHlwaS5vcmc", 140, WIDE)),
    "hugging face": ("hugging face token", made("h" + "f_", 34)),
    "groq": ("groq key", made("gs" + "k_", 52)),
    "xai": ("xai key", made("xa" + "i-", 80)),
    "jwt": ("jwt", JWT),
    "azure account": ("azure key", "AKey"),
    "rsa": ("private key", pem("RSA")),
    "pkcs8": ("private key", pem("")),
    "openssh": ("private key", pem("OPENSSH")),
    "pgp": ("private key", pem("PGP")),
}
del CANARIES["azure account"]
IN_CONTEXT = {
    "bearer": ("Authorization: Bearer ", made("", 30), ""),
    "bearer in code": ('headers={"Authorization": "Bearer ', made("", 30, WIDE), '"}'),
    "bearer in JSON": ('{\\"authorization\\": \\"Bearer ', made("", 30, WIDE), '\\"}'),
    "basic": ("authorization: Basic ", made("", 22) + "==", "\n"),
    "cgi": ("HTTP_AUTHORIZATION=token ", made("", 40), "\n"),
    "own header": ("x-api-key: ", made("", 32), "\n"),
    "google header": ("-H 'x-goog-api-key: ", made("", 39), "'"),
    "postgres": ("postgres://app:", "pa55:word!", "@db.example:5432/app"),
    "redis without user": ("redis://:", made("", 12), "@cache:6379/0"),
    "quoted password": ("https://me:", "p%40ss%2Fword", "@example.com/x"),
    "aws secret": ("aws_secret_access_key = ", made("", 40, LETTERS + DIGITS + "+/"), "\n"),
    "aws variable": ('AWS_SECRET_ACCESS_KEY="', made("", 40), '"'),
    "aws json": ('"SecretAccessKey": "', made("", 40), '"'),
}
NOISE = random.Random(1).randbytes(20_000)
HARMLESS = [
    "", "plain words",
    "550e8400-e29b-41d4-a716-446655440000", "3f786850e387550fdab836ed7e6dc881de23001b",
    "sha256:" + "ab12" * 16, "pip install sk-learn sk-image",
    ".a{mask-image:url(x.png);-webkit-mask-image:none}",
    "<p class='sk-admin-dashboard-navigation-sidebar-left-column-wide'>",
    "task-0123456789abcdef0123456789abcdef", "disk-usage risk-free ask-me",
    "data:image/png;base64," + base64.b64encode(NOISE).decode(),
    base64.urlsafe_b64encode(NOISE).decode(), "!function(e,t){e.hf_=t,e.gsk_=1}(this,{npm_:2});",
    "npm_config_registry=https://example.org npm_lifecycle_event=test",
    "npm_package_dependencies_with_long_names_here",
    "密钥在哪里？没有。", "🔑🔐 emoji keys 👩‍💻", "مفتاح سري",
    "כלום", "if a < b && c > d: return a << 2", "postgres://{user}:{password}@{host}/{db}",
    "postgres://${USER}:${PASS}@host", "mysql://%s:%s@%s/%s", "ftp://user:<password>@host",
    "https://example.com:8443/@vite/client?a=b@c", "http://[::1]:8080/a@b",
    "git@github.com:owner/repo.git", "https://unpkg.com/vue@3.4.1/dist/vue.js",
    "mailto:a@b.example", "Authorization: Bearer $TOKEN", "Authorization: Bearer <token>",
    'f"Authorization: Bearer {token}"', "Authorization: Bearer authentication is used",
    "-----BEGIN CERTIFICATE-----\nMIIEabcdefghijklmnop\n-----END CERTIFICATE-----\n",
    'if "-----BEGIN PRIVATE KEY-----" in text: raise ValueError',
    "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQ\n", "sk-ant-api03-YOUR_KEY_HERE", "sk-...",
    "sk-proj-xxxx", "AKIA is a prefix; ASIA too; TODAYINASIAASACKOFRICEFELLOVER",
    "eyJ is how JSON begins in base64: eyJhIjoxfQ==",
    "xoxo, hugs; xoxb-your-token-here-please-thanks", "config=1&sig=abc", "sk_live_mode = True",
    "gh pr list; ghp_token = os.environ", "xai-corp and hf_hub_download(repo_id)",
    "\x1b[31mred\x1b[0m\x00\r\n\t", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ me@host",
    "[secret: A_KEY] stays",
    "The password is described in docs/security.md, see token, key and secret.",
]  # fmt: skip
VALUES = {
    "A_KEY": "Zq8.tiger/lamp 42+ü",
    "B_TOKEN": "f00dcafe77beef11",
    "LONGER": "f00dcafe77beef11-and-more",
    "ODD": "]pass[word]9x[",
}


def streamed(redactor: Redactor, pieces: list[str]) -> str:
    stream = StreamRedactor(redactor)
    return "".join(map(stream.feed, pieces)) + stream.end()


@pytest.mark.parametrize("case", CANARIES)
@pytest.mark.parametrize(
    "around", ["{}", "key={}\n", '"{}"', "see {} there", "({})", "\\n{}\\n", "%22{}%22"]
)
def test_a_key_of_today_is_taken_out_wherever_it_stands(case: str, around: str) -> None:
    name, key = CANARIES[case]
    assert Redactor({}).text(around.format(key)) == around.format(f"[secret: {name}]")


@pytest.mark.parametrize("case", IN_CONTEXT)
def test_a_secret_told_by_its_surroundings_leaves_them(case: str) -> None:
    before, secret, after = IN_CONTEXT[case]
    shown = Redactor({}).text(before + secret + after)
    assert re_shown(shown, before, after)
    assert secret not in shown


def re_shown(shown: str, before: str, after: str) -> bool:
    inner = shown[len(before) : len(shown) - len(after)]
    return shown.startswith(before) and shown.endswith(after) and inner in {
        "[secret: credentials]",
    "[secret: password]", "[secret: aws secret key]",
    "[secret: api key]"
    }  # fmt: skip


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert Redactor(VALUES).text(text) == text
    assert streamed(Redactor(VALUES), list(text)) == text


def test_there_are_at_least_forty_harmless_texts() -> None:
    assert len(HARMLESS) >= 40


FORMS = {
    "as it is": lambda v: v,
    "URL": lambda v: quote(v, safe=""), "URL with /": quote, "form": quote_plus,
    "small digits": lambda v: re.sub("%..", lambda found: found[0].lower(), quote(v, safe="")),
    "JSON": lambda v: json.dumps(v)[1:-1],
    "JSON in UTF-8": lambda v: json.dumps(v, ensure_ascii=False)[1:-1],
    "hex": lambda v: v.encode().hex(), "HEX": lambda v: v.encode().hex().upper(),
    "base64": lambda v: base64.b64encode(v.encode()).decode(),
    "base64url": lambda v: base64.urlsafe_b64encode(v.encode()).decode(),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_known_value_is_taken_out_in_each_usual_form(form: str) -> None:
    text = f"a {FORMS[form](VALUES['A_KEY'])} b"
    assert Redactor(VALUES).text(text) == "a [secret: A_KEY] b"


@pytest.mark.parametrize("before", ["", "u", "us", "use", "user:"])
@pytest.mark.parametrize("after", ["", "x", "xy", "\n"])
def test_a_value_inside_of_base64_is_taken_out(before: str, after: str) -> None:
    value = VALUES["A_KEY"]
    inside = base64.b64encode((before + value + after).encode()).decode()
    shown = Redactor(VALUES).text(inside)
    assert "[secret: A_KEY]" in shown
    assert len(shown.replace("[secret: A_KEY]", "")) <= len(before) * 4 // 3 + 10


def test_of_two_values_at_one_place_the_longer_counts() -> None:
    assert Redactor(VALUES).text("f00dcafe77beef11-and-more") == "[secret: LONGER]"
    assert Redactor(VALUES).text("f00dcafe77beef11-and-mo") == "[secret: B_TOKEN]-and-mo"


def test_a_key_as_the_user_of_an_address_is_taken_out_with_the_password() -> None:
    key = CANARIES["github"][1]
    shown = Redactor({}).text(f"https://{key}:x-oauth-basic@github.com/a")
    assert shown == "https://[secret: github token]:[secret: password]@github.com/a"


def test_a_private_key_that_was_cut_ends_where_words_begin() -> None:
    cut = pem("RSA")[:-50]
    assert Redactor({}).text(cut + "\nThen the text goes on.") == (
        "[secret: private key]\nThen the text goes on."
    )


def test_a_private_key_in_json_and_in_source_is_taken_out() -> None:
    key = pem("EC")
    assert Redactor({}).text(json.dumps({"k": key})) == '{"k": "[secret: private key]"}'
    lines = key.split("\n")
    source = "key = (" + "\n".join(f'    "{line}\\n"' for line in lines) + ")"
    assert Redactor({}).text(source) == 'key = (    "[secret: private key]\\n")'


@pytest.mark.parametrize(
    "value",
    ["", "short", "aaaaaaaaaa", "12345678", "abcdefgh", "True", "disabled", "/home/me/k.json"],
)  # fmt: skip
def test_what_everybody_has_is_no_secret(value: str) -> None:
    assert is_common(value)
    text = f"before {value} after"
    assert Redactor({"X_KEY": value}).text(text) == text


def test_a_value_that_is_the_name_of_another_does_not_grow_markers() -> None:
    redactor = Redactor({"ONE": "SECOND_TOKEN", "SECOND_TOKEN": "k3y-of-the-second"})
    shown = redactor.text("k3y-of-the-second")
    assert shown == "[secret: SECOND_TOKEN]"
    assert redactor.text(shown) == shown


def test_a_name_cannot_leave_its_marker() -> None:
    assert marker("a]\n\x1b[31m") == "[secret: a____31m]"
    key = CANARIES["npm"][1]
    shown = Redactor({key: "value-of-it-77"}).text("value-of-it-77")
    assert shown == "[secret: value]"


def test_no_head_is_longer_than_its_reach() -> None:
    for each in KEY_PATTERNS:
        assert regex_parser.parse(each.head).getwidth()[1] <= each.reach, each.name


def test_much_of_what_almost_is_a_secret_takes_no_long_time() -> None:
    """100 kB each; a pattern that goes back and forth would take hours."""
    pieces = ("eyJ" + "a" * 500, "://", "://a:bcd", "sk-", "-", "a" * 30 + ".", ".eyJ")
    pieces += ("-----BEGIN PRIVATE KEY-----\n" + " " * 30, "uthorization:   ", "sk-ant-api03-")
    for piece in pieces:
        text = piece * (100_000 // len(piece))
        assert len(Redactor(VALUES).text(text)) <= len(text)


# --- properties ----------------------------------------------------------------------------------

PARTS = (
    [key for _, key in CANARIES.values()] + list(VALUES.values()) + HARMLESS[:10] + HARMLESS[12:]
)
PARTS += ["".join(each) for each in IN_CONTEXT.values()] + [
    before for before, _, _ in IN_CONTEXT.values()
]
PARTS += [f(VALUES["A_KEY"]) for f in FORMS.values()] + [
    "[secret: A_KEY]",
    "[secret: ",
    "]",
    "[",
    "\\",
    "\n",
    " ",
    "-" * 5,
]


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Secrets, whole or cut, and other things, one after another."""
    found = []
    for part in draw(st.lists(st.sampled_from(PARTS), max_size=6)):
        begin = draw(st.sampled_from([0, 0, 0, 1, 5]))
        end = draw(st.sampled_from([0, 0, 0, 1, 10, 40]))
        found.append(part[begin : len(part) - end])
        found.append(draw(st.sampled_from(["", "", " ", "\n", "x", "-", '"'])))
    return "".join(found)[:4_000]


REDACTOR = Redactor(VALUES)


@settings(max_examples=150, deadline=None)
@given(texts(), st.data())
def test_pieces_of_any_size_give_what_the_whole_gives(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert streamed(REDACTOR, pieces) == REDACTOR.text(text)
    size = data.draw(st.sampled_from([1, 2, 7, 64]))
    pieces = [text[n : n + size] for n in range(0, len(text), size)]
    assert streamed(REDACTOR, pieces) == REDACTOR.text(text)


@settings(max_examples=300, deadline=None)
@given(texts())
def test_doing_it_twice_changes_nothing_more(text: str) -> None:
    once = REDACTOR.text(text)
    assert REDACTOR.text(once) == once


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=8), st.text(max_size=30), max_size=4), st.data())
def test_any_values_at_all_are_taken_out_once_and_for_all(
    values: dict[str, str], data: st.DataObject
) -> None:
    redactor = Redactor(values)
    parts = [*values.values(), *values, "[secret: ", "]", "[", "a"]
    text = "".join(data.draw(st.lists(st.sampled_from(parts), max_size=8)))
    once = redactor.text(text)
    assert redactor.text(once) == once
    assert streamed(redactor, list(text)) == once


@settings(max_examples=60, deadline=None)
@given(texts())
def test_a_stream_holds_back_no_more_than_it_says(text: str) -> None:
    stream = StreamRedactor(REDACTOR)
    for char in text * 3:
        stream.feed(char)
        assert len(stream._held) <= REDACTOR.hold_max
    assert KeyBlock.REACH <= REDACTOR.hold_max < 600


def test_ordinary_words_are_given_out_at_once() -> None:
    stream = StreamRedactor(Redactor({}))
    assert stream.feed("Here is what I found") == "Here is what I found"
    assert stream.feed(". sk-learn is a library") == ". sk-learn is a library"
    assert stream.end() == ""
