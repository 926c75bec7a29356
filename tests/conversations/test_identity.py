"""F1t: a signed token proves its claims, and nothing else does."""

from __future__ import annotations

import hashlib
import json
import random
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.db import connection

from apps.conversations.access import access_inbox_by_widget_token, access_visitor
from apps.conversations.models import Contact, Conversation
from apps.conversations.selectors import conversation_get
from apps.conversations.services import inbox_create, inbox_identity_secret_renew, inbox_update
from apps.core.errors import Forbidden
from apps.core.tenancy import tenant_scope
from tests.conversations.proofs import ADA, hash_proof, part, secret_of, signed, soon, token_proof
from tests.conversations.test_visitors import _write as write

PATHS = (
    "../../../../etc/passwd",
    "/dev/null",
    "keys/../../secret",
    "' OR '1'='1",
    "x' UNION SELECT 'k'--",
    "|id",
    "\x00",
    "",
)
URLS = ("https://evil.example/jwks.json", "http://127.0.0.1:6379/", "file:///etc/passwd", "//evil.example/k")


def _refusal(inbox: Any, identity: Any) -> str:
    """The code that an identity is refused with, or "" when it is accepted."""
    try:
        access_visitor(inbox, None, identity)
    except Forbidden as error:
        return error.code
    return ""


def _contact(inbox: Any) -> tuple[Any, ...]:
    with tenant_scope(inbox.tenant_id):
        found = Contact.objects.get()
    return found.external_id, found.name, found.name_verified, found.email, found.email_verified, found.verified


# -- what is proven --------------------------------------------------------------------------------------------------
def test_the_claims_of_a_token_are_verified(inbox: Any) -> None:
    write(access_visitor(inbox, None, token_proof(inbox)))
    assert _contact(inbox) == ("user-7", "Ada", True, "ada@customer.example", True, True)


def test_with_the_hash_only_the_id_is_proven(inbox: Any) -> None:
    write(access_visitor(inbox, None, hash_proof(inbox, "user-7", name="Ada", email="ada@customer.example")))
    assert _contact(inbox) == ("user-7", "Ada", False, "ada@customer.example", False, True)


def test_a_name_beside_a_token_is_not_taken(inbox: Any) -> None:
    said = {**token_proof(inbox, name=None, email=None), "name": "Eve", "email": "eve@customer.example", "id": "user-8"}
    write(access_visitor(inbox, None, said))
    assert _contact(inbox) == ("user-7", "", False, "", False, True)


def test_an_address_that_the_host_has_not_verified_is_a_said_one(inbox: Any) -> None:
    write(access_visitor(inbox, None, token_proof(inbox, email_verified=False)))
    assert _contact(inbox) == ("user-7", "Ada", True, "ada@customer.example", False, True)


def test_what_is_said_later_does_not_replace_what_was_proven(inbox: Any) -> None:
    visitor = access_visitor(inbox, None, token_proof(inbox))
    write(visitor)
    access_visitor(inbox, visitor.token, hash_proof(inbox, "user-7", name="Eve", email="eve@customer.example"))
    assert _contact(inbox) == ("user-7", "Ada", True, "ada@customer.example", True, True)


def test_what_is_proven_later_replaces_what_was_said(inbox: Any) -> None:
    write(access_visitor(inbox, None, hash_proof(inbox, "user-7", name="Eve", email="eve@customer.example")))
    write(access_visitor(inbox, None, token_proof(inbox)))
    assert _contact(inbox) == ("user-7", "Ada", True, "ada@customer.example", True, True)


def test_rows_of_before_count_as_said(inbox: Any) -> None:
    """Written by a process of before, which knows neither column."""
    with tenant_scope(inbox.tenant_id), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO conversations_contact"
            " (id, tenant_id, name, email, external_id, verified, attributes, created_at)"
            " VALUES (gen_random_uuid(), %s, 'Ada', 'ada@customer.example', 'user-7', true, '{}', now())",
            [str(inbox.tenant_id)],
        )
    assert _contact(inbox) == ("user-7", "Ada", False, "ada@customer.example", False, True)


