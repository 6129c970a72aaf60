"""What is wrong with a PEM file (RFC 7468), in words: of nearly all of it OpenSSL says 'PEM lib', and not of which
file."""

from __future__ import annotations

import base64
import re
import ssl
from pathlib import Path
from typing import Final

CERTIFICATE: Final = "CERTIFICATE"
KEY: Final = "PRIVATE KEY"
"""What the name of a block ends with: there are RSA PRIVATE KEY, TRUSTED CERTIFICATE and others."""
_BEGIN: Final = re.compile(rb"-----BEGIN ([A-Z0-9 #.]+)-----\s*")
_BINARY: Final = {
    CERTIFICATE: "'openssl x509 -inform der' and 'openssl pkcs12 -nokeys'",
    KEY: "'openssl pkey -inform der' and 'openssl pkcs12 -nodes -nocerts'",
}
"""What makes PEM of it."""
_ANEW: Final = "; copy the file anew"
_NO_TEXT: Final = re.compile(rb"[^A-Za-z0-9+/=\s]")
_SEQUENCE: Final = 0x30


def refused(
    error: Exception, certificate: str | Path, key: str | Path | None, option: str
) -> tuple[str, str, str]:
    """Why a certificate and its key were not taken: which of the two it is about ('certificate', 'key'), the name
    of the file, or of both, and what is wrong.

    key: None where it is in the certificate's file; option: what names another one.
    """
    words = complaint(certificate, CERTIFICATE)
    if words:
        return "certificate", str(certificate), words
    where, both = str(key or certificate), f"{certificate} and {key}" if key else str(certificate)
    words = complaint(where, KEY)
    if words:
        return "key", where, words if key else f"{words}; {option} names the file that has it"
    reason = getattr(error, "reason", None) or ""
    if reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
        return "certificate", both, "the key is not the certificate's; where there is a chain, its own comes first"
    if reason or not isinstance(error, ssl.SSLError):
        return "certificate", both, reason.replace("_", " ").lower() or _words(error)
    return "key", where, "the key is damaged, or of a kind that OpenSSL does not know" + _ANEW


def refused_authorities(error: Exception, file: str | Path) -> str:
    """Why a file of authorities was not taken."""
    reason = getattr(error, "reason", None) or ""
    return complaint(file, CERTIFICATE) or reason.replace("_", " ").lower() or _words(error)


def complaint(file: str | Path, kind: str) -> str:
    """What speaks against taking blocks of this kind from the file, as far as it shows in the PEM itself; "" if
    nothing does."""
    try:
        content = Path(file).read_bytes()
    except (OSError, ValueError) as why:
        return _words(why)
    if not content.strip():
        return "the file is empty"
    if content[0] == _SEQUENCE:
        return f"it is binary (DER or PKCS #12), and has to be PEM, which {_BINARY[kind]} make of it"
    lines = content.split(b"\n")
    found = False
    for at, line in enumerate(lines):
        begin = _BEGIN.fullmatch(line)
        if begin is not None and begin[1].decode().endswith(kind):
            found = True
            words = _of_block(lines, at, begin[1].decode())
            if words:
                return words
    if found:
        return ""
    mark = f"'-----BEGIN ... {kind}-----'"
    if re.search(rb"-----BEGIN [A-Z0-9 ]*" + kind.encode() + b"-----", content):
        return f"{mark} has to be a line of its own"
    return f"there is no {mark} in it"


def _of_block(lines: list[bytes], at: int, label: str) -> str:
    """lines[at] is its first one."""
    body = []
    for number in range(at + 1, len(lines)):
        line = lines[number].strip()
        if line.startswith(b"-----"):
            if line != f"-----END {label}-----".encode():
                return f"line {number + 1} has to be '-----END {label}-----' or a part of it" + _ANEW
            break
        if b":" in line:
            continue  # Proc-Type, DEK-Info (RFC 1421): of an old key
        if _NO_TEXT.search(line):
            return f"line {number + 1} is no base64" + _ANEW
        body.append(line)
    else:
        return f"the block that begins in line {at + 1} has no '-----END {label}-----': it was cut short" + _ANEW
    try:
        data = base64.b64decode(b"".join(body), validate=True)
    except ValueError:
        return f"the block that begins in line {at + 1} is no base64: some of it is missing" + _ANEW
    if label == CERTIFICATE and not _is_certificate(data):
        return f"the certificate that begins in line {at + 1} is damaged" + _ANEW
    return ""


def _is_certificate(data: bytes) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=data)
    except ssl.SSLError:
        return False
    return True


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
