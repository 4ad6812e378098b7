from pathlib import Path

import pytest

from bot.core.dag import Host
from bot.sandbox.agents.agent import SimulatedAgent
from bot.sandbox.agents.database import Database
from tests.cli.agents import PASSWORD, Served, cluster_agent, served
from tests.cli.conftest import Program

UNREACHABLE = "http://127.0.0.1:1"


def _names(obdag: Program) -> list[str]:
    return [cluster["name"] for cluster in obdag.ok("clusters", "list", "--json").json]


def test_add_looks_at_the_agent_and_says_what_it_found(obdag: Program, agent: Served) -> None:
    """A registration shows the agent's version, its DAGs, and what the scope leaves out."""
    result = obdag.add(agent.url, "--channel", "C0123456789", "--interval", "5")
    assert result.status == 0
    assert f"added prod with {agent.url}" in result.out
    assert "obshell 4.5.0.0" in result.out
    assert "0 unfinished DAGs" in result.out
    assert "Not shown: what agents do for themselves" in result.out
    assert result.err == ""


def test_list_has_the_promised_members(obdag: Program, agent: Served) -> None:
    """`list --json` gives objects with name, state and agents; a new cluster was never seen."""
    obdag.add(agent.url)
    [cluster] = obdag.ok("clusters", "list", "--json").json
    assert (cluster["name"], cluster["state"], cluster["agents"]) == ("prod", "unknown", [agent.url])
    assert "prod" in obdag.ok("clusters", "list").out


def test_add_without_a_channel_says_that_nobody_hears_of_it(obdag: Program, agent: Served) -> None:
    """Without a channel nothing would be told: the registration says so."""
    assert "no channel hears of it yet" in obdag.add(agent.url).out
    obdag.environment["OBDAG_CHANNEL"] = "C0123456789"
    assert "no channel" not in obdag.add(agent.url, name="second").out


def test_wrong_password_stores_nothing(obdag: Program, agent: Served) -> None:
    """A wrong password is sent once, named, and nothing is stored."""
    result = obdag.add(agent.url, password="nonsense-9")
    assert "the password is wrong" in result.error
    assert result.status == 1
    assert agent.logins == 1
    assert _names(obdag) == []


def test_password_never_shows(obdag: Program, agent: Served) -> None:
    """Neither a good nor a refused password is printed, nor is one readable in the database."""
    good, bad = obdag.add(agent.url), obdag.add(agent.url, name="other", password="nonsense-9")
    shown = obdag.ok("clusters", "show", "prod").out + obdag.ok("clusters", "show", "prod", "--json").out
    for text in (good.out, good.err, bad.out, bad.err, shown):
        assert PASSWORD not in text
        assert "nonsense-9" not in text
    assert PASSWORD.encode() not in Path("obdag.db").read_bytes()


def test_unreachable_agent_stores_nothing_unless_told_so(obdag: Program) -> None:
    """An agent that is down can be registered with --no-check only."""
    result = obdag.add(UNREACHABLE)
    assert "unreachable: connection refused" in result.error
    assert (result.status, _names(obdag)) == (1, [])
    assert obdag.add(UNREACHABLE, "--no-check").status == 0
    assert _names(obdag) == ["prod"]


def test_one_bad_agent_of_several_stores_nothing(obdag: Program, agent: Served) -> None:
    """All agents named must be healthy."""
    result = obdag("clusters", "add", "prod", agent.url, UNREACHABLE, "--password-stdin", stdin=PASSWORD)
    assert result.error.startswith(UNREACHABLE)
    assert _names(obdag) == []


def test_agent_without_a_cluster_is_refused(obdag: Program) -> None:
    """A SINGLE agent is named as what it is, and gets no password."""
    single = SimulatedAgent(Host("10.0.0.9", 2886), cluster_agent().started_at)
    with served(single) as found:
        result = obdag.add(found.url)
        assert "not a cluster agent: its identity is SINGLE" in result.error
        assert found.logins == 0
    assert (result.status, _names(obdag)) == (1, [])


