"""`files.*`: the upload in three steps. The answer names no message: who wants its id posts it first."""

from datetime import datetime

import msgspec

from bot.sandbox.messages import File, Json, Message
from bot.sandbox.team import Channel, Team
from bot.sandbox.webapi.answers import ApiResponse, Refusal, ok
from bot.sandbox.webapi.params import decoded, number, word
from bot.sandbox.webapi.places import visible_channel
from bot.sandbox.webapi.scopes import Scopes

MOST_ALT = 1000
MOST_CHANNELS = 100


class Upload(msgspec.Struct, kw_only=True):
    """A file between the steps; `content` is None until its bytes arrived."""

    id: str
    name: str
    length: int
    alt_text: str | None
    content: bytes | None = None


class Uploads:
    """Files on their way."""

    def __init__(self) -> None:
        self.waiting: dict[str, Upload] = {}

    def receive(self, file_id: str, content: bytes) -> ApiResponse:
        """Take the bytes of the second step; anything but the announced length is refused."""
        upload = self.waiting.get(file_id)
        if upload is None or upload.content is not None or len(content) != upload.length:
            return ApiResponse(status=400, raw="the upload address or the length is wrong")
        upload.content = content
        return ApiResponse(raw=f"OK - {len(content)}")


def upload_url(team: Team, scopes: Scopes, uploads: Uploads, params: Json) -> Json:
    """`files.getUploadURLExternal`: where to put the bytes."""
    scopes.need("files:write")
    length = number(params, "length", 0)
    alt_text = word(params, "alt_txt")
    if not word(params, "filename") or length < 1 or len(alt_text) > MOST_ALT:
        raise Refusal("invalid_arguments")
    upload = Upload(
        id=team.serial("F"), name=word(params, "filename"), length=length, alt_text=alt_text or None
    )
    uploads.waiting[upload.id] = upload
    return ok(upload_url=f"{team.base_url}upload/{upload.id}", file_id=upload.id)


def complete(team: Team, scopes: Scopes, uploads: Uploads, params: Json, now: datetime) -> Json:
    """`files.completeUploadExternal`: share the files in channels, or in a thread of one."""
    scopes.need("files:write")
    listed = decoded(params, "files", error="invalid_arguments")
    if not isinstance(listed, list) or not listed:
        raise Refusal("invalid_arguments")
    channels = [_shared_in(team, channel) for channel in _channels(params)]
    files = tuple(_arrived(uploads, item) for item in listed)
    for file in files:
        del uploads.waiting[file.id]
    for channel in channels:
        _share(team, channel, files, params, now)
    return ok(files=[{"id": file.id, "title": file.title} for file in files])


def _channels(params: Json) -> list[str]:
    given = [c for c in (word(params, "channel_id") or word(params, "channels")).split(",") if c]
    if len(given) > MOST_CHANNELS:
        raise Refusal("invalid_arguments")
    return given


def _shared_in(team: Team, channel_id: str) -> Channel:
    """Return a channel to share in: membership is needed, whatever else the app may do."""
    channel = visible_channel(team, {"channel": channel_id})
    if channel.archived:
        raise Refusal("is_archived")
    if team.bot.id not in channel.members:
        raise Refusal("not_in_channel")
    return channel


def _arrived(uploads: Uploads, item: Json) -> File:
    upload = uploads.waiting.get(str(item.get("id")))
    if upload is None or upload.content is None:
        raise Refusal("file_not_found")
    return File(
        id=upload.id,
        name=upload.name,
        title=str(item.get("title") or upload.name),
        content=upload.content,
        alt_text=upload.alt_text,
    )


def _share(team: Team, channel: Channel, files: tuple[File, ...], params: Json, now: datetime) -> None:
    parent = team.message(channel.id, word(params, "thread_ts"))
    team.add_message(
        Message(
            channel=channel.id,
            ts=team.next_ts(now),
            user=team.bot.id,
            by_app=True,
            text=word(params, "initial_comment"),
            files=files,
            thread_ts=parent.ts if parent and not parent.deleted else None,
        )
    )
