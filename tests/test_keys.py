from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bot.config import Settings
from bot.keys import KeyProblem, Vault, load_vault, new_key

PASSWORD = "made-up-Pa55word ü"


def _settings(folder: Path, **variables: str) -> Settings:
    return Settings.from_env({"DATABASE_URL": f"sqlite:///{folder}/obdag.db", **variables})


def test_round_trip() -> None:
    """What was encrypted comes back, and two encryptions of one text differ."""
    vault = Vault((new_key(),))
    assert vault.decrypt(vault.encrypt(PASSWORD)) == PASSWORD
    assert vault.encrypt(PASSWORD) != vault.encrypt(PASSWORD)


def test_first_key_encrypts_and_any_decrypts(tmp_path: Path) -> None:
    """Keys are changed by putting the new one first."""
    old, new = new_key(), new_key()
    token = Vault((old,)).encrypt(PASSWORD)
    both = load_vault(_settings(tmp_path, OBDAG_SECRET_KEY=f"{new}, {old}"))
    assert both.decrypt(token) == PASSWORD
    assert Vault((new,)).decrypt(both.encrypt(PASSWORD)) == PASSWORD


def test_wrong_key_is_named() -> None:
    """Another key's text is refused with the remedy, and without the text."""
    token = Vault((new_key(),)).encrypt(PASSWORD)
    with pytest.raises(KeyProblem, match="another key than that of OBDAG_SECRET_KEY") as caught:
        Vault((new_key(),)).decrypt(token)
    assert token not in str(caught.value)


def test_check_finds_what_cannot_be_decrypted() -> None:
    """A service can make sure at its start that it holds the right key."""
    vault = Vault((new_key(),))
    vault.check([vault.encrypt("a"), vault.encrypt("b")])
    with pytest.raises(KeyProblem):
        vault.check([vault.encrypt("a"), Vault((new_key(),)).encrypt("b")])


@pytest.mark.parametrize("keys", ["nonsense", ",", "a,b"])
def test_no_valid_key(tmp_path: Path, keys: str) -> None:
    """A text that is no key is refused, and not repeated."""
    with pytest.raises(KeyProblem, match="OBDAG_SECRET_KEY holds no valid key") as caught:
        load_vault(_settings(tmp_path, OBDAG_SECRET_KEY=keys))
    assert "nonsense" not in str(caught.value)


def test_key_file_is_made_beside_the_database(tmp_path: Path) -> None:
    """With SQLite a key file is made once, readable by its owner alone."""
    first = load_vault(_settings(tmp_path))
    file = tmp_path / "obdag.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert load_vault(_settings(tmp_path)).decrypt(first.encrypt(PASSWORD)) == PASSWORD
    assert list(tmp_path.iterdir()) == [file]


def test_first_commands_at_once_get_one_key(tmp_path: Path) -> None:
    """Whoever comes second keeps the first one's key."""
    with ThreadPoolExecutor(8) as pool:
        vaults = list(pool.map(lambda _: load_vault(_settings(tmp_path)), range(8)))
    token = vaults[0].encrypt(PASSWORD)
    assert [vault.decrypt(token) for vault in vaults] == [PASSWORD] * 8


def test_lost_key_file_is_not_replaced(tmp_path: Path) -> None:
    """Where stored passwords need a key, none is made up."""
    with pytest.raises(KeyProblem, match="is gone"):
        load_vault(_settings(tmp_path), create=False)
    assert list(tmp_path.iterdir()) == []


def test_folder_in_which_no_key_can_be_made(tmp_path: Path) -> None:
    """A folder that cannot be written to is named."""
    with pytest.raises(KeyProblem, match=r"cannot make the key file .*obdag\.key: No such file"):
        load_vault(_settings(tmp_path / "nowhere"))


def test_postgres_needs_a_key() -> None:
    """On PostgreSQL there is no place for a key file."""
    with pytest.raises(KeyProblem, match="obdag keys new"):
        load_vault(Settings.from_env({"DATABASE_URL": "postgres://h/db"}))


def test_repr_shows_no_key() -> None:
    """A vault says where its keys come from and no more."""
    key = new_key()
    assert key not in repr(Vault((key,)))
