"""Runs one call of one own tool in this process: `python -I own_child.py FOLDER`.

See own_sandbox.py, which starts it. The folder holds the order and takes the result.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Read the order, call the function, write what came of it."""
    order = json.loads((folder / "order.json").read_bytes())
    if order["package"] not in sys.path:
        sys.path.append(order["package"])
    # Only now, as agentctl may be nowhere else.
    import asyncio

    from agentctl.errors import AgentctlError
    from agentctl.ports import ToolContext
    from agentctl.tools.own import OwnTool, told
    from agentctl.tools.own_files import module_of
    from agentctl.tools.process import MAX_KEPT_BYTES

    def emit(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    async def call() -> str:
        made = vars(module_of(Path(order["file"]))).values()
        named = [each for each in made if isinstance(each, OwnTool)]
        found = next((each for each in named if each.spec.name == order["tool"]), None)
        if found is None:
            raise LookupError(f"{order['file']} has no {order['tool']} at its top level")
        context = ToolContext(
            order["cwd"], order["call_id"], emit, lambda _ref: None, key=order["key"]
        )
        return told(await found.act(found.read(order["arguments"]), context))

    try:
        outcome = {"text": asyncio.run(call())}
    except AgentctlError as error:
        outcome = {"error": str(error) or "failed"}
    except Exception as error:  # noqa: BLE001 - it is told where the call was made
        outcome = {"broke": f"{type(error).__name__}: {error}"}
    clean = {key: said.encode(errors="replace").decode() for key, said in outcome.items()}
    text = json.dumps(clean)
    if len(text) > MAX_KEPT_BYTES:
        text = json.dumps({"error": f"The result has more than {MAX_KEPT_BYTES:,} bytes as JSON."})
    (folder / "result.json").write_text(text, encoding="ascii")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