def test_tls_where_there_is_none_and_the_other_way_round(obdag: Program, agent: Served) -> None:
    """A wrong scheme is a TLS failure that names the right one."""
    result = obdag.add(agent.url.replace("http://", "https://"))
    assert "TLS failure" in result.error
    assert "use http://" in result.error
    assert (result.status, _names(obdag)) == (1, [])


def test_database_down_blames_no_password(obdag: Program, agent: Served) -> None:
    """While the database is down a good password cannot be told from a bad one: it is not blamed."""
    agent.cluster.database = Database.USELESS
    result = obdag.add(agent.url, password="nonsense-9")
    assert "cannot be checked while the database is down" in result.error
    assert _names(obdag) == []


def test_duplicate_name(obdag: Program, agent: Served) -> None:
    """A name is taken once; the first registration stays as it was."""
    obdag.add(agent.url)
    assert "'prod' is registered already" in obdag.add(UNREACHABLE).error
    assert obdag.ok("clusters", "list", "--json").json[0]["agents"] == [agent.url]


@pytest.mark.parametrize(
    "name", ["Prod", "-x", "a" * 64, "über", "12345", "", "a b", "all", "public", "status", "show", "logs",
             "clusters", "history", "help"],
)  # fmt: skip
def test_names_that_are_not_allowed(obdag: Program, name: str) -> None:
    """A malformed or reserved name is wrong usage and asks nobody."""
    result = obdag("clusters", "add", "--password-stdin", "--", name, UNREACHABLE)
    assert "cannot be a cluster's name" in result.error
    assert result.status == 2


@pytest.mark.parametrize("name", ["p", "0a", "prod-1.eu_west", "a" * 63])
def test_names_that_are_allowed(obdag: Program, name: str) -> None:
    """Small letters, digits, dots, dashes and underscores make a name."""
    assert obdag.add(UNREACHABLE, "--no-check", name=name).status == 0


@pytest.mark.parametrize(
    "url",
    [
        "10.0.0.1:2886",
        "ftp://a",
        "http://",
        "http://h:99999",
        "http://u:s3cret@h",
        "http://h/path",
        "http://a b",
    ],
)
def test_malformed_url(obdag: Program, url: str) -> None:
    """A malformed URL is wrong usage; a password inside it is not repeated."""
    result = obdag.add(url)
    assert result.status == 2
    assert "http://HOST:2886" in result.error or "password" in result.error
    assert "s3cret" not in result.err


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--interval", "0"], "--interval"),
        (["--stall-after", "0.5"], "--stall-after"),
        (["--scope", "everything"], "--scope"),
        (["--user", "admin"], "--user"),
        (["--channel", "#dba"], "--channel"),
        (["--ca-file", "nowhere.pem"], "nowhere.pem"),
        (["--client-cert", "only.pem"], "together"),
        (["--password-env", "X"], "give one of"),
    ],
)
def test_options_that_make_no_sense(obdag: Program, options: list[str], named: str) -> None:
    """Each wrong option is named, before anybody is asked."""
    result = obdag.add(UNREACHABLE, *options)
    assert named in result.error
    assert result.status == 2


def test_unusable_certificate_file(obdag: Program, agent: Served) -> None:
    """A file that holds no certificate is named."""
    Path("notes.pem").write_text("buy milk", "utf-8")
    result = obdag.add(agent.url, "--ca-file", "notes.pem")
    assert "notes.pem holds no certificate authority" in result.error
    assert result.status == 2


@pytest.mark.parametrize("command", ["show", "check", "remove", "pause", "resume", "set-password"])
def test_unknown_cluster(obdag: Program, agent: Served, command: str) -> None:
    """An unknown name is answered with those that exist."""
    obdag.add(agent.url)
    more = ["--password-stdin"] if command == "set-password" else []
    result = obdag("clusters", command, "prd", *more)
    assert "No cluster is called 'prd'. Did you mean prod?" in result.error
    assert result.status == 1


def test_check_of_a_healthy_cluster(obdag: Program, agent: Served) -> None:
    """A check asks each agent and says what it found."""
    obdag.add(agent.url)
    assert f"{agent.url}: ok" in obdag.ok("clusters", "check", "prod").out


