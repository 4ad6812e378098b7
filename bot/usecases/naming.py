"""What a registration may say: names, addresses, numbers, files."""

import re
from pathlib import Path

import msgspec

from bot.obshell.connect import BadTlsFiles, TlsFiles, tls_context
from bot.obshell.url import parse_agent_url
from bot.store.clusters import Registration
from bot.usecases.errors import Invalid

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}", re.ASCII)
RESERVED = frozenset({"all", "public", "status", "show", "logs", "clusters", "history", "help"})
SCOPES = ("cluster", "all")
USERS = ("root", "agent")
CHANNEL = re.compile(r"[CGD][A-Z0-9]{2,79}", re.ASCII)


def checked_name(name: str) -> str:
    """Return the name of a cluster if it is allowed; raises `Invalid`."""
    if not NAME.fullmatch(name):
        raise Invalid(
            f"{name!r} cannot be a cluster's name: 1 to 63 of a-z 0-9 . _ -, beginning with a letter or digit"
        )
    if name.isdigit():
        raise Invalid(f"{name!r} cannot be a cluster's name: it is all digits, like a DAG's id")
    if name in RESERVED:
        raise Invalid(f"{name!r} cannot be a cluster's name: it is a word of the commands")
    return name


def checked(wanted: Registration) -> Registration:
    """Return the registration with its URLs in their one spelling; raises `Invalid`."""
    checked_name(wanted.name)
    for value, allowed, option in ((wanted.scope, SCOPES, "--scope"), (wanted.user, USERS, "--user")):
        if value not in allowed:
            raise Invalid(f"{option} is {' or '.join(allowed)}, not {value!r}")
    for seconds, option in ((wanted.interval_s, "--interval"), (wanted.stall_after_s, "--stall-after")):
        if seconds is not None and not 1 <= seconds < float("inf"):
            raise Invalid(f"{option} is in seconds, from 1 upwards")
    if wanted.channel is not None and not CHANNEL.fullmatch(wanted.channel):
        raise Invalid(f"--channel is a channel ID like C0123456789, not {wanted.channel!r}")
    if wanted.runbook is not None and not re.match(r"https?://[^\s/]", wanted.runbook):
        raise Invalid("--runbook is an http:// or https:// URL")
    files = {name: _absolute(getattr(wanted, name)) for name in ("ca_file", "client_cert", "client_key")}
    wanted = msgspec.structs.replace(wanted, urls=_urls(wanted.urls), **files)
    _check_files(wanted)
    return wanted


def tls_files(registration: Registration) -> TlsFiles:
    """Return how the agents of a registration are trusted."""
    return TlsFiles(
        registration.ca_file, registration.client_cert, registration.client_key, registration.insecure
    )


def _absolute(name: str | None) -> str | None:
    """Return the path as the service will find it, wherever that is started."""
    return str(Path(name).absolute()) if name else None


def _urls(texts: tuple[str, ...]) -> tuple[str, ...]:
    try:
        urls = tuple(str(parse_agent_url(text)) for text in texts)
    except ValueError as error:
        raise Invalid(str(error)) from None
    if not urls:
        raise Invalid("a cluster needs the URL of at least one agent")
    if len(set(urls)) < len(urls):
        raise Invalid("the same agent is named twice")
    return urls


def _check_files(wanted: Registration) -> None:
    try:
        tls_context(tls_files(wanted))
    except BadTlsFiles as error:
        raise Invalid(str(error)) from None
