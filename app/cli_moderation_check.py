"""What would moderation make of a text? `haat moderation check`."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli_options import ConfigFile, Json, ModelsDir, Set, settings_of


def moderation_check(
    words: Annotated[str, typer.Argument(metavar="TEXT", help="What somebody might write under a picture.")],
    config_file: ConfigFile = None,
    models_dir: ModelsDir = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Tell what would become of a text: the outcome, what was found and where, and how the text was read."""
    settings = settings_of(config_file, set_, models_dir=models_dir)
    from app.moderation_checks import check_words

    check_words(settings, words, as_json=as_json)
