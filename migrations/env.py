"""How Alembic reaches the database: by the connection handed in; a developer's own call by DATABASE_URL."""

from pathlib import Path

from alembic import context
from sqlalchemy import Connection

from bot.config import Settings
from bot.store.engine import database_url, make_engine
from bot.store.schema import metadata


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()


def _main() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        _run(given)
        return
    settings = Settings.from_env(dotenv=Path(".env"))
    engine = make_engine(database_url(settings.database_url.get_secret_value()))
    with engine.begin() as connection:
        _run(connection)


_main()
