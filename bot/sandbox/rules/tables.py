"""Tables: rows, cells and their sizes."""

from typing import Any

from bot.sandbox.rules.problem import Json, Problems, string, wrong

MOST_CHARACTERS = 10_000
CELLS = ("raw_text", "raw_number", "rich_text")


def characters(value: Any) -> int:
    """Count the characters of all texts and titles inside a value."""
    if isinstance(value, dict):
        own = sum(len(value[key]) for key in ("text", "title") if isinstance(value.get(key), str))
        return own + sum(characters(v) for v in value.values())
    return sum(characters(v) for v in value) if isinstance(value, list) else 0


def _rows(block: Json, at: str, *, least: int, most: int, columns: int) -> Problems:
    rows = block.get("rows")
    if not isinstance(rows, list) or not least <= len(rows) <= most:
        yield wrong(f"{at}/rows", f"must have {least} to {most} rows")
        return
    for index, row in enumerate(rows):
        if not isinstance(row, list) or not 1 <= len(row) <= columns:
            yield wrong(f"{at}/rows/{index}", f"must have 1 to {columns} cells")
            continue
        for cell, value in enumerate(row):
            if not isinstance(value, dict) or value.get("type") not in CELLS:
                yield wrong(f"{at}/rows/{index}/{cell}", f"must be one of: {', '.join(CELLS)}")


def table(block: Json, at: str) -> Problems:
    """Check a table: 100 rows of 20 cells, 10,000 characters in all."""
    yield from _rows(block, at, least=1, most=100, columns=20)
    if characters(block.get("rows")) > MOST_CHARACTERS:
        yield wrong(f"{at}/rows", f"no more than {MOST_CHARACTERS} characters over all cells")


def data_table(block: Json, at: str) -> Problems:
    """Check a data table: a caption, 2 to 101 rows of 20 cells (the smaller of two published numbers)."""
    yield from string(block, "caption", at, most=3000, required=True)
    yield from _rows(block, at, least=2, most=101, columns=20)
