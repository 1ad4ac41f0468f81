"""The house is tidy: who imports whom, how long things are, and names that say their unit."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
PACKAGE = TOP / "agentctl"
TREES = {
    path.relative_to(TOP).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for folder in ("agentctl", "tests", "bench")
    for path in sorted((TOP / folder).rglob("*.py"))
}
OURS = {name.removeprefix("agentctl/"): t for name, t in TREES.items() if name[0] == "a"}
ADAPTERS = {"store", "providers", "tools", "listeners"}
BASE = {"errors", "core", "ports"}
# A room or top-level module, and what it may import beside itself.
MAY_IMPORT: dict[str, set[str]] = {
    **dict.fromkeys(("run", "store", "providers", "tools", "pricing"), BASE),
    "counting": BASE | {"ranks"},
    "ranks": {"errors", "atomic"},
    **{room: {"errors"} for room in ("core", "paths", "quantities", "atomic", "signals")},
    "__init__": {"errors", "ports", "tools"},  # for a user's own tools, when asked for them
    "errors": set(),
    "ports": {"errors", "core"},
    "reports": {"core", "ports"},
    "listeners": BASE | {"atomic", "reports"},  # progress shows money as reports do
    "trust": {"errors", "atomic"},
    "secrets": {"core"},
    "registry": {"core", "errors", "quantities"},
    "rules": {"core", "errors"},
    "settings_keys": {"core", "quantities"},
    "settings_files": {"errors", "quantities", "settings_keys", "trust"},
    "settings_tables": {"core", "errors", "quantities", "settings_files", "settings_keys"},
    "settings_values": {"core", "errors"},
    "settings": {"core", "errors", "paths", "trust"}
    | {"settings_files", "settings_keys", "settings_tables", "settings_values"},
    "settings_words": set(),
    "settings_template": {"atomic", "errors", "quantities"}
    | {"settings_keys", "settings_values", "settings_words"},
    "agent_words": {"core", "registry", "tools"},
    "agent_files": {"agent_words", "core", "quantities", "registry", "settings_keys"},
    "agents": {"agent_files", "errors", "paths", "rules", "trust"},
    "agent_lines": {"agent_words", "agents", "mcp_servers", "own_tools", "paths", "reports"}
    | {"settings", "settings_keys"},
    "schemas": {"errors"},
    "task_lists": set(),
    "mcp_servers": BASE | {"task_lists", "tools", "trust"},
    "own_tools": {"errors", "paths", "ports", "registry", "task_lists", "tools", "trust"},
    "control": BASE | {"paths", "store"},
    "looking": {"control", "core", "store"},
    "sights": {"control", "core", "reports", "store"},
    "testing": {"control", "core", "tools"},  # for users' tests: no other room needs it
    "retention": {"control", "core", "errors", "reports", "store"},
    "forecast": {"core"},
    "books": {"control", "core", "errors", "forecast", "listeners", "pricing", "registry"}
    | {"reports", "settings", "store"},
    "cost_lines": {"control", "core", "reports", "settings", "store"},
    "limits_desk": {"control", "core", "errors", "quantities", "settings", "store"},
    "limit_lines": {"control", "core", "limits_desk", "reports", "settings", "store"},
}
MAY_IMPORT["detached"] = {"core", "errors", "store"}
MAY_IMPORT["following"] = {"control", "core", "store"}
MAY_IMPORT["tui"] = {"control", "core", "counting", "detached", "errors", "following"}
MAY_IMPORT["tui"] |= {"limits_desk", "reports", "store"}
MAY_IMPORT["assembly"] = BASE | {"control", "counting", "listeners", "paths", "pricing"}
MAY_IMPORT["assembly"] |= {"own_tools", "providers", "registry", "run", "store"}
MAY_IMPORT["tool_desk"] = BASE | {"assembly", "control", "own_tools", "reports", "run"}
MAY_IMPORT["tool_desk"] |= {"mcp_servers", "secrets", "settings", "store"}
MAY_IMPORT["orders"] = BASE | {"assembly", "control", "mcp_servers", "own_tools", "registry"}
MAY_IMPORT["checkup"] = BASE | {"__init__", "assembly", "books", "control", "counting", "paths"}
MAY_IMPORT["checkup"] |= {"mcp_servers", "trust"}
MAY_IMPORT["checkup"] |= {"pricing", "ranks", "registry", "reports", "settings", "store", "tools"}
MAY_IMPORT["orders"] |= {
    "agents",
    "rules",
    "schemas",
    "secrets",
    "settings",
    "settings_tables",
    "store",
}
MAY_IMPORT["forks"] = BASE | {"assembly", "control", "limits_desk", "orders", "secrets", "settings"}
MAY_IMPORT["transfers"] = BASE | {"__init__", "atomic", "control", "orders", "secrets", "settings"}
MAY_IMPORT["transfers"] |= {"schemas", "store"}
MAY_IMPORT["replay"] = BASE | {"registry", "run", "store"}
MAY_IMPORT["errands"] = BASE | {"agents", "assembly", "control", "orders", "registry", "secrets"}
MAY_IMPORT["errands"] |= {"settings_keys"}
MAY_IMPORT["delegation"] = BASE | {"app", "control", "errands", "reports", "run", "store"}
MAY_IMPORT["app"] = {*MAY_IMPORT, "app"} - {"providers", "tools", "reports", "cost_lines"}
MAY_IMPORT["batch_files"] = {"core", "errors", "settings"}
MAY_IMPORT["batch_work"] = {*MAY_IMPORT} - {"providers", "tools", "cost_lines"}
MAY_IMPORT["batches"] = {*MAY_IMPORT} - {"providers", "tools", "cost_lines"}
MAY_IMPORT["cli"] = {*MAY_IMPORT} - {"providers", "tools", "run"}
CORE_IMPORTS = {"__future__", "collections.abc", "hashlib", "math", "msgspec", "typing"}
CORE_IMPORTS |= {"agentctl"}
CORE_NEVER = {"asyncio", "time", "random", "open", "os", "sqlite3"}
CORE_ORDER = ("values", "events", "context", "breaker", "state", "limits", "guards", "decide")
REPORTS_IMPORT = CORE_IMPORTS | {"rich", "datetime", "difflib", "html", "re", "unicodedata"}
CORE_IMPORTS |= {"binascii", "re"}  # for secrets: patterns, base64
LINES_MAX, FUNCTION_LINES_MAX = 400, 60
LONG = {"agentctl/store/migrations.py m001_first_tables"}  # a schema is a list and never changes
LONG |= {"agentctl/cli/run.py run", "agentctl/cli/resume.py resume"}  # a parameter for each option
LONG |= {"agentctl/cli/batch.py batch"}  # likewise
NO_UNIT = {"timeout", "cost", "max_cost", "duration", "wait", "delay", "budget", "reserve"}
UNIT_ROOMS = {"core", "run", "store", "ports", "listeners", "providers"}
PRINTS = {"cli/output.py", "tools/treeworker.py"}  # the latter talks to its parent by stdout
EXCUSE = re.compile(r"#\s*(?:ruff:\s*)?(?:noqa|type:\s*ignore)(.*)")
REASONED = re.compile(r"(: ?[A-Z]+\d+(, [A-Z]+\d+)*|\[[a-z-]+(, ?[a-z-]+)*\])\s+[#-]\s*\w")


def room(name: str) -> str:
    return name.removesuffix(".py").split("/")[0]


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and full name of each module or object that is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def test_a_room_imports_only_what_it_may() -> None:
    wrong = []
    for name, tree in OURS.items():
        assert room(name) in MAY_IMPORT, f"{name}: a new room needs its line in MAY_IMPORT"
        for line, module in imports(tree):
            if not module.startswith("agentctl."):
                continue
            target = module.split(".")[1]
            target = target if target in MAY_IMPORT else "__init__"
            if target != room(name) and target not in MAY_IMPORT[room(name)]:
                wrong.append(f"{name}:{line}: {room(name)} may not import {module}")
    assert not wrong


def test_no_adapter_may_import_another_nor_what_stands_above_it() -> None:
    above = {"run", "app", "control", "cli", "settings", "registry"}
    for adapter in (*ADAPTERS, "run"):
        assert not MAY_IMPORT[adapter] & (ADAPTERS | above), f"MAY_IMPORT of {adapter}"


def test_core_is_pure_and_reports_need_only_rich() -> None:
    wrong = []
    for name, tree in OURS.items():
        allowed = {"core": CORE_IMPORTS, "reports": REPORTS_IMPORT}.get(room(name), set())
        for line, module in imports(tree) if allowed else ():
            if not any(module == a or module.startswith(f"{a}.") for a in allowed):
                wrong.append(f"{name}:{line}: {room(name)} imports {module}")
        wrong += [
            f"{name}:{node.lineno}: core names {node.id}"
            for node in ast.walk(tree)
            if room(name) == "core" and isinstance(node, ast.Name) and node.id in CORE_NEVER
        ]
    assert not wrong


def test_files_of_the_core_import_in_one_direction() -> None:
    wrong = []
    for name, tree in OURS.items():
        own = name.removeprefix("core/").removesuffix(".py").split("/")[0]
        if room(name) != "core" or own not in CORE_ORDER:
            continue
        later = CORE_ORDER[CORE_ORDER.index(own) + 1 :]
        for line, module in imports(tree):
            parts = module.split(".")
            if parts[:2] == ["agentctl", "core"] and parts[2] in later:
                wrong.append(f"{name}:{line}: {own} stands before {module}")
    assert not wrong


def test_files_and_functions_are_short() -> None:
    wrong = []
    for name, tree in TREES.items():
        lines = len((TOP / name).read_text(encoding="utf-8").splitlines())
        if lines > LINES_MAX:
            wrong.append(f"{name}: {lines} lines")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > FUNCTION_LINES_MAX and f"{name} {node.name}" not in LONG:
                    wrong.append(f"{name}:{node.lineno}: {node.name} has {length} lines")
    assert not wrong


def test_every_excuse_for_a_checker_has_a_code_and_a_reason() -> None:
    wrong = []
    for name in TREES:
        for number, line in enumerate((TOP / name).read_text(encoding="utf-8").splitlines(), 1):
            excuse = EXCUSE.search(line)
            if excuse and "EXCUSE" not in line and not REASONED.match(excuse[1]):
                wrong.append(f"{name}:{number}: {excuse[0]}")
    assert not wrong


def test_names_of_money_and_time_say_their_unit() -> None:
    """The words of the command line (--max-cost) are text until `settings` reads them."""
    wrong = []
    for name, tree in OURS.items():
        for node in ast.walk(tree) if room(name) in UNIT_ROOMS else ():
            named = node.arg if isinstance(node, ast.arg) else ""
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                named = node.target.id
            if named in NO_UNIT:
                wrong.append(f"{name}:{node.lineno}: {named} has no unit")  # type: ignore[attr-defined]  # both kinds have a line
    assert not wrong


def test_only_the_command_lines_output_prints() -> None:
    wrong = []
    for name, tree in OURS.items():
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        wrong += [
            f"{name}:{call.lineno}: print() outside cli/output.py"
            for call in calls
            if getattr(call.func, "id", "") == "print" and name not in PRINTS
        ]
    assert not wrong


def test_every_file_says_what_it_is_for() -> None:
    assert not [name for name, tree in OURS.items() if not ast.get_docstring(tree)]
