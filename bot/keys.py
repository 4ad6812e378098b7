"""The keys that stored passwords are encrypted with (Fernet; several for a change of keys)."""

import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import mkstemp

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from bot.config import Settings
from bot.store.engine import database_url, sqlite_file

KEY_FILE = "obdag.key"


class KeyProblem(Exception):
    """There is no usable key, or it is not the one that a stored password was encrypted with."""


class Vault:
    """Encrypts passwords with the first key, and decrypts with any.

    `source` says where the keys come from (a variable, a file), for people.
    """

    def __init__(self, keys: tuple[str, ...], source: str = "OBDAG_SECRET_KEY") -> None:
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except (ValueError, TypeError):
            raise KeyProblem(f"{source} holds no valid key: make one with: obdag keys new") from None
        self.source = source

    def encrypt(self, text: str) -> str:
        """Return the encrypted text."""
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, token: str) -> str:
        """Return the text; raises `KeyProblem` when no key fits."""
        try:
            return self._fernet.decrypt(token.encode()).decode()
        except (InvalidToken, UnicodeDecodeError):
            raise KeyProblem(
                f"a stored password was encrypted with another key than that of {self.source}: "
                "bring the old key back, or set the password anew with: obdag clusters set-password NAME"
            ) from None

    def check(self, tokens: Iterable[str]) -> None:
        """Make sure that all these can be decrypted; raises `KeyProblem`."""
        for token in tokens:
            self.decrypt(token)

    def __repr__(self) -> str:
        """Say where the keys come from, not what they are."""
        return f"Vault({self.source})"


def new_key() -> str:
    """Return a new random key."""
    return Fernet.generate_key().decode()


def load_vault(settings: Settings, *, create: bool = True) -> Vault:
    """Return the vault that the settings mean; raises `KeyProblem`.

    Without `OBDAG_SECRET_KEY`, a key file beside the SQLite database is read. If there is none it is made,
    unless `create` is false: passwords that are stored already need the key that is lost, not a new one.
    """
    if settings.secret_key is not None:
        keys = settings.secret_key.get_secret_value().split(",")
        return Vault(tuple(key.strip() for key in keys if key.strip()))
    database = sqlite_file(database_url(settings.database_url.get_secret_value()))
    if database is None:
        raise KeyProblem("OBDAG_SECRET_KEY is needed with PostgreSQL; make one with: obdag keys new")
    return Vault((_file_key(database.with_name(KEY_FILE), create=create),), str(database.with_name(KEY_FILE)))


def _file_key(path: Path, *, create: bool) -> str:
    if create and not path.exists():
        _create(path)
    try:
        return path.read_text("ascii").strip()
    except FileNotFoundError:
        raise KeyProblem(
            f"{path} is gone, the key of the stored passwords: bring it back or set OBDAG_SECRET_KEY"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no key"
        raise KeyProblem(f"cannot read the key file {path}: {reason}") from None


def _create(path: Path) -> None:
    """Make the key file with all its content at once; a process that was first keeps its key."""
    try:
        handle, name = mkstemp(prefix=f".{KEY_FILE}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w") as file:
                file.write(f"{new_key()}\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(name, path)
        finally:
            Path(name).unlink()
    except FileExistsError:
        return
    except OSError as error:
        raise KeyProblem(f"cannot make the key file {path}: {error.strerror}; set OBDAG_SECRET_KEY") from None
