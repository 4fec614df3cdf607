"""What does the database refuse by itself, whoever writes? Rules beyond columns, on SQLite and PostgreSQL alike.

The statements may be run again: a migration gives a store of before what a fresh one has from its tables.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import DDL, Connection, Table, event, text

# By dialect. A percent sign is doubled, as SQLAlchemy's DDL wants it.
Statements = dict[str, list[str]]

_REFUSE = """\
CREATE OR REPLACE FUNCTION haat_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
END $$"""


def append_only(table: Table, says: str = "") -> Statements:
    """Rows are written once: no row is changed or removed."""
    says = says or f"{table.name} is append only"
    name = table.name
    on_sqlite = [
        f"CREATE TRIGGER IF NOT EXISTS {name}_no_{verb.lower()} BEFORE {verb} ON {name} "
        f"BEGIN SELECT RAISE(ABORT, '{says}'); END"
        for verb in ("UPDATE", "DELETE")
    ]
    on_postgresql = [
        _REFUSE,
        f"CREATE OR REPLACE TRIGGER {name}_no_change BEFORE UPDATE OR DELETE ON {name} "
        f"FOR EACH ROW EXECUTE FUNCTION haat_refuse_change('{says}')",
        f"CREATE OR REPLACE TRIGGER {name}_no_truncate BEFORE TRUNCATE ON {name} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION haat_refuse_change('{says}')",
    ]
    return {"sqlite": on_sqlite, "postgresql": on_postgresql}


def adds_up(postings: Table, accounts: Table, open_transactions: Table) -> Statements:
    """The postings of a transaction come to nothing in each currency, or it is not committed.

    What does not add up yet stands in `open_transactions`, with a deferred reference to a transaction that never is:
    a row that is still there at the end fails the commit. Neither engine knows a deferred check of its own kind alike.
    """
    of = open_transactions.name
    add = (
        f"INSERT INTO {of} (transaction_number, currency, sum_micros, never) "
        f"SELECT NEW.transaction_number, currency, NEW.amount_micros, -1 - NEW.transaction_number "
        f"FROM {accounts.name} WHERE number = NEW.account_number "
        f"ON CONFLICT (transaction_number, currency) DO UPDATE SET sum_micros = {of}.sum_micros + excluded.sum_micros"
    )
    settle = f"DELETE FROM {of} WHERE transaction_number = NEW.transaction_number AND sum_micros = 0"
    name = f"{postings.name}_add_up"
    return {
        "sqlite": [
            f"CREATE TRIGGER IF NOT EXISTS {name} AFTER INSERT ON {postings.name} BEGIN {add}; {settle}; END",
        ],
        "postgresql": [
            f"CREATE OR REPLACE FUNCTION haat_{name}() RETURNS trigger LANGUAGE plpgsql AS $$\n"
            f"BEGIN\n  {add};\n  {settle};\n  RETURN NULL;\nEND $$",
            f"CREATE OR REPLACE TRIGGER {name} AFTER INSERT ON {postings.name} "
            f"FOR EACH ROW EXECUTE FUNCTION haat_{name}()",
        ],
    }


def with_table(table: Table, statements: Statements) -> None:
    """Run them whenever the table is made."""
    for dialect, commands in statements.items():
        for one in commands:
            ddl = DDL(one.replace("%", "%%"))  # type: ignore[no-untyped-call]
            event.listen(table, "after_create", ddl.execute_if(dialect=dialect))


def run(connection: Connection, rules: Sequence[Statements]) -> None:
    """Run them now, in a store whose tables are there."""
    for statements in rules:
        for one in statements[connection.dialect.name]:
            connection.execute(text(one.replace(":", "\\:")))
