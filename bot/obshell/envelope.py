"""The secrets of a request, bytes to bytes: what an agent's header and body are sealed with.

A header is a JSON object, cut into chunks of at most `k - 11` bytes (`k` is the modulus in bytes: 53 for the
512-bit keys of agents before 4.4.2.0, 117 for 1024 bits), each encrypted by RSA with PKCS#1 v1.5 padding, all
joined and written as base64. A body is AES-128-CBC with PKCS#7 padding; its key and IV travel in the header.

RSA is done here with `pow`, not with the library's `encrypt`: its padding cannot be given fixed random bytes,
so no test could know the result, and its `decrypt` answers a wrong key with random bytes instead of an error,
so a simulated agent could never refuse one. The public operation touches nothing secret but its result, and
the private one is for simulated agents only: neither needs constant time.
"""

import base64
import os
from collections.abc import Callable
from typing import Self

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)

Rand = Callable[[int], bytes]
"""Gives so many random bytes."""

PADDING_BYTES = 11
"""What PKCS#1 v1.5 takes of each block: 0, 2, at least eight random bytes, 0."""
MIN_RANDOM = 8
MIN_BITS = 512
MAX_BITS = 16384
"""Beyond this a "key" is an attack on our processor, not a key."""
AES_BITS = 128


class DecryptionError(ValueError):
    """What came is not sealed for this key, or was damaged; the text is the agent's word for the cause."""


class InvalidKey(ValueError):
    """A text that should be an RSA key is none that can be used."""


class PublicKey:
    """An agent's public key, read once and used many times."""

    def __init__(self, modulus: int, exponent: int) -> None:
        self._modulus, self._exponent = modulus, exponent
        self.bits = modulus.bit_length()
        if not MIN_BITS <= self.bits <= MAX_BITS:
            raise InvalidKey(f"an RSA key of {self.bits} bits is none that an agent uses")
        self.size = (self.bits + 7) // 8

    @classmethod
    def from_base64(cls, text: str) -> Self:
        """Read the text of `public_key`: base64 of a PKCS#1 `RSAPublicKey`; raises `InvalidKey`."""
        try:
            key = load_der_public_key(base64.b64decode(text, validate=True))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise InvalidKey("the public key is not base64 of a PKCS#1 RSA key") from error
        if not isinstance(key, rsa.RSAPublicKey):
            raise InvalidKey("the public key is not an RSA key")
        numbers = key.public_numbers()
        return cls(numbers.n, numbers.e)

    @property
    def chunk_size(self) -> int:
        """Return how many bytes fit into one block."""
        return self.size - PADDING_BYTES

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and (self._modulus, self._exponent) == (
            other._modulus,
            other._exponent,
        )

    def __hash__(self) -> int:
        return hash((self._modulus, self._exponent))

    def encrypt(self, data: bytes, rand: Rand = os.urandom) -> bytes:
        """Return the blocks that hold `data`, joined; each is as long as the modulus."""
        step = self.chunk_size
        return b"".join(self._block(data[at : at + step], rand) for at in range(0, len(data), step))

    def _block(self, chunk: bytes, rand: Rand) -> bytes:
        filling = _nonzero(self.size - 3 - len(chunk), rand)
        padded = b"\x00\x02" + filling + b"\x00" + chunk
        number = pow(int.from_bytes(padded, "big"), self._exponent, self._modulus)
        return number.to_bytes(self.size, "big")


def _nonzero(count: int, rand: Rand) -> bytes:
    """Return so many random bytes without a zero, which would end the padding early."""
    filling = b""
    while len(filling) < count:
        filling += rand(count - len(filling)).replace(b"\x00", b"")
    return filling


class PrivateKey:
    """The other half, for simulated agents; it checks the padding itself."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._numbers = key.private_numbers()
        self._modulus = self._numbers.public_numbers.n
        self.size = (key.key_size + 7) // 8
        der = key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
        self.public = base64.b64encode(der).decode()

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Read an unencrypted private key; raises `InvalidKey`."""
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise InvalidKey("not the PEM of an unencrypted private key") from error
        if not isinstance(key, rsa.RSAPrivateKey):
            raise InvalidKey("not an RSA key")
        return cls(key)

    def __repr__(self) -> str:
        return f"PrivateKey({self.size * 8} bits)"

    def decrypt(self, data: bytes) -> bytes:
        """Return what the blocks hold; raises `DecryptionError` as the agent would."""
        blocks = (data[at : at + self.size] for at in range(0, len(data), self.size))
        return b"".join(map(self._open_block, blocks))

    def _open_block(self, block: bytes) -> bytes:
        number = int.from_bytes(block, "big")
        if len(block) != self.size or number >= self._modulus:
            raise DecryptionError("crypto/rsa: decryption error")
        padded = self._power(number).to_bytes(self.size, "big")
        end = padded.find(b"\x00", 2)
        if not padded.startswith(b"\x00\x02") or end < 2 + MIN_RANDOM:
            raise DecryptionError("crypto/rsa: decryption error")
        return padded[end + 1 :]

    def _power(self, number: int) -> int:
        """Return `number ** d % n`, by the remainders of its two primes: several times faster than by `n`."""
        numbers = self._numbers
        by_p, by_q = pow(number, numbers.dmp1, numbers.p), pow(number, numbers.dmq1, numbers.q)
        return by_q + numbers.q * ((by_p - by_q) * numbers.iqmp % numbers.p)


class HeaderFields(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The members of a header that a client sends, in the spelling of the agent."""

    password: str = msgspec.field(name="Auth")
    expires: str = msgspec.field(name="Ts")
    uri: str = msgspec.field(name="Uri")
    keys: str | None = msgspec.field(name="Keys", default=None)

    def __repr__(self) -> str:
        return f"HeaderFields(expires={self.expires!r}, uri={self.uri!r})"


def header_json(*, password: str, expires: int, uri: str, keys: bytes | None = None) -> bytes:
    """Return the plain text of a header.

    `expires` is in seconds since the epoch by the agent's clock, and travels as a string: the agent refuses a
    number. `uri` is the request target exactly as sent, with its query. `keys` is AES key + IV (32 bytes),
    needed only with a body.
    """
    text = None if keys is None else base64.b64encode(keys).decode()
    return msgspec.json.encode(HeaderFields(password=password, expires=str(expires), uri=uri, keys=text))


def seal(plain: bytes, key: PublicKey, rand: Rand = os.urandom) -> str:
    """Return the value of the header whose plain text is given."""
    return base64.b64encode(key.encrypt(plain, rand)).decode()


def open_header(value: str, key: PrivateKey) -> bytes:
    """Return the plain text of a sealed header; raises `DecryptionError` with the agent's cause."""
    try:
        sealed = base64.b64decode(value, validate=True)
    except ValueError as error:
        raise DecryptionError("illegal base64 data") from error
    return key.decrypt(sealed)


def encrypt_body(plain: bytes, key: bytes, iv: bytes) -> bytes:
    """Return the body as it travels: base64 of AES-128-CBC of the padded text; key and IV have 16 bytes."""
    padder = PKCS7(AES_BITS).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    padded = padder.update(plain) + padder.finalize()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize())


def decrypt_body(sealed: bytes, key: bytes, iv: bytes) -> bytes:
    """Return the plain body; raises `DecryptionError` for a wrong key or a damaged text."""
    try:
        decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
        padded = decryptor.update(base64.b64decode(sealed, validate=True)) + decryptor.finalize()
        unpadder = PKCS7(AES_BITS).unpadder()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError as error:
        raise DecryptionError("the body cannot be decrypted") from error