def test_staff_see_which_is_which(inbox: Any) -> None:
    conversation_id = write(access_visitor(inbox, None, token_proof(inbox, name=None)))
    shown = conversation_get(tenant_id=inbox.tenant_id, conversation_id=conversation_id).as_dict()["contact"]
    assert (shown["verified"], shown["name_verified"], shown["email_verified"]) == (True, False, True)


def test_nobody_is_found_by_an_address(inbox: Any) -> None:
    """F3t: the address of a customer, said or proven, leads to that customer's contact only with the proven id."""
    write(access_visitor(inbox, None, token_proof(inbox)))
    write(access_visitor(inbox, None, hash_proof(inbox, "user-8", email="ada@customer.example")))
    write(access_visitor(inbox, None, token_proof(inbox, sub="user-9")))
    with tenant_scope(inbox.tenant_id):
        assert Contact.objects.count() == Conversation.objects.values("contact_id").distinct().count() == 3


def test_a_token_made_by_a_library_is_accepted(inbox: Any) -> None:
    claims = {
        **ADA,
        "iat": int(time.time()),
        "nbf": int(time.time()),
        "exp": soon(24 * 3600),
        "aud": inbox.widget_token,
    }
    assert _refusal(inbox, {"token": jwt.encode(claims, secret_of(inbox), algorithm="HS256")}) == ""


@pytest.mark.parametrize("claims", [{"sub": None, "id": "user-7"}, {"id": "user-7"}, {"exp": soon(3600) + 0.5}])
def test_other_ways_to_say_it_are_accepted(inbox: Any, claims: dict[str, Any]) -> None:
    whole = {name: value for name, value in {**ADA, "exp": soon(), **claims}.items() if value is not None}
    assert _refusal(inbox, {"token": signed(secret_of(inbox), whole)}) == ""


def test_a_configured_audience_and_issuer_are_required(inbox: Any) -> None:
    changes = {"identity_audience": "support", "identity_issuer": "https://shop.example"}
    strict = inbox_update(tenant_id=inbox.tenant_id, inbox_id=inbox.id, changes=changes, actor="t")
    good = {"aud": "support", "iss": "https://shop.example"}
    wrong = [
        {},
        {"aud": "support"},
        {"iss": good["iss"]},
        {**good, "aud": "other"},
        {**good, "iss": "https://shop.exampl"},
    ]
    wrong += [{**good, "iss": "https://shop.example/"}, {**good, "aud": inbox.widget_token}, {**good, "aud": ["other"]}]
    wrong += [{**good, "iss": ["https://shop.example"]}, {**good, "aud": None}, {**good, "aud": {"support": 1}}]
    assert _refusal(strict, token_proof(inbox, **good)) == ""
    assert [_refusal(strict, token_proof(inbox, **claims)) for claims in wrong] == ["identity_invalid"] * len(wrong)


def test_a_renewed_secret_ends_the_tokens_of_before(inbox: Any) -> None:
    proof = token_proof(inbox)
    inbox_identity_secret_renew(tenant_id=inbox.tenant_id, inbox_id=inbox.id, actor="t")
    assert _refusal(inbox, proof) == "identity_invalid"


def test_a_client_can_tell_that_a_token_has_expired(inbox: Any) -> None:
    assert _refusal(inbox, token_proof(inbox, exp=soon(-1))) == "identity_expired"


# -- F1t: 300 forgeries ----------------------------------------------------------------------------------------------
def _of_algorithms(inbox: Any, key: str) -> list[str]:
    """No signature, another one, and the confusion of a public key with a secret."""
    claims = {**ADA, "exp": soon()}
    names = [
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        None,
        7,
        ["HS256"],
        {"HS256": 1},
        "hs256",
        "HS256 ",
        "HS384",
        "HS512",
        "RS256",
    ]
    names += ["RS512", "ES256", "PS256", "EdDSA", "HS1", "MD5", "dir", "A128KW"]
    headers = [{"alg": name, "typ": "JWT"} for name in names]
    unsigned = [f"{part(header)}.{part(claims)}." for header in headers]
    pem = _public_pem()
    return [
        *unsigned,
        *[token.rstrip(".") for token in unsigned],
        *[signed(key, claims, header) for header in headers],
        signed(key, claims, {"alg": "HS384"}, digest=hashlib.sha384),
        signed(key, claims, {"alg": "HS512"}, digest=hashlib.sha512),
        signed(key, claims, {}),
        signed(key, claims, {"typ": "JWT"}),
        *[signed(pem, claims, {"alg": name, "typ": "JWT"}) for name in ("HS256", "RS256")],
        jwt.encode(claims, _PRIVATE, algorithm="RS256"),
    ]


