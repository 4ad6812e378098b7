"""Who runs the sub-tasks of a task store, who of them lives, and who coordinates."""

from collections.abc import Sequence

from bot.core.dag import Host


class Crew:
    """The agents that share a store; one `alone` runs all sub-tasks itself, whatever host they name.

    The first of them coordinates until it dies; then the next living one takes over and keeps the office.
    """

    def __init__(self, hosts: Sequence[Host], *, alone: bool = False) -> None:
        self._alone = alone
        self._hosts = list(hosts)
        self._alive = set(hosts)
        self._doomed: set[Host] = set()
        self.maintainer: Host | None = self._hosts[0]

    @property
    def first(self) -> Host:
        """The agent that counts while nobody coordinates."""
        return self._hosts[0]

    def runner(self, host: Host) -> Host:
        """Return the agent that runs a sub-task of that host."""
        return self.first if self._alone else host

    def is_alive(self, host: Host) -> bool:
        """Whether that agent can be sent anything."""
        return host in self._alive

    def add(self, host: Host) -> None:
        """Let one more agent run sub-tasks."""
        if host not in self._hosts:
            self._hosts.append(host)
        self._alive.add(host)

    def lose(self, host: Host) -> bool:
        """Note that an agent died; returns whether it coordinated: then the next one does."""
        self._alive.discard(host)
        if host != self.maintainer:
            return False
        self.maintainer = next((other for other in self._hosts if other in self._alive), None)
        return True

    def regain(self, host: Host) -> bool:
        """Note that an agent is back; returns whether it coordinates now, as nobody else lived."""
        self._alive.add(host)
        if self.maintainer is not None:
            return False
        self.maintainer = host
        return True

    def doom(self, host: Host) -> None:
        """Note that an agent's process will end at every start."""
        self._doomed.add(host)

    def is_doomed(self, host: Host) -> bool:
        """Whether that agent cannot be started any more.

        A sub-task was left READY in its own store: one that was cancelled, retried and cancelled again while
        the first run went on (recording `agent-never-comes-back`).
        """
        return host in self._doomed

    def save(self, host: Host) -> None:
        """Undo the doom, as a person does who repairs the agent's store."""
        self._doomed.discard(host)
