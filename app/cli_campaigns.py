"""What can be done to many campaigns at once, and how does one look back? Files, the history, and steps back in it.

They call a running server with the key of the settings (HAAT_API_KEY); operators name the tenant they act for.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli_asking import Server, of_server
from app.cli_options import ConfigFile, DataDir, Json, Key, Set, settings_of

campaigns = typer.Typer(help="Import, export and look back at campaigns.")


@campaigns.command("template")
def campaigns_template(
    meanings: Annotated[bool, typer.Option("--meanings", help="Explain each column instead.")] = False,
    as_json: Json = False,
) -> None:
    """Print a CSV file with every column and an example; --meanings explains them."""
    from app.printing import print_json, print_table
    from exchange import bulk_csv

    rows = [(c.name, "yes" if c.required else "", c.meaning, c.example) for c in bulk_csv.COLUMNS]
    if as_json:
        print_json([dict(zip(("column", "required", "meaning", "example"), row, strict=True)) for row in rows])
    elif meanings:
        print_table(("column", "required", "meaning", "example"), rows)
    else:
        sys.stdout.write(bulk_csv.template().decode())


@campaigns.command("find")
def campaigns_find(
    text: Annotated[str, typer.Argument(metavar="[TEXT]", help="Beginnings of words of the name.")] = "",
    tenant: Annotated[str, typer.Option(metavar="ID", help="Whose; `haat key tenants` lists them.")] = "",
    kind: Annotated[
        list[str] | None, typer.Option(metavar="KIND", help="campaign, line_item, creative; may be given again.")
    ] = None,
    state: Annotated[str, typer.Option(metavar="STATE", help="active or paused.")] = "",
    advertiser: Annotated[str, typer.Option(metavar="ID", help="Of one advertiser.")] = "",
    format_: Annotated[
        list[str] | None,
        typer.Option("--format", metavar="FORMAT", help="banner, product_listing, video, native; may be given again."),
    ] = None,
    limit: Annotated[int, typer.Option(help="Most that are shown, 1 to 500.")] = 50,
    config_file: ConfigFile = None,
    data_dir: DataDir = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Find campaigns, line items and creatives by name, state, advertiser and format, in the data folder or database.

    With elasticsearch_url they are looked for there, else in the record itself.
    """
    from app.campaign_find import find_campaigns

    settings = settings_of(config_file, set_, data_dir=data_dir)
    find_campaigns(
        settings, text=text, tenant=tenant, kinds=kind or (), state=state, advertiser=advertiser,
        formats=format_ or (), limit=limit, as_json=as_json,
    )  # fmt: skip


@campaigns.command("import")
@of_server
def campaigns_import(
    server: Server,
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="UTF-8 CSV; `haat campaigns template` shows one.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what it would do.")] = False,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Create and change campaigns and line items by a file: all of it or nothing; again, it changes nothing."""
    import base64

    from app.money_commands import key_or_new, show_import

    csv = base64.b64encode(file.read_bytes()).decode()
    asked = {"csv": csv, "dry_run": dry_run, "idempotency_key": key_or_new(key)}
    show_import(server.ask("ImportCampaigns", asked), as_json=as_json)


@campaigns.command("export")
@of_server
def campaigns_export(
    server: Server,
    advertiser: Annotated[str, typer.Option(metavar="ID", help="Of one advertiser; else of all.")] = "",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to; else stdout.")] = None,
    as_json: Json = False,
) -> None:
    """Write all line items into the file that `import` takes; imported again it changes nothing."""
    import base64

    from app.printing import print_json

    answer = server.ask("ExportCampaigns", {"advertiser_id": advertiser})
    data = base64.b64decode(answer["csv"])
    if out is not None:
        out.write_bytes(data)
    if as_json:
        print_json({"rows": answer.get("rows", 0), **({"file": str(out)} if out else {"csv": data.decode()})})
    elif out is None:
        sys.stdout.write(data.decode())
    else:
        print(f"{out}: {answer.get('rows', 0)} line items")


@campaigns.command("history")
@of_server
def campaigns_history(
    server: Server,
    id: Annotated[
        str, typer.Argument(metavar="[ID]", help="Advertiser, campaign, line item or creative; else all.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Tell what was changed, when, by whom, and what it was before."""
    from app.money_commands import show_changes

    show_changes(server.all_of("ListChanges", {"id": id}, "changes"), as_json=as_json)


@campaigns.command("undo")
@of_server
def campaigns_undo(
    server: Server,
    change: Annotated[int, typer.Argument(metavar="CHANGE", help="Number of the change, from `history`.")],
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Make a thing what it was before a change, unless it changed again since."""
    from app.money_commands import key_or_new
    from app.printing import print_result

    asked = {"change_number": change, "idempotency_key": key_or_new(key)}
    print_result(server.ask("UndoChange", asked), as_json=as_json)
