"""The request of `gwsim route` from the words of its command line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gwsim.errors import UsageError

if TYPE_CHECKING:
    from gwsim.topology import Request

SCHEMES = ("http", "https", "grpc", "tls", "tcp")
DEFAULT_PORTS = {"http": 80, "https": 443, "grpc": 80, "tls": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What was given; None or empty: not given."""

    url: str = ""
    scheme: str | None = None
    host: str | None = None
    path: str | None = None
    method: str = "GET"
    headers: tuple[str, ...] = ()
    sni: str | None = None
    alpn: str = ""
    client_certificate: bool | None = None
    claims: str = ""
    token_rejected: bool = False
    remote_ip: str = ""
    destination: str = ""


def request_of(words: Words) -> tuple[Request, int | None]:
    """The request, and the port that the URL names. Raises UsageError."""
    from gwsim.topology import Request

    url_scheme, url_host, url_port, url_path = _url(words.url)
    scheme: Any = (words.scheme or url_scheme or "http").lower()
    if scheme not in SCHEMES:
        raise UsageError(f"{scheme!r} is no scheme; write one of {', '.join(SCHEMES)}")
    headers = _headers(words.headers)
    own_host = next((value for name, value in headers.items() if name.lower() == "host"), None)
    host = words.host if words.host is not None else own_host if own_host is not None else url_host
    sni = words.sni
    if sni is None and url_host and host != url_host:
        sni = url_host.rpartition(":")[0] if url_port is not None else url_host
    request = Request(
        scheme=scheme,
        host=host,
        path=words.path if words.path is not None else url_path,
        method=words.method.upper(),
        headers={name: value for name, value in headers.items() if name.lower() != "host"},
        sni=sni if scheme in ("https", "tls") else None,
        alpn=tuple(part.strip() for part in words.alpn.split(",") if part.strip()),
        client_certificate=words.client_certificate,
        claims=_claims(words.claims),
        token_rejected=words.token_rejected,
        remote_ip=words.remote_ip,
        destination=words.destination,
    )
    if not request.path.startswith("/") and request.path != "*":
        raise UsageError(f"the path {request.path!r} does not begin with /")
    return request, url_port


def _url(text: str) -> tuple[str, str, int | None, str]:
    """Scheme, host as a client writes it (without the scheme's own port), port, path with query."""
    if not text:
        return "", "", None, "/"
    if "://" not in text:
        if text.startswith("/"):
            return "", "", None, text
        text = f"http://{text}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"the URL {text!r} cannot be read: {error}") from None
    host = parts.netloc.rpartition("@")[2]
    if port is not None and port == DEFAULT_PORTS.get(parts.scheme):
        host = host.rpartition(":")[0]
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.scheme, host, port, path


def _headers(given: tuple[str, ...]) -> dict[str, str]:
    made: dict[str, str] = {}
    for text in given:
        name, colon, value = text.partition(":") if not text.startswith(":") else ("", "", "")
        if not colon or not name.strip() or name != name.strip():
            raise UsageError(f"-H {text!r} is no header; write 'Name: value'")
        made[name] = f"{made[name]},{value.strip()}" if name in made else value.strip()
    return made


def _claims(text: str) -> dict[str, Any] | None:
    if not text:
        return None
    try:
        claims = json.loads(text)
    except ValueError as error:
        raise UsageError(f"--jwt-claims is not JSON: {error}") from None
    if not isinstance(claims, dict):
        raise UsageError("--jwt-claims must be a JSON object")
    return claims


__all__ = ["DEFAULT_PORTS", "SCHEMES", "Words", "request_of"]