def test_check_of_a_cluster_in_trouble(obdag: Program, agent: Served) -> None:
    """A check that finds trouble says so and ends with 1."""
    obdag.add(agent.url)
    agent.cluster.database = Database.GONE
    result = obdag("clusters", "check", "prod")
    assert result.status == 1
    assert "failed" in result.out


def test_refused_password_is_sent_by_no_command_again(obdag: Program, agent: Served) -> None:
    """Each wrong password is a failed login at the database: after one refusal only set-password asks."""
    obdag.add(agent.url, "--no-check", password="nonsense-9")
    assert obdag("clusters", "check", "prod").status == 1
    assert agent.logins == 1
    assert "obdag clusters set-password prod" in obdag("clusters", "check", "prod").error
    assert obdag("status", "--json").json["clusters"][0]["state"] == "auth_failed"
    assert obdag("show", "prod", "11").status == 1
    assert agent.logins == 1


def test_set_password_heals(obdag: Program, agent: Served) -> None:
    """The right password is tried once, stored, and lets commands ask again."""
    obdag.add(agent.url, "--no-check", password="nonsense-9")
    obdag("clusters", "check", "prod")
    obdag.ok("clusters", "set-password", "prod", "--password-stdin", stdin=f"{PASSWORD}\n")
    assert obdag.ok("status", "--json").json["clusters"][0]["state"] == "ok"


def test_wrong_new_password_changes_nothing(obdag: Program, agent: Served) -> None:
    """A new password that the agent refuses is not stored; the old one goes on working."""
    obdag.add(agent.url)
    result = obdag("clusters", "set-password", "prod", "--password-stdin", stdin="nonsense-9\n")
    assert "the password is wrong" in result.error
    obdag.ok("clusters", "check", "prod")


def test_set_password_while_the_agent_is_down(obdag: Program) -> None:
    """Without an agent to try it on, a password is stored only when told so."""
    obdag.add(UNREACHABLE, "--no-check")
    command = ("clusters", "set-password", "prod", "--password-stdin")
    assert "unreachable" in obdag(*command, stdin="x\n").error
    obdag.ok(*command, "--no-check", stdin="x\n")


def test_empty_password_is_legal(obdag: Program) -> None:
    """A cluster whose root has no password is registered with an empty line."""
    with served(cluster_agent(password="")) as found:
        assert obdag.add(found.url, password="").status == 0
        obdag.ok("clusters", "check", "prod")
    assert "empty" in obdag.ok("clusters", "show", "prod").out


def test_pause_and_resume(obdag: Program, agent: Served) -> None:
    """A paused cluster is shown as such and not asked."""
    obdag.add(agent.url)
    obdag.ok("clusters", "pause", "prod")
    asked = agent.logins
    assert obdag.ok("status", "--json").json["clusters"][0]["state"] == "paused"
    assert agent.logins == asked
    obdag.ok("clusters", "resume", "prod")
    assert obdag.ok("status", "--json").json["clusters"][0]["state"] == "ok"


def test_remove(obdag: Program, agent: Served) -> None:
    """A removed cluster is gone."""
    obdag.add(agent.url)
    obdag.ok("clusters", "remove", "prod")
    assert _names(obdag) == []


def test_edit(obdag: Program, agent: Served) -> None:
    """What is named changes, what is not stays, and the password goes on working."""
    obdag.add(agent.url, "--interval", "7")
    obdag.ok("clusters", "edit", "prod", "--channel", "C0123456789", "--runbook", "https://wiki/ob")
    shown = obdag.ok("clusters", "show", "prod", "--json").json
    assert (shown["channel"], shown["runbook"], shown["interval_s"]) == (
        "C0123456789",
        "https://wiki/ob",
        7.0,
    )
    obdag.ok("clusters", "check", "prod")
    assert "nothing to change" in obdag("clusters", "edit", "prod").error


def test_edit_looks_at_new_agents_first(obdag: Program, agent: Served) -> None:
    """New addresses are checked like those of a new cluster, and not stored when that fails."""
    obdag.add(agent.url)
    assert "unreachable" in obdag("clusters", "edit", "prod", "--url", UNREACHABLE).error
    assert obdag.ok("clusters", "show", "prod", "--json").json["agents"] == [agent.url]
