"""How does every command that takes settings take `--profile` too? One option, put beside each `--config`."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

# What the command that runs was given.
PROFILE: ContextVar[str | None] = ContextVar("profile", default=None)

_HELP = "Settings to begin with: cluster is haat on the real engines. Else HAAT_PROFILE."


class WithProfiles(TyperGroup):
    """The group of all commands, for `typer.Typer(cls=…)`."""

    def __init__(self, **of: Any) -> None:
        super().__init__(**of)
        _add(self, _option())


def _add(group: TyperGroup, option: Any) -> None:
    for command in group.commands.values():
        if isinstance(command, TyperGroup):
            _add(command, option)
        else:
            at = next((at for at, known in enumerate(command.params) if "--config" in known.opts), None)
            if at is not None:
                command.params.insert(at, option)


def _take(value: str | None) -> str | None:
    PROFILE.set(value)
    return value


_Profile = Annotated[
    str | None, typer.Option("--profile", metavar="NAME", help=_HELP, callback=_take, expose_value=False)
]


def _option() -> Any:
    """The option as Typer makes it, taken from a command that has no other."""
    only = typer.Typer(add_completion=False)

    @only.command()
    def nothing(profile: _Profile = None) -> None:
        """Never run."""

    return typer.main.get_command(only).params[0]
