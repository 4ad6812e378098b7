"""Opening what a client sealed: the header object with the agent's key, the body with the keys inside it."""

import base64
import binascii
import json
import string
from collections.abc import Callable
from typing import Any

import msgspec

from bot.obshell.envelope import DecryptionError, PrivateKey, decrypt_body
from bot.sandbox.agents.faults import Fault, Panic, UndecipheredFault, undecipherable

ALPHABET = frozenset(string.ascii_letters + string.digits + "+/=")
MEMBERS = {"auth": "Auth", "ts": "Ts", "uri": "Uri", "session_id": "SessionId"}
AES_KEY_BYTES = 16
AES_BLOCK_BYTES = 16


class OpenedHeader(msgspec.Struct, frozen=True, kw_only=True):
    """The members of a header that the agent reads; what was left out is empty."""

    password: str = ""
    expires: str = ""
    uri: str = ""
    session_id: str = ""
    keys: bytes = b""

    def __repr__(self) -> str:
        return f"OpenedHeader(expires={self.expires!r}, uri={self.uri!r})"


def open_header(value: str, key: PrivateKey) -> OpenedHeader:
    """Return what a header holds; raises `Fault` DecryptFailed, with the cause in Go's words."""
    try:
        plain = key.decrypt(_unbase64(value))
    except DecryptionError as error:
        raise undecipherable(str(error)) from error
    members = _members(plain)
    return OpenedHeader(
        password=_text(members, "auth"),
        expires=_text(members, "ts"),
        uri=_text(members, "uri"),
        session_id=_text(members, "session_id"),
        keys=_unbase64(_text(members | {"keys": members.get("keys") or ""}, "keys")),
    )


def _unbase64(text: str) -> bytes:
    foreign = next((at for at, letter in enumerate(text) if letter not in ALPHABET), None)
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        at = len(text) if foreign is None else foreign
        raise undecipherable(f"illegal base64 data at input byte {at}") from error


def _members(plain: bytes) -> dict[str, Any]:
    """Return the object's members by lower-case name: the agent ignores case, and text after the object."""
    try:
        value, _ = json.JSONDecoder().raw_decode(plain.decode().lstrip())
    except ValueError as error:
        raise undecipherable("invalid character looking for beginning of value") from error
    if not isinstance(value, dict):
        raise undecipherable("json: cannot unmarshal value into Go value of type secure.HttpHeader")
    return {name.lower(): member for name, member in value.items()}


def _text(members: dict[str, Any], name: str) -> str:
    value = members.get(name)
    if value is None or isinstance(value, str):
        return value or ""
    field = MEMBERS.get(name, name.capitalize())
    kind = go_kind(value)
    raise undecipherable(
        f"json: cannot unmarshal {kind} into Go struct field HttpHeader.{field} of type string"
    )


def go_kind(value: object) -> str:
    """Return Go's word for the kind of a JSON value."""
    if isinstance(value, bool):
        return "bool"
    kinds: dict[type, str] = {int: "number", float: "number", list: "array", dict: "object"}
    return kinds.get(type(value), "string")


def open_body(body: bytes, keys: bytes) -> bytes:
    """Return the plain body; raises `Fault` or `Panic` as the agent does (recording `bodies`)."""
    if len(keys) < AES_KEY_BYTES:
        raise _broken("KeyAndIv.Invalid", "AES key and IV size error")
    if len(keys) != AES_KEY_BYTES + AES_BLOCK_BYTES:
        raise Panic(in_body=True)
    sealed = _lenient_base64(body)
    if len(sealed) % AES_BLOCK_BYTES:
        raise _broken("ContentLength.Invalid", "Decrypted string length is not a multiple of the block size")
    return _or_panic(lambda: decrypt_body(body, keys[:AES_KEY_BYTES], keys[AES_KEY_BYTES:]))


def _lenient_base64(body: bytes) -> bytes:
    """Return the bytes of base64 text, none of a text that is no base64: the agent ignores that error."""
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error:
        return b""


def _or_panic(decrypt: Callable[[], bytes]) -> bytes:
    try:
        return decrypt()
    except DecryptionError as error:
        raise Panic(in_body=True) from error


def _broken(kind: str, message: str) -> Fault:
    return UndecipheredFault(500, f"Request.Body.Decrypt.AES.{kind}", f"Unauthorized: {message}")
