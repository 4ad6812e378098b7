"""Takes passwords out of log lines before people see them.

Log lines of an agent may hold SQL statements, shell commands and settings as they were run. What looks like
a password in one of their usual spellings becomes `***`; everything else stays as it was written. The
patterns look ahead only so far, because a line may be 64 KiB of anything.
"""

import re
from collections.abc import Collection

MASK = "***"

_QUOTED = r"""'(?:\\.|''|[^'\\])*'?|"(?:\\.|""|[^"\\])*"?|`[^`]*`?"""
_WORD = r"[^\s,;&)}\]'\"]+"
_NAME = r"(?:password|passwd|passphrase|pwd|secret[_-]?key|_pass)"

_PATTERNS: tuple[re.Pattern[str], ...] = (
    # SQL: IDENTIFIED BY [PASSWORD] '...', with an authentication plugin or without
    re.compile(
        rf"(?P<before>\bidentified\s+(?:with\s+\S+\s+)?(?:by|as)\s+(?:password\s+)?)(?P<secret>{_QUOTED}|\S+)",
        re.IGNORECASE,
    ),
    # the SQL function of that name
    re.compile(rf"(?P<before>\bpassword\s*\(\s*)(?P<secret>{_QUOTED})", re.IGNORECASE),
    # JSON inside JSON, where each quote has a backslash before it
    re.compile(rf'(?P<before>{_NAME}\\"\s*:\s*\\")(?P<secret>.*?)(?=\\")', re.IGNORECASE),
    # settings, JSON and query strings: password=..., "password": "...", rootPassword := ...
    re.compile(
        rf"(?P<before>{_NAME}[\"'\\]*\s*(?:=>|:=|=|:)\s*)(?P<secret>{_QUOTED}|(?!\\){_WORD})",
        re.IGNORECASE,
    ),
    # options of commands: --password ..., -p'...' (a bare -p with a word may be a port: left alone)
    re.compile(rf"(?P<before>--[\w-]{{0,40}}{_NAME}\s+)(?P<secret>{_QUOTED}|[^\s-]\S*)", re.IGNORECASE),
    re.compile(r"(?P<before>(?:^|\s)-p)(?P<secret>'[^']*'?|\"[^\"]*\"?)"),
    # user:password@ in an address
    re.compile(
        r"(?P<before>\b[a-z][\w+.-]{0,20}://[^\s:/@]{0,100}:)(?P<secret>[^\s@/]{1,200})(?=@)", re.IGNORECASE
    ),
)


def mask(text: str, secrets: Collection[str] = ()) -> str:
    """Return `text` without the passwords that it spells out, nor any of `secrets` (known ones)."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, MASK)
    for pattern in _PATTERNS:
        text = pattern.sub(_hidden, text)
    return text


def _hidden(match: re.Match[str]) -> str:
    secret = match["secret"]
    quote = secret[:1] if secret[:1] in ("'", '"', "`") else ""
    return f"{match['before']}{quote}{MASK}{quote}"
