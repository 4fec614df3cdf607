"""Which commands are about topics on Kafka? What is there, what is missing, and what could not be taken."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli_options import ConfigFile, DataDir, Json, Set, settings_of

topics = typer.Typer(help="See and make the topics of events; `kafka_brokers` says where.")
deadletters = typer.Typer(help="See what groups of consumers could not take, and try it again.")


@topics.command("list")
def topics_list(config_file: ConfigFile = None, set_: Set = None, as_json: Json = False) -> None:
    """List the catalogue: owner, personal data, how long it is kept in the log and on Kafka, partitions, key."""
    from app.kafka_commands import list_topics

    list_topics(settings_of(config_file, set_), as_json=as_json)


@topics.command("create")
def topics_create(
    replicas: Annotated[int, typer.Option(help="Copies of each topic; -1 is the broker's own default.")] = -1,
    config_file: ConfigFile = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Make the topics that Kafka does not have; those that are there stay as they are."""
    from app.kafka_commands import create_topics

    create_topics(settings_of(config_file, set_), replicas=replicas, as_json=as_json)


@topics.command("check")
def topics_check(config_file: ConfigFile = None, set_: Set = None, as_json: Json = False) -> None:
    """Compare Kafka's topics with the catalogue; exit code 3 when one is missing or differs."""
    from app.kafka_commands import check_topics

    check_topics(settings_of(config_file, set_), as_json=as_json)


@deadletters.command("list")
def deadletters_list(config_file: ConfigFile = None, set_: Set = None, as_json: Json = False) -> None:
    """List dead letters, oldest first: which group, where it was, why, and where it came from."""
    from app.kafka_commands import list_dead_letters

    list_dead_letters(settings_of(config_file, set_), as_json=as_json)


@deadletters.command("retry")
def deadletters_retry(
    group: Annotated[str, typer.Option(metavar="NAME", help="Only those of this group; else of all.")] = "",
    config_file: ConfigFile = None,
    data_dir: DataDir = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Try dead letters again, after an upgrade say; each is taken once, however often it is tried."""
    from app.kafka_commands import retry_dead_letters

    retry_dead_letters(settings_of(config_file, set_, data_dir=data_dir), group=group, as_json=as_json)
