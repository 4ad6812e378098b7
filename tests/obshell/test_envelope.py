import base64
import hashlib
from itertools import count

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.obshell.envelope import (
    DecryptionError,
    HeaderFields,
    InvalidKey,
    PrivateKey,
    PublicKey,
    Rand,
    decrypt_body,
    encrypt_body,
    header_json,
    open_header,
    seal,
)
from tests.obshell.helpers import KEYS, private_key

SIZES = [(512, 53), (1024, 117), (2048, 245)]
AES_BYTES = st.binary(min_size=16, max_size=16)
BITS = st.sampled_from([512, 1024, 2048])
PLAIN = header_json(
    password="S3cret", expires=1778292090, uri="/api/v1/task/dag/ob/unfinish?show_details=false"
)
ELLIPTIC = ec.generate_private_key(ec.SECP256R1())
GOLDEN_512 = (
    "docAGeFGoldCo5yb2FHvYHEoLutMAhfUn8Yki6QTwo3j8aZR3fYD2yuDcUbNkmS2KyVeL0GilXVN0lLe5aatLTAJB589afYr"
    "ZjsLcf6HoflE2V3By+N7WCHdoADA3o0EO8k6mXOdNrJhN+ce/FR6SPeiX5/4VILetHbhClHCEjI="
)
GOLDEN_SHA256 = {
    1024: "ca087e4ce5165041d56264b15a9012aba32abe7faa4583da55b66d3daccdfc85",
    2048: "2632888a0c2c8932181544d63dd665ff3bcc3cf68bbd324cf93507c495e62533",
}


def counting(start: int = 0) -> Rand:
    """Return a source of "random" bytes that counts, zeros included."""
    numbers = count(start)
    return lambda size: bytes(next(numbers) % 256 for _ in range(size))


def public_key(bits: int) -> PublicKey:
    """Return the public half of the fixed key of that size."""
    return PublicKey.from_base64(private_key(bits).public)


