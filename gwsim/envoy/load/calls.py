"""libc and OpenSSL as nopython code calls them: by symbol, with integers and addresses only.

libc's symbols are in every process. OpenSSL's are taken from the library that Python's own `ssl` module uses, and given to the
linker by address, so that plain HTTP needs no such library.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import ssl
from functools import cache
from typing import Any

import llvmlite.binding
from numba.core import types

from gwsim.envoy.load.plan import Tls
from gwsim.errors import UsageError

_INT, _LONG, _ADDRESS, _NOTHING = types.int32, types.int64, types.uintp, types.void


def _external(name: str, result: Any, *arguments: Any) -> Any:
    return types.ExternalFunction(name, result(*arguments))


socket = _external("socket", _INT, _INT, _INT, _INT)
setsockopt = _external("setsockopt", _INT, _INT, _INT, _INT, _ADDRESS, _INT)
getsockopt = _external("getsockopt", _INT, _INT, _INT, _INT, _ADDRESS, _ADDRESS)
connect = _external("connect", _INT, _INT, _ADDRESS, _INT)
accept4 = _external("accept4", _INT, _INT, _ADDRESS, _ADDRESS, _INT)
send = _external("send", _LONG, _INT, _ADDRESS, _LONG, _INT)
recv = _external("recv", _LONG, _INT, _ADDRESS, _LONG, _INT)
close = _external("close", _INT, _INT)
epoll_ctl = _external("epoll_ctl", _INT, _INT, _INT, _INT, _ADDRESS)
epoll_wait = _external("epoll_wait", _INT, _INT, _ADDRESS, _INT, _INT)
ppoll = _external("ppoll", _INT, _ADDRESS, _LONG, _ADDRESS, _ADDRESS)
clock_gettime = _external("clock_gettime", _INT, _INT, _ADDRESS)
_INT_POINTER: Any = types.CPointer(_INT)  # type: ignore[no-untyped-call]
errno_location = _external("__errno_location", _INT_POINTER)

_OPENSSL: dict[str, tuple[Any, ...]] = {
    "SSL_new": (_ADDRESS, _ADDRESS), "SSL_free": (_NOTHING, _ADDRESS), "SSL_set_fd": (_INT, _ADDRESS, _INT),
    "SSL_connect": (_INT, _ADDRESS), "SSL_read": (_INT, _ADDRESS, _ADDRESS, _INT), "SSL_write": (_INT, _ADDRESS, _ADDRESS, _INT),
    "SSL_get_error": (_INT, _ADDRESS, _INT), "SSL_ctrl": (_LONG, _ADDRESS, _INT, _LONG, _ADDRESS),
    "SSL_set_session": (_INT, _ADDRESS, _ADDRESS), "SSL_get1_session": (_ADDRESS, _ADDRESS), "SSL_session_reused": (_INT, _ADDRESS),
    "SSL_set_shutdown": (_NOTHING, _ADDRESS, _INT), "SSL_SESSION_free": (_NOTHING, _ADDRESS), "ERR_clear_error": (_NOTHING,),
}  # fmt: skip
ssl_new, ssl_free, ssl_set_fd, ssl_connect, ssl_read, ssl_write, ssl_get_error, ssl_ctrl = (
    _external(name, *_OPENSSL[name]) for name in list(_OPENSSL)[:8]
)
ssl_set_session, ssl_get1_session, ssl_session_reused, ssl_set_shutdown, ssl_session_free, err_clear_error = (
    _external(name, *_OPENSSL[name]) for name in list(_OPENSSL)[8:]
)

_VERIFY_NONE, _PEM = 0, 1
_MODE, _PARTIAL_WRITES = 33, 3
_LEAST_VERSION, _MOST_VERSION = 123, 124
_VERSIONS = {"1.2": 0x0303, "1.3": 0x0304}


@cache
def _library() -> ctypes.CDLL | None:
    """OpenSSL, once Python's own module has loaded it."""
    assert ssl.OPENSSL_VERSION_INFO
    name = ctypes.util.find_library("ssl")
    try:
        found = ctypes.CDLL(name) if name else None
    except OSError:
        return None
    return found if found is not None and hasattr(found, "SSL_get1_session") and hasattr(found, "OPENSSL_init_ssl") else None


@cache
def link() -> None:
    """Give OpenSSL's addresses to the linker; without the library, addresses that nothing will call."""
    library = _library()
    unused = ctypes.cast(ctypes.CDLL(None).abort, ctypes.c_void_p).value
    for name in _OPENSSL:
        address = unused if library is None else ctypes.cast(getattr(library, name), ctypes.c_void_p).value
        llvmlite.binding.add_symbol(name, address)


class Context:
    """An SSL_CTX for one run's client connections. Raises UsageError where there is no OpenSSL, or a file cannot be used."""

    def __init__(self, tls: Tls, alpn: bytes) -> None:
        library = _library()
        if library is None:
            raise UsageError("TLS load needs OpenSSL's shared library (libssl): install it, or load without TLS")
        self._library = library
        for name in ("TLS_client_method", "SSL_CTX_new"):
            getattr(library, name).restype = ctypes.c_void_p
        self.address = int(library.SSL_CTX_new(ctypes.c_void_p(library.TLS_client_method())))
        self._call("SSL_CTX_set_verify", _VERIFY_NONE, None)
        self._call("SSL_CTX_ctrl", _MODE, ctypes.c_long(_PARTIAL_WRITES), None)
        self._call("SSL_CTX_set_alpn_protos", alpn, len(alpn))
        if tls.version is not None:
            for bound in (_LEAST_VERSION, _MOST_VERSION):
                self._call("SSL_CTX_ctrl", bound, ctypes.c_long(_VERSIONS[tls.version]), None)
        if tls.certificate is not None:
            key = str(tls.key or tls.certificate).encode()
            done = self._call("SSL_CTX_use_certificate_chain_file", str(tls.certificate).encode())
            if done != 1 or self._call("SSL_CTX_use_PrivateKey_file", key, _PEM) != 1:
                self.close()
                raise UsageError(f"{tls.certificate} and its key are no pair in PEM form")

    def _call(self, name: str, *arguments: Any) -> int:
        return int(getattr(self._library, name)(ctypes.c_void_p(self.address), *arguments))

    def close(self) -> None:
        """Give it back."""
        self._library.SSL_CTX_free(ctypes.c_void_p(self.address))


__all__ = ["Context", "link"]
