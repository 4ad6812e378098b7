"""Agents that speak TLS: with an authority of one's own, with client certificates, and what goes wrong."""

import ssl
from pathlib import Path

import pytest
import trustme

from tests.cli.agents import cluster_agent, served
from tests.cli.conftest import Program


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Return an authority that nobody else trusts."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    """Return the authority's certificate as a file."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def _server(authority: trustme.CA, host: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    return context


def test_own_authority(obdag: Program, authority: trustme.CA, ca_file: str) -> None:
    """With its authority named, the cluster is registered, and later found again from another directory."""
    with served(cluster_agent(), _server(authority)) as found:
        assert obdag.add(found.url, "--ca-file", "ca.pem").status == 0
        assert obdag.ok("clusters", "show", "prod", "--json").json["ca_file"] == ca_file
        obdag.ok("clusters", "check", "prod")


def test_untrusted_certificate(obdag: Program, authority: trustme.CA) -> None:
    """A certificate of an unknown authority stores nothing, sends no password, and names the options."""
    with served(cluster_agent(), _server(authority)) as found:
        result = obdag.add(found.url)
        assert "TLS failure: the certificate is not trusted" in result.error
        assert "--ca-file" in result.error
        assert found.targets == []
    assert obdag.ok("clusters", "list", "--json").json == []


def test_certificate_of_another_host(obdag: Program, authority: trustme.CA, ca_file: str) -> None:
    """A certificate for another address is not accepted, though its authority is known."""
    with served(cluster_agent(), _server(authority, "10.9.9.9")) as found:
        assert "not trusted" in obdag.add(found.url, "--ca-file", ca_file).error


def test_insecure(obdag: Program, authority: trustme.CA) -> None:
    """Whoever asks for it trusts any certificate, and is warned."""
    with served(cluster_agent(), _server(authority)) as found:
        result = obdag.add(found.url, "--insecure")
    assert result.status == 0
    assert "WARNING: --insecure" in result.out


def test_client_certificate(obdag: Program, authority: trustme.CA, ca_file: str, tmp_path: Path) -> None:
    """An agent that demands a client certificate gets it; without one it is a TLS failure."""
    server = _server(authority)
    authority.configure_trust(server)
    server.verify_mode = ssl.CERT_REQUIRED
    # In TLS 1.3 the refusal comes after the handshake, in a race with the end of the connection.
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    client = authority.issue_cert("obdag@example.org")
    client.cert_chain_pems[0].write_to_path(tmp_path / "client.pem")
    client.private_key_pem.write_to_path(tmp_path / "client.key.pem")
    files = ["--client-cert", "client.pem", "--client-key", "client.key.pem"]
    with served(cluster_agent(), server) as found:
        assert "TLS failure" in obdag.add(found.url, "--ca-file", ca_file).error
        assert obdag.add(found.url, "--ca-file", ca_file, *files).status == 0


def test_certificate_and_key_that_do_not_belong_together(
    obdag: Program, authority: trustme.CA, tmp_path: Path
) -> None:
    """Files that do not fit are named, before anybody is asked."""
    authority.issue_cert("a@example.org").cert_chain_pems[0].write_to_path(tmp_path / "a.pem")
    authority.issue_cert("b@example.org").private_key_pem.write_to_path(tmp_path / "b.pem")
    result = obdag.add("https://127.0.0.1:1", "--client-cert", "a.pem", "--client-key", "b.pem")
    assert "belong together" in result.error
    assert result.status == 2


def test_certificate_file_that_went_away(obdag: Program, authority: trustme.CA, ca_file: str) -> None:
    """A file that vanishes after the registration makes the cluster unreadable, and is named."""
    with served(cluster_agent(), _server(authority)) as found:
        obdag.add(found.url, "--ca-file", ca_file)
        Path(ca_file).unlink()
        result = obdag("status", "--json")
        assert result.status == 1
        assert "ca.pem" in result.json["clusters"][0]["error"]
        assert "ca.pem" in obdag("clusters", "check", "prod").error
