"""Fixtures of the facts."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.store.engine import Store, database_url, make_engine
from bot.store.schema import metadata
from tests.facts.world import World


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return an empty store on SQLite."""
    engine = make_engine(database_url(f"sqlite:///{tmp_path / 'obdag.db'}"))
    metadata.create_all(engine)
    opened = Store(engine)
    yield opened
    opened.close()


@pytest.fixture
def world_of(store: Store) -> Callable[..., Awaitable[World]]:
    """Return a function that makes a world of its own kind and polls it once."""

    async def make(**members: Any) -> World:
        return await World(store, **members).begin()

    return make


@pytest.fixture
async def world(store: Store) -> World:
    """Return a world of three agents, of which one is registered, polled once."""
    return await World(store).begin()
