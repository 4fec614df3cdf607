"""Which commands change the list of banned pictures? `haat moderation bans`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli_asking import Server, of_server
from app.cli_options import Json, Key

bans = typer.Typer(help="Pictures that nobody may publish, by how they look: a copy with other bytes is found too.")

Picture = Annotated[str, typer.Argument(metavar="PICTURE", help="A file, or its PDQ hash of 64 hexadecimal digits.")]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for moderators; name no person.")]


@bans.command("list")
@of_server
def list_(server: Server, as_json: Json = False) -> None:
    """List every banned picture."""
    from app.ban_commands import show_bans

    show_bans(server.ask("ListImageBans", {}).get("bans", []), as_json=as_json)


@bans.command("add")
@of_server
def add(
    server: Server,
    picture: Picture,
    why: Why,
    is_media: Annotated[bool, typer.Option("--media", help="PICTURE is the id of a medium of a post.")] = False,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Ban a picture. Whatever was published with it is taken away now, each with a case and a statement."""
    from app.ban_commands import picture_hash, show_banned
    from app.money_commands import key_or_new

    named = {"media_id": picture} if is_media else {"image_hash": picture_hash(Path(picture))}
    request = {**named, "reason": why, "idempotency_key": key_or_new(key)}
    show_banned(server.ask("BanImage", request), as_json=as_json)


@bans.command("remove")
@of_server
def remove(
    server: Server,
    picture: Picture,
    note: Annotated[str, typer.Option(metavar="TEXT", help="For moderators alone.")] = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Lift a ban. What was taken away for it stays so until its case is decided."""
    from app.ban_commands import picture_hash, show_banned
    from app.money_commands import key_or_new

    request = {"image_hash": picture_hash(Path(picture)), "note": note, "idempotency_key": key_or_new(key)}
    show_banned(server.ask("LiftImageBan", request), as_json=as_json)


@bans.command("undo")
@of_server
def undo(
    server: Server,
    entry: Annotated[int, typer.Argument(metavar="ENTRY", help="Its number in `haat moderation audit`.")],
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Take a change of the list back: what was banned is so no more, what was lifted is banned again."""
    from app.ban_commands import show_banned
    from app.money_commands import key_or_new

    request = {"position": entry, "idempotency_key": key_or_new(key)}
    show_banned(server.ask("UndoImageBan", request), as_json=as_json)