_PRIVATE = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _public_pem() -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return _PRIVATE.public_key().public_bytes(serialization.Encoding.PEM, form)


def _of_keys(inbox: Any, key: str, others: list[Any]) -> list[str]:
    """Signed by whoever is not this inbox's host page."""
    claims = {**ADA, "exp": soon()}
    keys: list[Any] = [
        "",
        "\0",
        "secret",
        key[:-1],
        key.upper(),
        key[::-1],
        key + "0",
        " " + key,
        b"\0" * 32,
        b"\0" * 64,
    ]
    keys += [
        inbox.widget_token,
        str(inbox.id),
        str(inbox.tenant_id),
        bytes.fromhex(key),
        hashlib.sha256(key.encode()).digest(),
    ]
    keys += [secret_of(other) for other in others]
    return [signed(one, claims) for one in keys]


def _of_headers(key: str) -> list[str]:
    """Headers that say where a key is: with the right signature too, since there is one key and nowhere to look."""
    claims = {**ADA, "exp": soon()}
    base = {"alg": "HS256", "typ": "JWT"}
    found = [{**base, "kid": path} for path in PATHS]
    found += [{**base, name: url} for name in ("jku", "x5u", "kid") for url in URLS]
    found += [{**base, "jwk": {"kty": "oct", "k": part(b"evil")}}, {**base, "x5c": ["MII="]}, {**base, "crit": ["exp"]}]
    found += [
        {**base, "b64": False, "crit": ["b64"]},
        {**base, "zip": "DEF"},
        {**base, "cty": "JWT"},
        {**base, "enc": "A256GCM"},
    ]
    return [signed(one, claims, header) for header in found for one in (key, "", "evil")]


def _of_claims(inbox: Any, other: Any, key: str) -> list[str]:
    """Rightly signed by the host page, and not to be taken: no end, a far end, not yet, for somebody else, nobody."""
    at = time.time()
    numbers: list[Any] = [
        None,
        True,
        False,
        "",
        "soon",
        str(soon()),
        [soon()],
        {"at": soon()},
        0,
        -1,
        at - 1,
        at - 3600,
    ]
    numbers += [
        at + 25 * 3600,
        at + 24 * 3600 + 60,
        at + 10**6,
        2**63,
        10**30,
        float("inf"),
        float("nan"),
        float("-inf"),
        1e308,
    ]
    changes: list[dict[str, Any]] = [{"exp": value} for value in numbers]
    changes += [{"nbf": value} for value in (at + 60, at + 3600, 2**63, "now", True, None, float("nan"), [1])]
    changes += [{"iat": value} for value in (at + 60, at + 3600, 2**63, "now", True, None, float("nan"), {})]
    changes += [
        {"aud": value} for value in ("other", other.widget_token, ["a", "b"], 7, {}, "", inbox.widget_token + " ", [])
    ]
    ids: list[Any] = ["", None, 7, True, [], ["user-7"], {"id": "user-7"}, "x" * 121, "user\x00-7", "\x00", 1.5]
    changes += [{"sub": value} for value in ids]
    changes += [{"sub": "user-7", "id": "user-8"}, {"id": ""}, {"id": None}, {"id": 7}, {"id": ["user-7"]}]
    changes += [{"email": value} for value in (7, ["a@b.example"], {"a": 1}, True)] + [
        {"name": ["Ada"]},
        {"name": {"a": 1}},
    ]
    made = [signed(key, json.dumps({**ADA, "exp": soon(), **change})) for change in changes]
    without = [{k: v for k, v in {**ADA, "exp": soon()}.items() if k != name} for name in ("exp", "sub")]
    surrogate = f'{{"sub": "\\ud800", "exp": {soon()}}}'
    return [*made, *[signed(key, claims) for claims in without], signed(key, surrogate)]


