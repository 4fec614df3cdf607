"""Which commands learn from logs, and judge what was learned? Models, floors, the recommender, moderation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli_options import ConfigFile, DataDir, Json, ModelsDir, Set, settings_of
from common.errors import FieldError, InvalidInput

if TYPE_CHECKING:
    from app.recommender_commands import LogFiles

_TRAINED = ("click", "feed", "floors", "moderation", "recommender")
_JUDGED = ("click", "feed", "moderation", "recommender")

Orders = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE", help="Order lines of a shop, Parquet or CSV; for the recommender, may be given again."
    ),
]
KuaiRand = Annotated[
    Path | None, typer.Option(metavar="FILE", help="KuaiRand log, a CSV; for the recommender, and to judge the feed.")
]
MovieLens = Annotated[Path | None, typer.Option(metavar="DIR", help="MovieLens folder, for the recommender.")]
Until = Annotated[
    str, typer.Option(metavar="DATE", help="The recommender learns from what was before, such as 2011-11-08.")
]
LabelledTexts = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Folder of the labelled texts, for moderation.")
]
Report = Annotated[Path | None, typer.Option(metavar="DIR", help="Write the report there too, as Markdown.")]


def train(
    what: Annotated[str, typer.Argument(metavar="WHAT", help=f"{', '.join(_TRAINED)}.")] = "click",
    days: Annotated[int, typer.Option(help="Floors are learned from the event log of so many days.")] = 14,
    orders: Orders = None,
    kuairand: KuaiRand = None,
    movielens: MovieLens = None,
    until: Until = "",
    data: LabelledTexts = None,
    report: Report = None,
    config_file: ConfigFile = None,
    data_dir: DataDir = None,
    models_dir: ModelsDir = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Train the click model from logged page views, fetched when they are missing; floors, or the feed's ranking, from
    the event log; the recommender from orders and feedback; or the classifiers of moderation from labelled texts.
    """
    settings = settings_of(config_file, set_, data_dir=data_dir, models_dir=models_dir)
    match _known(what, _TRAINED):
        case "floors":
            if not 1 <= days <= 90:
                raise InvalidInput([FieldError("--days", str(days), "give 1 to 90")])
            from app.floor_commands import train_floors

            train_floors(settings, days=days, as_json=as_json)
        case "feed":
            from app.feed_training import train_feed

            train_feed(settings, as_json=as_json)
        case "recommender":
            from app.recommender_commands import run_train as train_recommender

            train_recommender(settings, _logs(orders, kuairand, movielens), until=until, as_json=as_json)
        case "moderation":
            from app.moderation_checks import train_moderation

            train_moderation(settings, data, report, as_json=as_json)
        case _:
            from app.train_commands import run_train

            run_train(settings, as_json=as_json)


def evaluate(
    what: Annotated[str, typer.Argument(metavar="WHAT", help=f"{', '.join(_JUDGED)}.")] = "click",
    orders: Orders = None,
    kuairand: KuaiRand = None,
    movielens: MovieLens = None,
    until: Until = "",
    data: LabelledTexts = None,
    report: Report = None,
    config_file: ConfigFile = None,
    data_dir: DataDir = None,
    models_dir: ModelsDir = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Judge what is learned on what it was not trained on, beside plain ways of doing the same: the stored click model,
    the feed's ranking, a recommender that is trained anew, or the stored classifiers of moderation with their fairness.
    """
    settings = settings_of(config_file, set_, data_dir=data_dir, models_dir=models_dir)
    match _known(what, _JUDGED):
        case "feed":
            from app.feed_training import evaluate_feed

            evaluate_feed(settings, feedback=kuairand, report=report, as_json=as_json)
        case "recommender":
            from app.recommender_commands import run_evaluate as evaluate_recommender

            logs = _logs(orders, kuairand, movielens)
            evaluate_recommender(settings, logs, until=until, report_dir=report, as_json=as_json)
        case "moderation":
            from app.moderation_checks import evaluate_moderation

            evaluate_moderation(settings, data, report, as_json=as_json)
        case _:
            from app.train_commands import run_evaluate

            run_evaluate(settings, as_json=as_json)


def _known(what: str, known: tuple[str, ...]) -> str:
    if what not in known:
        raise InvalidInput([FieldError("WHAT", what[:40], f"give one of {', '.join(known)}")])
    return what


def _logs(orders: list[Path] | None, kuairand: Path | None, movielens: Path | None) -> LogFiles:
    from app.recommender_commands import LogFiles

    return LogFiles(tuple(orders or ()), kuairand, movielens)
