"""What the id of a DAG says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.dag import Host
from bot.core.ids import cluster_id, home, is_local, row

IDS = {
    "of the cluster": ("1157", None, False, 157),
    "of an agent with an IPv4 address": ("20167772161028867", Host("10.0.0.1", 2886), True, None),
    "of the same machine": ("22130706433028867", Host("127.0.0.1", 2886), True, None),
    "of an agent with an IPv6 address": (
        "3042540766411282592856903984951653826565028867",
        Host("2001:db8::5", 2886),
        True,
        None,
    ),
    "of a proxy": ("40167772161028867", Host("10.0.0.1", 2886), True, None),
    "without a row": ("2016777216102886", None, True, None),
    "without anything": ("1", None, False, None),
    "with no address there is": ("29999999999028867", None, True, None),
    "with no port there is": ("20167772161999997", None, True, None),
    "of a store nobody knows": ("90167772161028867", None, True, None),
}


@pytest.mark.parametrize("name", IDS)
def test_id_says_whose_it_is(name: str) -> None:
    """The first digit is the store, the next ones the agent, the rest the row."""
    dag_id, keeper, local, number = IDS[name]
    assert (home(dag_id), is_local(dag_id), row(dag_id)) == (keeper, local, number)


@given(st.integers(min_value=0, max_value=10**30))
def test_rows_of_the_cluster_make_their_ids(number: int) -> None:
    """A row number of the cluster and its id are the same thing."""
    assert row(cluster_id(number)) == number
    assert home(cluster_id(number)) is None


@given(st.text(alphabet="0123456789", min_size=1, max_size=80))
def test_any_digits_have_an_answer(dag_id: str) -> None:
    """Whatever an agent sends as an id, reading it does not fail."""
    keeper = home(dag_id)
    assert keeper is None or (is_local(dag_id) and row(dag_id) is None)
