"""Understands what people type after the slash command, forgivingly.

Case does not matter; typographic quotes, non-breaking blanks, Slack's escapes (`&amp;`, `<http://x|x>`) and
the `#` before an id are taken for what was meant. A word that is not known is answered, never ignored.
"""

import re
from difflib import get_close_matches
from html import unescape

import msgspec


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A request; `public` asks for an answer that the whole channel sees."""

    public: bool = False


class Status(Command, frozen=True, kw_only=True):
    """The unfinished DAGs of one cluster, or of all that concern the channel."""

    cluster: str | None = None


class Show(Command, frozen=True, kw_only=True):
    """One DAG."""

    cluster: str
    dag_id: str


class Clusters(Command, frozen=True, kw_only=True):
    """The health of all clusters."""


class Help(Command, frozen=True, kw_only=True):
    """What can be typed."""


class Unavailable(Command, frozen=True, kw_only=True):
    """A word of a later version; `instead` is what does it today."""

    word: str
    instead: str


class Unknown(Command, frozen=True, kw_only=True):
    """Something else; `why` says what was understood and what was not."""

    text: str
    why: str


WORDS = ("status", "show", "clusters", "help")
LATER = {
    "logs": "At a terminal: `obdag logs CLUSTER DAG_ID`.",
    "history": "The thread of each DAG keeps its story.",
    "subscribe": "Each cluster tells the channel it was added with (`obdag clusters add --channel`).",
    "unsubscribe": "Each cluster tells the channel it was added with.",
    "mute": "At a terminal: `obdag clusters pause NAME` stops watching a cluster.",
    "unmute": "At a terminal: `obdag clusters resume NAME` watches a cluster again.",
    "check": "At a terminal: `obdag clusters check NAME`.",
}
"""Words that a later version will know -> what helps until then."""

_PUBLIC = "public"
_QUOTES = "\"'`“”„«»‘’‚‹›"
_SLACK_LINK = re.compile(r"<[^<>|]*\|([^<>]*)>|<([^<>|]*)>")


def parse(text: str) -> Command:
    """Return what was asked for."""
    words = _words(text)
    public = bool(words) and words[-1].lower() == _PUBLIC
    if public:
        words = words[:-1]
    if not words:
        return Status(public=public)
    word, arguments = words[0].lower(), words[1:]
    match word:
        case "status":
            return _status(text, arguments, public=public)
        case "show":
            return _show(text, arguments, public=public)
        case "clusters" | "help" if arguments:
            return Unknown(text=text, why=f"`{word}` takes nothing after it.", public=public)
        case "clusters":
            return Clusters(public=public)
        case "help":
            return Help(public=public)
        case _ if word in LATER:
            return Unavailable(word=word, instead=LATER[word], public=public)
        case _:
            return Unknown(text=text, why=_not_a_word(word, arguments), public=public)


def _status(text: str, arguments: list[str], *, public: bool) -> Command:
    if len(arguments) > 1:
        why = f"`status` takes one cluster at most, not {len(arguments)} words."
        return Unknown(text=text, why=why, public=public)
    return Status(cluster=arguments[0].lower() if arguments else None, public=public)


def _show(text: str, arguments: list[str], *, public: bool) -> Command:
    if len(arguments) != 2:  # noqa: PLR2004 - a cluster and an id
        return Unknown(
            text=text, why="`show` needs a cluster and the id of a DAG: `show CLUSTER 11`.", public=public
        )
    cluster, dag_id = arguments
    return Show(cluster=cluster.lower(), dag_id=dag_id.lstrip("#"), public=public)


def _not_a_word(word: str, arguments: list[str]) -> str:
    near = get_close_matches(word, [*WORDS, *LATER], n=1)
    if near:
        return f"There is no word `{word}`. Did you mean `{' '.join([near[0], *arguments])}`?"
    return f"There is no word `{word}`. If it is a cluster: `status {word}`."


def _words(text: str) -> list[str]:
    """Split into words: `str.split` knows every kind of blank, the non-breaking ones too."""
    plain = unescape(_SLACK_LINK.sub(lambda m: m[1] or m[2] or "", text))
    return [word for raw in plain.split() if (word := raw.strip(_QUOTES))]
