"""A request on its way to a handler, with all that the handler may know."""

import json
from datetime import datetime
from typing import Any

import msgspec

from bot.core.dag import Host
from bot.sandbox.agents.faults import Fault, not_found
from bot.sandbox.agents.request import Request
from bot.sandbox.agents.seals import go_kind


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is the one in the path, `body` is opened, `now` is the time of the cluster, not of the agent.

    `keys` are those in the header, with which some answers are sealed. `origin` is the FOLLOWER that
    forwarded the request.
    """

    request: Request
    id: str
    body: bytes
    now: datetime
    keys: bytes = b""
    origin: Host | None = None

    def with_keys(self, keys: bytes) -> "Call":
        """Return the same call with the keys of its header."""
        return msgspec.structs.replace(self, keys=keys)

    def operator(self, struct: str) -> str:
        """Return the operator that the body asks for; raises `Fault` as the agent's binding does.

        An `id` member would overwrite the one in the path; the agent then finds that they differ
        (recording `bodies-existing-dag`).
        """
        members = self._members()
        value = members.get("operator")
        value = self._text(struct, "operator", members)
        if members.get("id", self.id) != self.id:
            raise not_found("dag id not match")
        return value

    def text(self, struct: str, name: str) -> str:
        """Return a text that the body must have; raises `Fault`."""
        return self._text(struct, name, self._members())

    def member(self, name: str) -> Any:
        """Return what the body has under that name, None for nothing; raises `Fault`."""
        return self._members().get(name.lower())

    @staticmethod
    def _text(struct: str, name: str, members: dict[str, Any]) -> str:
        value = members.get(name)
        if value is not None and not isinstance(value, str):
            raise _unbound(
                f"json: cannot unmarshal {go_kind(value)} into Go struct field {struct}.{name} of type string"
            )
        if not value:
            field = name.capitalize()
            raise _unbound(
                f"Key: '{struct}.{field}' Error:Field validation for '{field}' failed on the 'required' tag"
            )
        return value

    def _members(self) -> dict[str, Any]:
        try:
            value = json.loads(self.body or b"{}")
        except ValueError as error:
            raise _unbound("invalid character looking for beginning of value") from error
        if not isinstance(value, dict):
            raise _unbound(f"json: cannot unmarshal {go_kind(value)} into Go value")
        return {name.lower(): member for name, member in value.items()}


def _unbound(cause: str) -> Fault:
    return Fault(400, "Common.BindJsonFailed", f"Bind JSON failed: {cause}")
