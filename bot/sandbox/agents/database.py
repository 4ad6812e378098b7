"""How a database can be."""

from enum import Enum


class Database(Enum):
    """State of a database, by its number in `obState`."""

    GONE = 0
    USELESS = 1
    UP = 3
