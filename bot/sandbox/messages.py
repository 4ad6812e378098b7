"""Messages of the local Slack."""

from typing import Any

import msgspec

Json = dict[str, Any]


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file in a message."""

    id: str
    name: str
    title: str
    content: bytes
    alt_text: str | None = None


class Version(msgspec.Struct, frozen=True):
    """What a message said before an edit."""

    text: str
    blocks: tuple[Json, ...]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message as it stands now.

    `thread_ts` is set on replies only: the `ts` of the parent. `edits` counts all edits, `history` holds what
    was there before the last thousand of them, oldest first. `visible_to` is set on ephemeral messages.
    """

    channel: str
    ts: str
    user: str
    text: str = ""
    blocks: tuple[Json, ...] = ()
    attachments: tuple[Json, ...] = ()
    files: tuple[File, ...] = ()
    thread_ts: str | None = None
    broadcast: bool = False
    metadata: Json | None = None
    edits: int = 0
    history: tuple[Version, ...] = ()
    by_app: bool = False
    subtype: str | None = None
    visible_to: str | None = None
    edited_mark: bool = False
    reactions: tuple[tuple[str, str], ...] = ()
    unfurl_links: bool | None = None
    unfurl_media: bool | None = None

    @property
    def deleted(self) -> bool:
        """Whether only the placeholder of a deleted parent is left."""
        return self.subtype == "tombstone"