def library_key(bits: int) -> rsa.RSAPrivateKey:
    """Return the fixed key as the library knows it."""
    key = load_pem_private_key((KEYS / f"rsa{bits}.pem").read_bytes(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def test_header_has_the_members_and_spelling_of_the_agent() -> None:
    """`Ts` is a string; `Keys` is there only with a body."""
    assert PLAIN == (
        b'{"Auth":"S3cret","Ts":"1778292090","Uri":"/api/v1/task/dag/ob/unfinish?show_details=false"}'
    )
    with_keys = header_json(password="", expires=1, uri="/x", keys=bytes(32))
    assert with_keys == b'{"Auth":"","Ts":"1","Uri":"/x","Keys":"' + base64.b64encode(bytes(32)) + b'"}'


def test_golden_header_for_a_short_key() -> None:
    """With known random bytes the header is known to the letter."""
    assert seal(PLAIN, public_key(512), counting()) == GOLDEN_512


@pytest.mark.parametrize("bits", [1024, 2048])
def test_golden_header_for_longer_keys(bits: int) -> None:
    """The same for the keys of newer agents."""
    sealed = seal(PLAIN, public_key(bits), counting())
    assert hashlib.sha256(sealed.encode()).hexdigest() == GOLDEN_SHA256[bits]


@pytest.mark.parametrize(("bits", "chunk"), SIZES)
def test_chunks_follow_from_the_modulus(bits: int, chunk: int) -> None:
    """A key of k bytes takes chunks of k - 11, each one block of k bytes."""
    key = public_key(bits)
    assert (key.bits, key.chunk_size) == (bits, chunk)
    assert len(key.encrypt(bytes(chunk))) == bits // 8
    assert len(key.encrypt(bytes(chunk + 1))) == 2 * bits // 8


@pytest.mark.parametrize(("bits", "chunk"), SIZES)
def test_another_implementation_opens_our_blocks(bits: int, chunk: int) -> None:
    """The library decrypts what we encrypted, also with random bytes that begin with zeros."""
    block = public_key(bits).encrypt(b"x" * chunk, counting(250))
    assert library_key(bits).decrypt(block, padding.PKCS1v15()) == b"x" * chunk


@pytest.mark.parametrize("bits", [512, 1024, 2048])
def test_we_open_the_blocks_of_another_implementation(bits: int) -> None:
    """We decrypt what the library encrypted."""
    block = library_key(bits).public_key().encrypt(b"hello", padding.PKCS1v15())
    assert private_key(bits).decrypt(block) == b"hello"


@settings(max_examples=50)
@given(bits=BITS, plain=st.binary(max_size=600))
def test_sealed_opens_again(bits: int, plain: bytes) -> None:
    """Any bytes survive the way there and back, for every size of key."""
    assert open_header(seal(plain, public_key(bits)), private_key(bits)) == plain


@pytest.mark.parametrize(
    "sealed",
    [
        seal(PLAIN, PublicKey.from_base64(private_key(1024).public)),
        base64.b64encode(b"abc").decode(),
        base64.b64encode(bytes(64)).decode(),
        base64.b64encode(b"\xff" * 64).decode(),
        seal(PLAIN, PublicKey.from_base64(private_key(512).public))[:-4],
        "no base64!",
        "ümläut",
    ],
    ids=["another key", "short", "zeros", "too large", "cut", "not base64", "not ASCII"],
)
def test_what_is_not_sealed_for_the_key_is_refused(sealed: str) -> None:
    """A wrong key or a damaged header is an error, never random bytes."""
    with pytest.raises(DecryptionError):
        open_header(sealed, private_key(512))


def test_short_padding_is_refused() -> None:
    """Fewer than eight random bytes are no padding."""
    key = library_key(512).public_key().public_numbers()
    padded = b"\x00\x02" + b"\x01" * 7 + b"\x00" + b"x" * 54
    block = pow(int.from_bytes(padded, "big"), key.e, key.n).to_bytes(64, "big")
    with pytest.raises(DecryptionError, match="crypto/rsa: decryption error"):
        private_key(512).decrypt(block)


def _der(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> str:
    return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "%%%",
        "ümläut",
        base64.b64encode(b"junk").decode(),
        _der(ec.generate_private_key(ec.SECP256R1()).public_key()),
    ],
    ids=["empty", "not base64", "not ASCII", "not DER", "not RSA"],
)
def test_a_text_that_is_no_key_is_refused(text: str) -> None:
    """What an agent sends as its key may be anything."""
    with pytest.raises(InvalidKey):
        PublicKey.from_base64(text)


@pytest.mark.parametrize("bits", [12, 511, 20000])
def test_a_key_of_absurd_size_is_refused(bits: int) -> None:
    """A tiny key would hide nothing, a huge one would cost us the processor."""
    with pytest.raises(InvalidKey, match="bits"):
        PublicKey(1 << (bits - 1), 65537)


@pytest.mark.parametrize(
    "pem",
    [
        b"junk",
        ELLIPTIC.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    ],
    ids=["junk", "not RSA"],
)
def test_a_file_that_is_no_private_key_is_refused(pem: bytes) -> None:
    """A simulated agent needs an RSA key."""
    with pytest.raises(InvalidKey):
        PrivateKey.from_pem(pem)


def test_keys_compare_by_value_and_show_nothing() -> None:
    """Two readings of one text are one key, and a private key does not print itself."""
    assert public_key(512) == public_key(512)
    assert len({public_key(512), public_key(512), public_key(1024)}) == 2
    assert repr(private_key(512)) == "PrivateKey(512 bits)"
    assert "S3cret" not in repr(HeaderFields(password="S3cret", expires="1", uri="/x"))


@given(
    plain=st.binary(max_size=200),
    key=st.binary(min_size=16, max_size=16),
    iv=st.binary(min_size=16, max_size=16),
)
def test_bodies_open_again(plain: bytes, key: bytes, iv: bytes) -> None:
    """Any body survives the way there and back."""
    assert decrypt_body(encrypt_body(plain, key, iv), key, iv) == plain


def test_golden_body() -> None:
    """The body of a RETRY under a known key is known to the letter."""
    sealed = encrypt_body(b'{"operator":"RETRY"}', b"0123456789abcdef", b"fedcba9876543210")
    assert sealed == b"5sirP2KDPcbmWP5iWj2eUo4mlDG5ki+6DZ+/qoONUq8="


@pytest.mark.parametrize("sealed", [b"", b"{}", base64.b64encode(b"x" * 15), base64.b64encode(b"x" * 16)])
def test_a_body_that_is_not_sealed_is_refused(sealed: bytes) -> None:
    """Plain JSON, a cut text and noise are no bodies."""
    with pytest.raises(DecryptionError):
        decrypt_body(sealed, b"k" * 16, b"i" * 16)
