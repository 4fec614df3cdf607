"""What does a consent string say, and what would this exchange make of it? `haat consent`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

consent = typer.Typer(help="Look into consent strings.")


@consent.callback()
def _group() -> None:
    """Look into consent strings."""


@consent.command("decode")
def decode(
    text: Annotated[str, typer.Argument(metavar="STRING", help="A TC string, a GPP string or a US privacy string.")],
    country: Annotated[str, typer.Option(metavar="CC", help="Country of the visitor, such as DE or US.")] = "",
    gpc: Annotated[bool, typer.Option("--gpc", help="With Global Privacy Control set.")] = False,
    config_file: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="TOML file of settings; else HAAT_CONFIG, ./haat.toml."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read a consent string and say what may be done under the settings, and why not more."""
    from app import settings
    from app.consent import policy_of, told

    story = told(policy_of(settings.load({}, config=config_file)), text.strip(), country=country.upper(), gpc=gpc)
    if as_json:
        typer.echo(json.dumps(story))
        return
    for name, value in story.items():
        typer.echo(f"{name.replace('_', ' '):<24} {_plain(value)}")


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "not there" if value is None else str(value)
