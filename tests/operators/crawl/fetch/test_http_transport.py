"""TLS to a checked address: the certificate and the Host header are still those of the name."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from voxmill.operators.crawl.facts.crawl_errors import NetworkError, PrivateAddress
from voxmill.operators.crawl.fetch.fetcher import Fetcher
from website import Answer, Website

pytest.importorskip("cryptography")


def certificate(folder: Path, name: str) -> Path:
    """A self-signed certificate for one host name, with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "site.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_the_name_is_verified_though_the_address_is_dialled(tmp_path: Path, make_fetcher: Callable[..., Fetcher]) -> None:
    pem = certificate(tmp_path, "media.example")
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    context.sni_callback = lambda sock, name, ctx: names.append(name)
    with Website({"/a.mp3": Answer(b"ID3")}, tls=context) as site:

        def here(host: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        fetcher = make_fetcher(resolve=here, ca_file=str(pem))
        assert fetcher.read(f"https://media.example:{site.port}/a.mp3").content == b"ID3"
        assert set(names) == {"media.example"}
        assert {asked.headers["host"] for asked in site.asked()} == {f"media.example:{site.port}"}

        asked = len(site.log)
        for untrusting in (
            make_fetcher(resolve=here, retries=0),
            make_fetcher(resolve=here, retries=0, ca_file=str(pem)),
        ):
            host = "media.example" if untrusting.settings.ca_file is None else "other.example"
            with pytest.raises(NetworkError, match="SSLError"):
                untrusting.read(f"https://{host}:{site.port}/a.mp3")
        with pytest.raises(PrivateAddress):
            make_fetcher(resolve=here, allow_private=()).read(f"https://media.example:{site.port}/a.mp3")
        assert len(site.log) == asked
