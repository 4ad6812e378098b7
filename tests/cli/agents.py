"""A simulated agent behind a real socket, in a thread: commands start an event loop of their own."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from bot.clock import system_clock
from bot.core.dag import Host
from bot.sandbox.agents.agent import SimulatedAgent
from bot.sandbox.agents.cluster import SimulatedCluster

PASSWORD = "made-up-Pa55word"
HOST = Host("10.0.0.1", 2886)


class Served:
    """What is served, and what was asked: `targets` in order, without those that need no password."""

    def __init__(self, agent: SimulatedAgent) -> None:
        self.agent = agent
        self.targets: list[str] = []
        self.url = ""

    @property
    def cluster(self) -> SimulatedCluster:
        """The cluster of the agent."""
        assert self.agent.cluster is not None
        return self.agent.cluster

    @property
    def logins(self) -> int:
        """How often a password was sent."""
        return sum("/task/" in target for target in self.targets)


def cluster_agent(password: str = PASSWORD) -> SimulatedAgent:
    """Return a healthy agent of a cluster, without DAGs."""
    now = system_clock()
    cluster = SimulatedCluster("prod", now, hosts=[HOST], root_password=password, tick_s=0.01)
    return SimulatedAgent(HOST, now, cluster=cluster)


@contextmanager
def served(agent: SimulatedAgent, tls: ssl.SSLContext | None = None) -> Iterator[Served]:
    """Have the agent listen on a free port of this machine while the block runs."""
    found = Served(agent)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found.targets.append(self.path)
            answer = agent.respond("GET", self.path, dict(self.headers), b"", system_clock())
            self.send_response(answer.status)
            for name, value in answer.headers:
                if name.lower() != "content-length":
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def handle(self) -> None:
            """Serve a connection; one that fails to agree on TLS is the client's to report."""
            with suppress(ssl.SSLError, ConnectionError):
                super().handle()

        def log_message(self, *args: Any) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    found.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
