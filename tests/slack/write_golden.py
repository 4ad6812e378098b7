"""Writes the golden files anew: `python -m tests.slack.write_golden`, then read the difference."""

import json
from pathlib import Path
from typing import Any

from bot.slack.blocks import Message
from tests.slack.samples import samples

GOLDEN = Path(__file__).parent / "golden"


def as_json(message: Message) -> str:
    """Return a message as a golden file holds it."""
    payload: dict[str, Any] = {"text": message.text, "blocks": list(message.blocks)}
    return json.dumps(payload, ensure_ascii=False, indent=1) + "\n"


def write() -> None:
    """Write one file per sample and remove those of samples that are gone."""
    GOLDEN.mkdir(exist_ok=True)
    for old in GOLDEN.glob("*.json"):
        old.unlink()
    for sample in samples():
        (GOLDEN / f"{sample.name}.json").write_text(as_json(sample.message), encoding="utf-8")


if __name__ == "__main__":
    write()
