"""How does one move haat to other engines? One command, for the table of app.cli."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli_options import DataDir, Json


def migrate(
    from_: Annotated[str, typer.Option("--from", metavar="PROFILE", help="embedded, or a profile.")] = "embedded",
    to: Annotated[str, typer.Option("--to", metavar="PROFILE", help="embedded, or a profile.")] = "cluster",
    check: Annotated[bool, typer.Option("--check", help="Tell what there is to move, and move nothing.")] = False,
    data_dir: DataDir = None,
    to_data_dir: Annotated[
        str | None, typer.Option(metavar="DIR", help="Data folder of the node that goes on; else the same one.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting of the profile that is not embedded."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Move all that haat knows to other engines: campaigns, posts, money, profiles, events. Stop its server first.

    It may be stopped at any time and said again: it goes on. Both sides are counted and compared in the end.
    """
    from app.migrate_commands import run_migration

    run_migration(
        from_, to, data_dir=data_dir, to_data_dir=to_data_dir, assignments=set_ or (), check=check, as_json=as_json
    )
