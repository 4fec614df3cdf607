"""What can be done to many campaigns at once, and how does one look back? Files, the history, and steps back in it.

They call a running server with the key of the settings (HAAT_API_KEY); operators name the tenant they act for.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli_options import ConfigFile, Json, Key, Set, Target, Tenant, settings_of

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


@campaigns.command("import")
def campaigns_import(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="UTF-8 CSV; `haat campaigns template` shows one.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what it would do.")] = False,
    tenant: Tenant = "",
    key: Key = "",
    target: Target = "",
    config_file: ConfigFile = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Create and change campaigns and line items by a file: all of it or nothing; again, it changes nothing."""
    settings = settings_of(config_file, set_)
    import base64

    from app.money_commands import Asking, key_or_new, show_import

    csv = base64.b64encode(file.read_bytes()).decode()
    asked = {"csv": csv, "dry_run": dry_run, "idempotency_key": key_or_new(key)}
    show_import(Asking(settings, target, tenant).ask("ImportCampaigns", asked), as_json=as_json)


@campaigns.command("export")
def campaigns_export(
    advertiser: Annotated[str, typer.Option(metavar="ID", help="Of one advertiser; else of all.")] = "",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to; else stdout.")] = None,
    tenant: Tenant = "",
    target: Target = "",
    config_file: ConfigFile = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Write all line items into the file that `import` takes; imported again it changes nothing."""
    settings = settings_of(config_file, set_)
    import base64

    from app.money_commands import Asking
    from app.printing import print_json

    answer = Asking(settings, target, tenant).ask("ExportCampaigns", {"advertiser_id": advertiser})
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
def campaigns_history(
    id: Annotated[
        str, typer.Argument(metavar="[ID]", help="Advertiser, campaign, line item or creative; else all.")
    ] = "",
    tenant: Tenant = "",
    target: Target = "",
    config_file: ConfigFile = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Tell what was changed, when, by whom, and what it was before."""
    settings = settings_of(config_file, set_)
    from app.money_commands import Asking, show_changes

    show_changes(Asking(settings, target, tenant).all_of("ListChanges", {"id": id}, "changes"), as_json=as_json)


@campaigns.command("undo")
def campaigns_undo(
    change: Annotated[int, typer.Argument(metavar="CHANGE", help="Number of the change, from `history`.")],
    tenant: Tenant = "",
    key: Key = "",
    target: Target = "",
    config_file: ConfigFile = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Make a thing what it was before a change, unless it changed again since."""
    settings = settings_of(config_file, set_)
    from app.money_commands import Asking, key_or_new
    from app.printing import print_result

    asked = {"change_number": change, "idempotency_key": key_or_new(key)}
    print_result(Asking(settings, target, tenant).ask("UndoChange", asked), as_json=as_json)