def _of_forms(key: str) -> list[Any]:
    """What is no token: cut, changed, huge, nested, said twice."""
    good = signed(key, {**ADA, "exp": soon()})
    head, body, seal = good.split(".")
    end = f'"exp": {soon()}'
    odd: list[Any] = [
        None,
        7,
        True,
        [],
        [good],
        {"token": good},
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        good + ".",
        "." + good,
        f"{good}.{seal}",
    ]
    odd += [good[:cut] for cut in range(1, len(good), 17)]
    odd += [
        f"{head}.{body}.",
        f"{head}..{seal}",
        f".{body}.{seal}",
        f"{body}.{head}.{seal}",
        f"{head}.{body}.{seal[::-1]}",
    ]
    odd += [f"{head}.{body}.{seal[:-1]}{other}" for other in "ABCDEFGHIJKLMNOP" if other != seal[-1]]
    odd += [
        good.replace(".", "="),
        good + "=",
        good + "\n",
        " " + good,
        good.replace(".", " .", 1),
        good + "\x00",
        good.swapcase(),
    ]
    odd += [f"{head}=.{body}.{seal}", f"{head}.{body}==.{seal}", good.encode().hex(), "Bearer " + good, "\ud800" + good]
    odd += [f"{head}.{part({**ADA, 'sub': 'user-8', 'exp': soon()})}.{seal}"]
    bodies: list[Any] = [
        "[" * 1000 + "]" * 1000,
        '{"a":' * 500 + "1" + "}" * 500,
        "[]",
        "7",
        "null",
        '"user-7"',
        "",
        "{",
        "\xff",
        b"\xff\xfe",
    ]
    bodies += [
        f'{{"sub": "user-7", "sub": "user-8", {end}}}',
        f'{{"sub": "user-7", {end}, "exp": 1}}',
        f'{{"exp": 1, "sub": "user-7", {end}}}',
    ]
    bodies += [
        f'{{"sub": "user-7", {end}, "x": {{"a": 1, "a": 2}}}}',
        part({**ADA, "exp": soon()}),
        good,
        json.dumps({"token": good}),
    ]
    bodies += [f'{{"sub": "user-7", "exp": {"9" * 5000}}}', f'{{"sub": "user-7", {end}, "x": "{"x" * 5000}"}}']
    odd += [signed(key, one) for one in bodies]
    odd += [
        signed(key, {**ADA, "exp": soon()}, header) for header in ("[]", "7", "null", "", "{", "[" * 1500 + "]" * 1500)
    ]
    odd += [signed(key, {**ADA, "exp": soon()}, '{"alg": "none", "alg": "HS256"}'), "x" * 100_000, "." * 5000]
    return odd


def _tampered(key: str) -> list[str]:
    """One character changed, anywhere."""
    good, chance = signed(key, {**ADA, "exp": soon()}), random.Random(9)
    places = chance.sample([at for at, character in enumerate(good) if character != "."], 60)
    return [good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1 :] for at in places]


def test_no_forged_token_is_accepted(tenant: Any, inbox: Any, other_inbox: Any) -> None:
    second = inbox_create(tenant_id=tenant.id, name="Second")
    key = secret_of(inbox)
    forged: list[Any] = [
        *_of_algorithms(inbox, key),
        *_of_keys(inbox, key, [second, other_inbox]),
        *_of_headers(key),
        *_of_claims(inbox, second, key),
        *_of_forms(key),
        *_tampered(key),
    ]
    found = [(_refusal(inbox, {"token": token}), token) for token in forged]
    assert [token for code, token in found if not code.startswith("identity_")] == []
    assert len(forged) >= 300
    with tenant_scope(inbox.tenant_id):
        assert Contact.objects.count() == 0


def test_an_inbox_of_before_admits_everybody(inbox: Any) -> None:
    assert access_inbox_by_widget_token(inbox.widget_token).identity_required is False
