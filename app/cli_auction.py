"""Which commands look into single auctions? `haat auction explain` and `haat auction replay`."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli_options import ConfigFile, DataDir, Json, Set, id_of, settings_of
from common.errors import FieldError, InvalidInput

auction = typer.Typer(help="Look into single auctions.")


@auction.command("explain")
def auction_explain(
    auction_id: Annotated[str, typer.Argument(metavar="ID", help="auction_id of an answer.")],
    config_file: ConfigFile = None,
    data_dir: DataDir = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Tell how an auction went: the page view, every bid with its outcome, and the prices with their reasons."""
    settings = settings_of(config_file, set_, data_dir=data_dir)
    number = id_of("ID", auction_id)
    from app.explain import explain_auction
    from app.printing import print_result

    print_result(explain_auction(settings, number), as_json=as_json)


@auction.command("replay")
def auction_replay(
    auction_id: Annotated[str, typer.Argument(metavar="ID", help="auction_id of an answer; none with --all.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Replay every auction of the log.")] = False,
    from_: Annotated[
        str, typer.Option("--from", metavar="TIME", help="With --all: from then on; 2026-03-05T17:00, 24h, 7d.")
    ] = "",
    to: Annotated[str, typer.Option("--to", metavar="TIME", help="With --all: up to then; else to the end.")] = "",
    config_file: ConfigFile = None,
    data_dir: DataDir = None,
    set_: Set = None,
    as_json: Json = False,
) -> int:
    """Clear recorded auctions again and compare byte for byte.

    Exit code 1 when anything comes out otherwise, 4 when only records are damaged.
    """
    if every and auction_id:
        raise InvalidInput([FieldError("--all", f"with {auction_id[:100]}", "give an id or --all, not both")])
    if not every and not auction_id:
        raise InvalidInput([FieldError("ID", "none", "give the auction_id of an answer, or --all")])
    if not every and (from_ or to):
        raise InvalidInput([FieldError("--from, --to", from_ or to, "they choose among all auctions: add --all")])
    settings = settings_of(config_file, set_, data_dir=data_dir)
    if not every:
        number = id_of("ID", auction_id)
        from app.replay_commands import replay_one

        return replay_one(settings, number, as_json=as_json)
    from app.replay_commands import replay_all

    return replay_all(settings, from_, to, as_json=as_json)
