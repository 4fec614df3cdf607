"""Which options do commands share, and how do they become settings?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli_profile import PROFILE
from common.errors import FieldError, InvalidInput

if TYPE_CHECKING:
    from app.settings import Settings

ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="TOML file of settings; else HAAT_CONFIG, ./haat.toml.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Any setting by name; `haat config show` lists them."),
]
DataDir = Annotated[str | None, typer.Option(metavar="DIR", help="Folder of all that survives a restart.")]
ModelsDir = Annotated[str | None, typer.Option(metavar="DIR", help="Folder of trained models.")]
Target = Annotated[str, typer.Option(metavar="HOST:PORT", help="Exchange to call; else that of the settings.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Tenant = Annotated[str, typer.Option(metavar="ID", help="Tenant to act for, for operators; else the key's own.")]
Key = Annotated[str, typer.Option("--key", metavar="KEY", help="Idempotency key; else a fresh one.")]


def settings_of(config_file: Path | None, assignments: Sequence[str] | None, **flags: object) -> Settings:
    """The settings, with what flags and --set say."""
    from app.settings import load

    for assignment in assignments or ():
        name, has_value, value = assignment.partition("=")
        if not has_value or not name.strip():
            raise InvalidInput([FieldError("--set", assignment[:100], "write --set name=value, such as tmax_ms=80")])
        flags[name.strip().replace("-", "_")] = value
    return load(flags, config=config_file, profile=PROFILE.get())


def id_of(field: str, text: str) -> str:
    """An id as `common.ids` writes it; with the dashes of a UUID it is taken too."""
    from common.ids import number_of

    plain = text.strip().replace("-", "").lower()
    try:
        number_of(plain)
    except ValueError:
        raise InvalidInput([FieldError(field, text[:100], "give the 32 hexadecimal digits of an answer")]) from None
    return plain
