"""Fixtures of the tests that watch."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.store.engine import database_url, make_engine
from bot.store.schema import metadata
from tests.watch.house import House, TroubledStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TroubledStore]:
    """Return an empty store on SQLite: what is tested here is not the database."""
    engine = make_engine(database_url(f"sqlite:///{tmp_path / 'obdag.db'}"))
    metadata.create_all(engine)
    opened = TroubledStore(engine)
    yield opened
    opened.close()


@pytest.fixture
async def house(store: TroubledStore) -> House:
    """Return a house with one cluster that has been polled."""
    made = House(store)
    await made.register()
    await made.wait(6)
    assert made.agent().lists() == 1
    return made
