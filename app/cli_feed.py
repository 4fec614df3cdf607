"""Which commands look into the feed?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli_options import ConfigFile, DataDir, Json, ModelsDir, Set, settings_of

feed = typer.Typer(help="Look into the feed: pages that were served, and what somebody would see now.")


@feed.command("explain")
def feed_explain(
    who: Annotated[str, typer.Argument(metavar="PAGE|VISITOR", help="page_id of a feed page, or a visitor's id.")],
    tenant: Annotated[
        str, typer.Option(metavar="ID", help="For a visitor: whose feed; else the only one there is.")
    ] = "",
    size: Annotated[int, typer.Option(help="For a visitor: posts on the page, 1 to 50.")] = 12,
    country: Annotated[str, typer.Option(metavar="CODE", help="For a visitor: where, such as DE.")] = "",
    config_file: ConfigFile = None,
    data_dir: DataDir = None,
    models_dir: ModelsDir = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Tell how a page was made, or how a visitor's next page would be, stage by stage, from the data folder.

    Whether its server runs or not: a page is read from the event log; a visitor's page is decided anew from the posts,
    the profile and what the visitor's last session did, and nothing is served or counted.
    """
    from app.explain_feed import explain
    from app.printing import print_result

    settings = settings_of(config_file, set_, data_dir=data_dir, models_dir=models_dir)
    print_result(explain(settings, who, tenant=tenant, size=size, country=country), as_json=as_json)


@feed.command("ads")
def feed_ads(
    report: Annotated[Path | None, typer.Option(metavar="DIR", help="Write the report there too.")] = None,
    note: Annotated[
        str, typer.Option(help="A sentence for the report: under which conditions this was measured.")
    ] = "",
    config_file: ConfigFile = None,
    data_dir: DataDir = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Tell what share of the feed were ads, and what each place among the posts brought, from the event log."""
    from app.feed_ads import print_feed_ads

    print_feed_ads(settings_of(config_file, set_, data_dir=data_dir), report=report, note=note, as_json=as_json)
