"""What a call says to a source, and to whom."""

from __future__ import annotations

import ssl
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared import source_transport
from shared.client import SourceClient
from shared.passage import starting
from shared.source_failures import SourceFailure
from shared.source_transport import SourceTransport
from tests.shared.calls.conftest import CALLED, OK, Line, ask, polite, source


async def test_a_request_says_what_it_is_told_to_say_and_nothing_else(sources: SourceClient) -> None:
    async with source(polite) as found:
        await ask(sources, found.url + "/a%2Fb/%7e%e7%81%ab;x=1?at=1+2&c=%2B", token="t")
    head, *said = found.lines[0].heard[0].decode().split("\r\n")
    assert head == "GET /a%2Fb/%7e%e7%81%ab;x=1?at=1+2&c=%2B HTTP/1.1"
    names = sorted(line.split(":")[0].lower() for line in said if line)
    assert names == ["accept", "accept-encoding", "authorization", "host", "liandong-deadline-ms", "user-agent", "via"]


async def test_a_large_body_arrives_whole_and_one_without_content_as_well(sources: SourceClient) -> None:
    body, taken = bytes(range(256)) * 12_000, bytearray()

    async def taking(line: Line) -> None:
        head = (await line.request()).lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        taken.extend(await line.reader.readexactly(length))
        await line.say(OK)

    async with source(taking) as found:
        assert await ask(sources, found.url, method="POST", content=body, headers={"Content-Type": "application/x-test"}) == b"{}"
        assert taken == body
        assert "content-type: application/x-test" in found.lines[0].heard[0].decode().lower()
        assert await ask(sources, found.url, method="POST") == b"{}"
        assert taken == body
        assert "content-type" not in found.lines[1].heard[0].decode().lower()


async def test_a_source_that_is_not_there_and_addresses_that_are_none_fail_by_name(sources: SourceClient) -> None:
    async with source(polite) as found:
        pass
    for url in (found.url, "http://no-such-host.invalid/"):
        with pytest.raises(SourceFailure, match="cannot be reached or broke off: ConnectError"):
            await ask(sources, url)
    for url in ("ftp://127.0.0.1/", "ws://127.0.0.1/", "http:///path", "http://127.1/"):
        with pytest.raises(SourceFailure, match="cannot be reached or broke off: UnsupportedProtocol"):
            await sources.ask(CALLED, url, starting("430300/hub", 5), insist=True)
    async with source(polite) as found:
        with pytest.raises(SourceFailure, match="cannot be reached or broke off: LocalProtocolError"):
            await sources.ask(CALLED, found.url, starting("430300/hub", 5), insist=True, headers={"X-Request-Id": "a\r\nb: c"})
        assert found.heard() == [0]


async def test_the_certificate_must_be_that_of_the_name_that_was_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serving, believing = certified("source.test", tmp_path)
    monkeypatch.setattr(source_transport, "trusted", lambda: believing)
    transport = SourceTransport(connections=2, keepalive_s=30)
    async with source(polite, serving) as found:
        named = httpx.Request("GET", found.url, headers={"Host": "source.test"}, extensions={"sni_hostname": "source.test"})
        async with aclosing(await transport.handle_async_request(named)) as response:
            assert await response.aread() == b"{}"
        assert found.lines[0].heard[0].decode().lower().count("host: source.test\r\n") == 1
        with pytest.raises(httpx.ConnectError, match="certificate"):
            await transport.handle_async_request(httpx.Request("GET", found.url))
    await transport.aclose()


def certified(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server of this name shows, and what believes nobody else."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "both.pem").write_bytes(secret + pem)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(folder / "both.pem")
    believing = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    believing.load_verify_locations(cadata=pem.decode())
    return serving, believing
