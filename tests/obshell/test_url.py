import pytest

from bot.obshell.url import AgentUrl, parse_agent_url


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("http://10.0.0.1", "http://10.0.0.1:2886"),
        ("http://10.0.0.1:3000", "http://10.0.0.1:3000"),
        ("https://ob1.example.com/", "https://ob1.example.com:2886"),
        ("HTTP://OB_1:2886", "http://ob_1:2886"),
        ("http://[::1]:2986", "http://[::1]:2986"),
        ("https://[2001:DB8::0:5]", "https://[2001:db8::5]:2886"),
        ("http://host.example.com.:65535", "http://host.example.com.:65535"),
    ],
)
def test_addresses_that_people_write(text: str, normal: str) -> None:
    """The port may be left out, the case does not matter, IPv6 has brackets."""
    assert str(parse_agent_url(text)) == normal


def test_the_host_of_an_ipv6_address_has_no_brackets() -> None:
    """Brackets belong to the text, not to the address."""
    assert parse_agent_url("https://[::1]:2886") == AgentUrl("https", "::1", 2886)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "plain ASCII"),
        ("http://a b", "plain ASCII"),
        ("http://höst:2886", "plain ASCII"),
        ("http://host\n", "plain ASCII"),
        ("10.0.0.1:2886", "begins with"),
        ("host", "begins with"),
        ("ftp://host", "begins with"),
        ("http://", "no valid host"),
        ("http://:2886", "no valid host"),
        ("http://ho$t", "no valid host"),
        ("http://-host", "no valid host"),
        ("http://a..b", "no valid host"),
        ("http://300.1.1.1", "no valid host"),
        ("http://1", "no valid host"),
        ("http://" + "a." * 130 + "b", "no valid host"),
        ("http://::1:2886", "no valid"),
        ("http://[::1", "no valid"),
        ("http://[fe80::1%25eth0]:2886", "network interface"),
        ("http://host:0", "no valid port"),
        ("http://host:", "no valid port"),
        ("http://host:65536", "no valid host or port"),
        ("http://host:x", "no valid host or port"),
        ("http://host/api/v1", "without path"),
        ("http://host?x=1", "without path"),
        ("http://host#x", "without path"),
        ("http://root:hush@host", "user or password"),
        ("http://root:hush@host:99999", "no valid host or port"),
    ],
)
def test_what_is_no_address_is_refused_with_a_remedy(text: str, complaint: str) -> None:
    """Each refusal is one sentence for people and repeats no password."""
    with pytest.raises(ValueError, match=complaint) as caught:
        parse_agent_url(text)
    assert "hush" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
