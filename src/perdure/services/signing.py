"""The keys of the server's own tokens: made once, replaced in time, the same on every server of a database.

A key signs for 90 days, or until somebody replaces it. Its public half stays published until every token that it signed
has ended. A process reads the keys anew twice a minute, and at once when it meets a token of a key that it does not
know: so none needs to be restarted.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from perdure.domain.errors import Unavailable
from perdure.domain.signing_key import KeyRing, KnownKeys, new_private_key, read_keys, replaced
from perdure.services.core import Core
from perdure.store import signing_keys
from perdure.store.runs import at

ROTATE_AFTER: Final = timedelta(days=90)
"""How long a key signs before another one takes its place."""

LONGEST_TOKEN: Final = timedelta(days=1)
"""No token of ours is good for longer."""

_REREAD_MS: Final = 30_000
"""How long a process may go on to sign with a key that another one has replaced."""
_UNKNOWN_MS: Final = 1_000
"""How often tokens of keys that are not ours may make a process read the keys anew."""
_SLACK: Final = timedelta(minutes=10)
"""For processes that have not heard of a new key yet, and whose clocks differ."""
_NAME: Final = "signing"


async def key_ring(core: Core) -> KeyRing:
    """The keys of all servers on this database; the first server that needs them makes one. Raises Unavailable."""
    return (await _known(core, _REREAD_MS)).ring


async def public_key(core: Core, key_id: str) -> rsa.RSAPublicKey | None:
    """The key of this id, if it is one of ours whose tokens may be good; None otherwise. Raises Unavailable."""
    now = core.clock()
    found = (await key_ring(core)).public_keys(now).get(key_id)
    return found or (await _known(core, _UNKNOWN_MS)).ring.public_keys(now).get(key_id)


async def rotate(core: Core) -> KeyRing:
    """Put a new key in the place of the one that signs, whose tokens stay good. Raises Unavailable.

    Of several processes that do it at once one does it, and all answer its key.
    """
    known = await _known(core, 0)
    return (await _replace(core, known)).ring


async def _known(core: Core, may_be_old: int) -> KnownKeys:
    known, now = core.signing_keys.get(_NAME), core.clock()
    if known is not None and 0 <= now - known.read_at < may_be_old:
        return known
    try:
        fresh = await _read(core)
    except Unavailable:
        if known is None:
            raise
        return known
    if now - fresh.ring.since >= ROTATE_AFTER / timedelta(milliseconds=1):
        fresh = await _replace(core, fresh)
    return _remembered(core, fresh)


async def _read(core: Core) -> KnownKeys:
    stored = await signing_keys.get(core.database)
    if stored is None:
        made = await asyncio.to_thread(new_private_key)
        await signing_keys.add(core.database, made, at(core.clock()))
        stored = await signing_keys.get(core.database)
        if stored is None:
            raise Unavailable("The signing key is gone. Try again.")
    text, since = stored
    return KnownKeys(read_keys(text, int(since.timestamp() * 1000)), text, core.clock())


async def _replace(core: Core, known: KnownKeys) -> KnownKeys:
    made = await asyncio.to_thread(new_private_key)
    now = core.clock()
    until = now + int((LONGEST_TOKEN + _SLACK) / timedelta(milliseconds=1))
    await signing_keys.replace(core.database, known.text, replaced(known.ring, made, now, until), at(now))
    return _remembered(core, await _read(core))


def _remembered(core: Core, known: KnownKeys) -> KnownKeys:
    core.signing_keys.put(_NAME, known)
    return known
