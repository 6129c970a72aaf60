"""Certificates and keys that are cut, damaged, of another kind: which file, what is wrong with it, what now."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from knote.apps.tls import Tls, TlsError
from tests.apps.test_tls import FIRST, SECOND


def _blocks(file: Path) -> tuple[str, str]:
    """The certificate and the key."""
    text = file.read_text()
    at = text.index("-----BEGIN CERTIFICATE-----")
    return text[at:], text[:at]


CERTIFICATE, KEY = _blocks(FIRST)
WHOLE, OTHER = _blocks(SECOND)
MIDDLE = CERTIFICATE[200:212]
CUT, NO_TEXT = CERTIFICATE[:300], CERTIFICATE.replace(MIDDLE, "!" * 12)
DAMAGED, SHORT = CERTIFICATE.replace(MIDDLE, "A" * 12), CERTIFICATE.replace(MIDDLE, "A" * 10)
END = CERTIFICATE.replace("-----END CERTIFICATE-----", "-----END CERT")


def said(tmp_path: Path, certificate: str | bytes, key: str | bytes | None) -> tuple[str, str]:
    """What it is about, and the words behind the file's name."""
    files = []
    for name, content in (("chain.pem", certificate), ("key.pem", key)):
        if content is not None:
            files.append(tmp_path / name)
            files[-1].write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(TlsError) as error:
        Tls(*files)
    words = str(error.value)
    assert "PEM lib" not in words
    assert words.startswith(f"TLS: {tmp_path}/")
    return error.value.of, words.removeprefix(f"TLS: {tmp_path}/")


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        ("", "chain.pem: the file is empty"),
        (CUT, "chain.pem: the block that begins in line 1 has no '-----END CERTIFICATE-----': it was cut"),
        (CERTIFICATE + CUT, "chain.pem: the block that begins in line 12 has no '-----END CERTIFICATE-----'"),
        (CUT + "\n" + CERTIFICATE, "chain.pem: line 7 has to be '-----END CERTIFICATE-----' or a part of it"),
        (END, "chain.pem: line 11 has to be '-----END CERTIFICATE-----' or a part of it"),
        (NO_TEXT, "chain.pem: line 4 is no base64; copy the file anew"),
        (SHORT, "chain.pem: the block that begins in line 1 is no base64: some of it is missing"),
        (DAMAGED, "chain.pem: the certificate that begins in line 1 is damaged; copy the file anew"),
        (CERTIFICATE + DAMAGED, "chain.pem: the certificate that begins in line 12 is damaged"),
        ("x" + CERTIFICATE, "chain.pem: '-----BEGIN ... CERTIFICATE-----' has to be a line of its own"),
        (KEY, "chain.pem: there is no '-----BEGIN ... CERTIFICATE-----' in it"),
        (ssl.PEM_cert_to_DER_cert(CERTIFICATE), "chain.pem: it is binary (DER or PKCS #12), and has to be PEM"),
    ],
)
def test_certificates(tmp_path: Path, certificate: str | bytes, words: str) -> None:
    of, found = said(tmp_path, certificate, KEY)
    assert (of, found[: len(words)]) == ("certificate", words)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("", "key.pem: the file is empty"),
        (KEY[:100], "key.pem: the block that begins in line 1 has no '-----END PRIVATE KEY-----': it was"),
        (KEY.replace(KEY[60:80], "A" * 20), "key.pem: the key is damaged, or of a kind that"),
        (CERTIFICATE, "key.pem: there is no '-----BEGIN ... PRIVATE KEY-----' in it"),
        (b"\x30\x82", "key.pem: it is binary (DER or PKCS #12), and has to be PEM, which 'openssl pkey"),
        (None, "chain.pem: there is no '-----BEGIN ... PRIVATE KEY-----' in it; --tls-key names"),
    ],
)
def test_keys(tmp_path: Path, key: str | bytes | None, words: str) -> None:
    of, found = said(tmp_path, CERTIFICATE, key)
    assert (of, found[: len(words)]) == ("key", words)


def test_a_key_of_another_certificate(tmp_path: Path) -> None:
    of, found = said(tmp_path, WHOLE + CERTIFICATE, KEY)
    assert of == "certificate"
    assert found == (
        f"chain.pem and {tmp_path}/key.pem: the key is not the certificate's; where there is a chain, its own "
        "comes first"
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "the file is empty"),
        (CUT, "the block that begins in line 1 has no '-----END CERTIFICATE-----'"),
        (CERTIFICATE + DAMAGED, "the certificate that begins in line 12 is damaged"),
        (KEY, "there is no '-----BEGIN ... CERTIFICATE-----' in it"),
    ],
)
def test_authorities(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "ca.pem"
    file.write_text(content)
    with pytest.raises(TlsError) as error:
        Tls(FIRST, clients=file)
    assert error.value.of == "clients"
    assert str(error.value).startswith(f"TLS: {file}: {words}")
