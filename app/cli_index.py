"""Which commands are about the index in Elasticsearch?"""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli_options import ConfigFile, DataDir, Json, ModelsDir, Set, settings_of

index = typer.Typer(help="See how the indices in Elasticsearch stand, and make them anew.")


@index.command("rebuild")
def index_rebuild(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="line-items, campaigns, creatives, posts, products, people, product-vectors; none: all of them.",
        ),
    ] = None,
    source: Annotated[
        str,
        typer.Option(
            "--from", metavar="record|index", help="record: campaigns out of SQL; index: copies of what is indexed."
        ),
    ] = "record",
    shards: Annotated[int, typer.Option(help="Shards of the new generation; it cannot be changed later.")] = 1,
    config_file: ConfigFile = None,
    data_dir: DataDir = None,
    models_dir: ModelsDir = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Make indices anew beside those that answer, and swap them in; servers go on meanwhile and lose nothing.

    For a new mapping, another number of shards, or an index that was lost. The generation before stays until the next
    rebuild.
    """
    from app.index_commands import rebuild_index

    settings = settings_of(config_file, set_, data_dir=data_dir, models_dir=models_dir)
    rebuild_index(settings, names or [], source=source, shards=shards, as_json=as_json)


@index.command("status")
def index_state(
    config_file: ConfigFile = None, data_dir: DataDir = None, set_: Set = None, as_json: Json = False
) -> None:
    """Tell how many documents there are beside the record, by which mapping, and what could not be indexed."""
    from app.index_commands import index_status

    index_status(settings_of(config_file, set_, data_dir=data_dir), as_json=as_json)
