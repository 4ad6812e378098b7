"""Socket Mode without sockets: tickets, connections, envelopes and their acknowledgements.

A connection is a callable that takes what is sent to the app. Each envelope goes to one connection, in turn,
as Slack does; nothing is sent again.
"""

import json
from collections import deque
from collections.abc import Callable

import msgspec

from bot.sandbox.messages import Json

Send = Callable[[Json], None]
KEPT = 10_000
MOST_CONNECTIONS = 10


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent to the app, and over which connection."""

    id: str
    kind: str
    payload: Json
    accepts_response_payload: bool
    connection: int


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """The app's answer to an envelope."""

    envelope_id: str
    payload: Json | None
    connection: int


class SocketMode:
    """The app's connections; `changed` hears how many there are whenever that changes."""

    def __init__(self, *, changed: Callable[[int], None]) -> None:
        self._changed = changed
        self.envelopes: deque[Envelope] = deque(maxlen=KEPT)
        self.acks: deque[Ack] = deque(maxlen=KEPT)
        self._tickets: set[str] = set()
        self._connections: dict[int, Send] = {}
        self._served = 0
        self._serial = 0

    @property
    def connections(self) -> tuple[int, ...]:
        """The open connections."""
        return tuple(self._connections)

    def ticket(self) -> str:
        """Return a ticket for one connection."""
        self._serial += 1
        ticket = str(self._serial)
        self._tickets.add(ticket)
        return ticket

    def connect(self, ticket: str, send: Send) -> int | None:
        """Spend a ticket and greet the app; None when the ticket is no good or there are too many."""
        if ticket not in self._tickets:
            return None
        self._tickets.discard(ticket)
        self._serial += 1
        if len(self._connections) >= MOST_CONNECTIONS:
            send({"type": "disconnect", "reason": "too_many_websockets"})
            return None
        self._connections[self._serial] = send
        send(
            {
                "type": "hello",
                "num_connections": len(self._connections),
                "connection_info": {"app_id": "A0LOCAL"},
                "debug_info": {"host": "local", "approximate_connection_time": 18060},
            }
        )
        self._changed(len(self._connections))
        return self._serial

    def closed(self, connection: int) -> None:
        """Forget a connection that ended."""
        if self._connections.pop(connection, None):
            self._changed(len(self._connections))

    def ask_to_leave(self, reason: str, connection: int | None = None) -> None:
        """Send `disconnect` (`warning`, `refresh_requested`, `link_disabled`) to one connection or to all."""
        for key, send in tuple(self._connections.items()):
            if connection in {None, key}:
                send({"type": "disconnect", "reason": reason, "debug_info": {"host": "local"}})

    def deliver(self, kind: str, payload: Json, *, accepts_response_payload: bool = False) -> Envelope | None:
        """Send an envelope over the next connection; None when there is none."""
        if not self._connections:
            return None
        keys = list(self._connections)
        key = keys[self._served % len(keys)]
        self._served += 1
        self._serial += 1
        envelope = Envelope(
            id=f"envelope-{self._serial}",
            kind=kind,
            payload=payload,
            accepts_response_payload=accepts_response_payload,
            connection=key,
        )
        self.envelopes.append(envelope)
        body: Json = {
            "envelope_id": envelope.id,
            "type": kind,
            "payload": payload,
            "accepts_response_payload": accepts_response_payload,
        }
        self._connections[key](
            body | ({"retry_attempt": 0, "retry_reason": ""} if kind == "events_api" else {})
        )
        return envelope

    def received(self, connection: int, text: str) -> Ack | None:
        """Read what the app sent: its acknowledgement of an envelope, or None for anything else."""
        try:
            message = json.loads(text)
        except json.JSONDecodeError:
            return None
        if not isinstance(message, dict) or not isinstance(message.get("envelope_id"), str):
            return None
        payload = message.get("payload")
        ack = Ack(
            envelope_id=message["envelope_id"],
            payload=payload if isinstance(payload, dict) else None,
            connection=connection,
        )
        self.acks.append(ack)
        return ack
