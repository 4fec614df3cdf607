"""Is every command explained, and is the help there at once?"""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from app.cli import haat

HEAVY = ("numba", "lightgbm", "sklearn", "scipy", "numpy", "grpc", "sqlalchemy", "lmdb", "uvicorn")


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command with its path."""
    yield " ".join(path), command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


COMMANDS = dict(commands(typer.main.get_command(haat)))


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_option_has_help(path: str) -> None:
    command = COMMANDS[path]

    assert command.help
    assert [option.name for option in command.params if not getattr(option, "help", None)] == []


def test_commands_that_print_results_can_print_json() -> None:
    without = {
        path for path, command in COMMANDS.items() if "as_json" not in {option.name for option in command.params}
    }

    # `call` prints nothing but JSON, and `key revoke` has nothing to tell.
    assert without == {
        *(
            "",
            "serve",
            "auction",
            "feed",
            "config",
            "batch",
            "export",
            "key",
            "key revoke",
            "call",
            "campaigns",
            "balance",
            "consent",
            "index",
            "invoice",
            "moderation",
            "moderation bans",
            "floors",
            "simulate",
            "moderation",
            "reputation",
            "topics",
            "deadletters",
        )
    }


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from app.cli import main\n"
        f"code = main({arguments!r})\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)\n"
        "sys.exit(code)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert done.stderr.strip() == "[]"
    assert done.stdout
