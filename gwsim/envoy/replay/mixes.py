"""Which entry of a client's mix each recorded request is; entries are made for requests the mix does not have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gwsim.envoy.replay.arrivals import Arrivals, Asked
from gwsim.scenario.document import Item, item_from, plain

Entry = dict[str, Any]
MOST = 2000
"""Different requests of one client; further ones are told apart without their query, then not at all."""


class Mixes:
    """The mixes of all clients of a scenario, with the shape of every arrival."""

    def __init__(self, arrivals: Arrivals, root: Item, told: dict[str, None], host: Callable[[str], str]) -> None:
        self.arrivals, self.root, self.told, self.host = arrivals, root, told, host
        self.names = list(root.value["clients"].value)
        self.entries = {name: self._given(name) for name in self.names}
        self.rows: dict[str, list[tuple[float, int | None]]] = {name: [] for name in self.names}

    def _given(self, name: str) -> list[Entry]:
        client = plain(self.root.value["clients"].value[name])
        mix = client.get("mix") if isinstance(client, dict) else None
        return [dict(one) for one in mix if isinstance(one, dict)] if isinstance(mix, list) else []

    def _sni(self, name: str) -> str:
        return str(plain(self.root.value["clients"].value[name]).get("sni") or "")

    def write(self) -> None:
        """Give every arrival to a client and an entry, and put the entries that were missing into the scenario."""
        before = {name: len(entries) for name, entries in self.entries.items()}
        known: dict[Asked, tuple[str, int | None]] = {}
        for time, asked in zip(self.arrivals.times_s, self.arrivals.asked, strict=True):
            if asked not in known:
                known[asked] = self._place(asked)
            name, at = known[asked]
            self.rows[name].append((time, at))
        for name, entries in self.entries.items():
            if not entries:
                entries.append({"path": "/", "weight": 1})
                self.told[f"client {name}: nothing says what it asks for; GET / is taken"] = None
            self._hosts(name, entries)
            if len(entries) > before[name]:
                self.told[f"client {name}: {len(entries) - before[name]} kinds of request are taken from arrivals.csv"] = None
            self._name(entries)
            self.root.value["clients"].value[name].value["mix"] = item_from(entries, self.root.value["clients"].span)

    def _hosts(self, name: str, entries: list[Entry]) -> None:
        """A host for requests without one."""
        without = [one for one in entries if not one.get("host")]
        if without and not self._sni(name):
            host = self.host(name)
            self.told[f"client {name}: requests that name no host are for {host}"] = None
            for one in without:
                one["host"] = host

    def _name(self, entries: list[Entry]) -> None:
        taken: set[str] = set()
        for at, entry in enumerate(entries):
            name = str(entry.get("name") or f"{entry.get('method', 'GET')} {entry.get('host', '')}{entry.get('path', '/')}")
            entry["name"] = name if name not in taken else f"{name} ({at})"
            taken.add(str(entry["name"]))

    def _place(self, asked: Asked) -> tuple[str, int | None]:
        """Client and entry of a request; None for one drawn by the weights."""
        names = [asked.client] if asked.client in self.entries else self.names
        if not asked.said:
            return names[0], None
        for name in names:
            for at, entry in enumerate(self.entries[name]):
                if self._same(asked, entry, self._sni(name)):
                    return name, at
        name = max(names, key=lambda one: self._likeness(asked, one)[0])
        return name, self._add(name, asked)

    def _same(self, asked: Asked, entry: Entry, sni: str) -> bool:
        headers = {str(key).lower(): str(value) for key, value in (entry.get("headers") or {}).items()}
        return (
            (not asked.method or asked.method == str(entry.get("method", "GET")).upper())
            and (not asked.host or asked.host == str(entry.get("host") or sni))
            and (not asked.path or asked.path == str(entry.get("path", "/")))
            and (not self.arrivals.has_headers or headers == dict(asked.headers))
            and (asked.response_size is None or "response_size" in entry)
        )

    def _likeness(self, asked: Asked, name: str) -> tuple[int, Entry | None]:
        """How much of a request the nearest entry of a client shares with it."""
        best: tuple[int, Entry | None] = (-1, None)
        for entry in self.entries[name]:
            host, path = str(entry.get("host") or self._sni(name)), str(entry.get("path", "/")).partition("?")[0]
            if asked.host and host and asked.host != host:
                continue
            shared = _shared(asked.path.partition("?")[0], path) + (asked.method == str(entry.get("method", "GET")).upper())
            if shared > best[0]:
                best = shared, entry
        return best

    def _add(self, name: str, asked: Asked) -> int:
        entries = self.entries[name]
        like = self._likeness(asked, name)[1] or {}
        if len(entries) >= MOST and like in entries:
            return entries.index(like)
        made: Entry = {"method": asked.method or str(like.get("method", "GET")), "path": asked.path or str(like.get("path", "/"))}
        host = asked.host or like.get("host") or self._sni(name)
        if host:
            made["host"] = str(host)
        if asked.headers:
            made["headers"] = dict(asked.headers)
        elif not self.arrivals.has_headers and like.get("headers"):
            made["headers"] = like["headers"]
        for field, given in (("request_size", asked.request_size), ("response_size", asked.response_size)):
            if given is not None:
                made[field] = given
            elif field in like:
                made[field] = like[field]
            else:
                made[field] = 0
        # What is in no mix is drawn by nobody; the weight counts for rows that do not say.
        made["weight"] = 1 if not like else 1e-9
        entries.append(made)
        return len(entries) - 1

    def of(self, name: str) -> tuple[tuple[float, ...], tuple[int | None, ...]]:
        """Instants and shapes of a client's requests."""
        rows = self.rows.get(name, [])
        return tuple(time for time, _ in rows), tuple(shape for _, shape in rows)


def _shared(a: str, b: str) -> int:
    """Length of the beginning that two paths share."""
    count = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        count += 1
    return count


__all__ = ["Mixes"]
