"""How often a password may be tried: by address and account together, by address, and by account for unknown devices.

A try is counted before the password is looked at, so that tries at the same moment do not pass together; the right password
takes its own count back. Nothing here depends on whether the account exists: unknown ones wait like all others.
"""

from __future__ import annotations

import hashlib
import math
import unicodedata
from dataclasses import dataclass
from typing import cast

import structlog
from django.conf import settings
from redis.exceptions import RedisError

from apps.accounts.types import GuessLimits
from apps.core.errors import RateLimited, Unavailable
from apps.core.ids import new_id
from apps.core.redis import redis_client, tenant_key

log = structlog.get_logger(__name__)
HOUR_MS = 3_600_000


# Keys: of the pair, of the account's tries, of the address's tries. All are taken, or none is and the wait comes back.
_TAKE = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local hour, member = tonumber(ARGV[1]), ARGV[2]
local free, first, longest = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local wait = tonumber(redis.call('HGET', KEYS[1], 'until') or 0) - now
for i = 2, 3 do
  local bound = tonumber(ARGV[4 + i])
  if bound > 0 then
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now - hour)
    if redis.call('ZCARD', KEYS[i]) >= bound then
      local oldest = redis.call('ZRANGE', KEYS[i], -bound, -bound, 'WITHSCORES')
      wait = math.max(wait, tonumber(oldest[2]) + hour - now)
    end
  end
end
if wait > 0 then return wait end
local count = redis.call('HINCRBY', KEYS[1], 'count', 1)
local pause = 0
if count >= free then pause = math.min(longest, first * 2 ^ math.min(count - free, 30)) end
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + pause))
redis.call('PEXPIRE', KEYS[1], hour)
for i = 2, 3 do
  if tonumber(ARGV[4 + i]) > 0 then
    redis.call('ZADD', KEYS[i], now, member)
    redis.call('PEXPIRE', KEYS[i], hour)
  end
end
return 0
"""


def account_key(email: str) -> str:
    """Return what an address counts under, the same for all spellings that sign in to one account, without naming it."""
    spelled = unicodedata.normalize("NFKC", email.strip()).casefold()
    return hashlib.sha256(spelled.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True)
class Attempt:
    """A try that was let through and counts as wrong until it is told otherwise."""

    keys: tuple[str, str, str]
    member: str

    def succeeded(self) -> None:
        """Take the count back: it was right. Without the store it stays, which costs a wait at most."""
        try:
            pipe = redis_client().pipeline(transaction=False)
            pipe.delete(self.keys[0])
            pipe.zrem(self.keys[1], self.member)
            pipe.zrem(self.keys[2], self.member)
            pipe.execute()
        except RedisError as error:
            log.warning("sign_in.not_taken_back", error=type(error).__name__)


def attempt_begin(*, kind: str, email: str, address: str, device: str = "") -> Attempt:
    """Count one try of a secret of `kind` ("sign_in", "reset", "change") and let it through.

    `address` is `core.peers.client_network` of the request. `device` is the id of a known device: it has a count of its
    own, which nobody else reaches, in place of the three others.
    Errors: RateLimited with the wait; Unavailable without Redis, since unlimited guessing is worse than a retry.
    """
    limits = GuessLimits(**settings.GUESS_LIMITS[kind])
    account = account_key(email)
    pair = ("device", device, account) if device else ("pair", address, account)
    keys = tuple(
        tenant_key("public", "guess", kind, *parts) for parts in (pair, ("account", account), ("address", address))
    )
    per_account, per_address = (0, 0) if device else (limits.per_account, limits.per_address)
    member = new_id().hex
    waits = (limits.free, limits.first_wait_s * 1000, limits.longest_wait_s * 1000)
    try:
        wait_ms = int(
            cast("int", redis_client().eval(_TAKE, 3, *keys, HOUR_MS, member, *waits, per_account, per_address))
        )
    except RedisError as error:
        log.warning("sign_in.store_away", error=type(error).__name__)
        raise Unavailable(code="limiter_unavailable", retry_after_s=2) from error
    if wait_ms:
        raise RateLimited("Too many tries.", code="too_many_tries", retry_after_s=math.ceil(wait_ms / 1000))
    return Attempt(cast("tuple[str, str, str]", keys), member)
