"""RequestAuthentication: which tokens are accepted, from where, and what routing by claims makes of them."""

import base64
import json

import pytest
from policies import guarded, tokens
from topology_build import GATEWAY, SERVICES, TO_SHOP, build, routes

from gwsim.topology import Outcome

ISSUER = "[{issuer: me, jwksUri: 'https://me.example/keys'}]"


def encoded(claims):
    """A token that can be decoded; its signature is not looked at."""
    parts = [base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in ({"alg": "RS256"}, claims)]
    return ".".join([*parts, "c2ln"])


def status(built, **request):
    return built.get(**request).status


def test_none_passes_good_passes_bad_is_401():
    built = guarded(tokens(ISSUER))
    assert status(built) == 200
    assert status(built, claims={"iss": "me"}) == 200
    assert status(built, claims={}) == 200
    assert status(built, claims={"iss": "other"}) == 401
    got = built.get(token_rejected=True)
    assert (got.outcome, got.status, got.answered_by) == (Outcome.DENIED, 401, "envoy.filters.http.jwt_authn")


def test_without_a_policy_nothing_is_checked():
    assert status(guarded(), token_rejected=True) == 200


@pytest.mark.parametrize(("audience", "wanted"), [("shop", 200), (["x", "https://shop/"], 200), ("x", 403), ([], 403)])
def test_a_good_token_for_somebody_else_is_403(audience, wanted):
    assert status(guarded(tokens("[{issuer: me, audiences: [shop]}]")), claims={"iss": "me", "aud": audience}) == wanted


def test_any_of_several_issuers():
    built = guarded(tokens("[{issuer: me}, {issuer: you, audiences: [shop]}]"))
    assert status(built, claims={"iss": "you", "aud": "shop"}) == 200 and status(built, claims={"iss": "me"}) == 200
    assert status(built, claims={"iss": "nobody"}) == 401 and status(built) == 200
    assert status(built, claims={"iss": "you", "aud": "x"}) == 403


def test_policies_add_up():
    built = guarded(tokens("[{issuer: me}]", name="a"), tokens("[{issuer: you}]", name="b"))
    assert status(built, claims={"iss": "you"}) == status(built, claims={"iss": "me"}) == 200


def test_a_policy_of_another_workload_does_not_count():
    built = guarded(tokens(ISSUER, more="selector: {matchLabels: {app: other}}"))
    assert status(built, token_rejected=True) == 200


WHERE = [
    ("", {"headers": {"Authorization": "Bearer {}"}}, 401),
    ("", {"path": "/?access_token={}"}, 401),
    ("", {"headers": {"authorization": "Basic {}"}}, 200),
    ("", {"headers": {"x-token": "{}"}}, 200),
    ("fromHeaders: [{name: x-token}]", {"headers": {"X-Token": "{}"}}, 401),
    ("fromHeaders: [{name: x-token, prefix: 'T '}]", {"headers": {"x-token": "T {}"}}, 401),
    ("fromHeaders: [{name: x-token, prefix: 'T '}]", {"headers": {"x-token": "{}"}}, 200),
    ("fromHeaders: [{name: x-token}]", {"headers": {"authorization": "Bearer {}"}}, 200),
    ("fromParams: [t]", {"path": "/?a=b&t={}"}, 401),
    ("fromCookies: [c]", {"headers": {"cookie": "a=b; c={}"}}, 401),
    ("fromCookies: [c]", {"headers": {"cookie": "d={}"}}, 200),
]


@pytest.mark.parametrize(("rule", "request_", "wrong"), WHERE)
def test_where_tokens_are_looked_for(rule, request_, wrong):
    built = guarded(tokens(f"[{{issuer: me, {rule}}}]"))

    def sent(token):
        filled = {"path": request_.get("path", "/").replace("{}", token)}
        filled["headers"] = {k: v.replace("{}", token) for k, v in request_.get("headers", {}).items()}
        return status(built, **filled)

    assert sent(encoded({"iss": "me"})) == 200
    assert sent(encoded({"iss": "other"})) == wrong
    assert sent("garbage") == wrong


def test_preflights_are_not_checked():
    asked = {"method": "OPTIONS", "headers": {"origin": "a", "access-control-request-method": "GET"}}
    assert status(guarded(tokens(ISSUER)), token_rejected=True, **asked) == 200


CLAIMS = routes(
    f"- name: admin\n  match: [{{headers: {{'@request.auth.claims.roles': {{exact: admin}}}}}}]\n  {TO_SHOP}\n"
    f"- name: nested\n  match: [{{headers: {{'@request.auth.claims[realm][group]': {{prefix: a}}}}}}]\n  {TO_SHOP}\n"
    f"- name: anonymous\n  match: [{{withoutHeaders: {{'@request.auth.claims.sub': {{}}}}}}]\n  {TO_SHOP}"
)


def test_routing_by_claims():
    built = guarded(tokens(ISSUER), http=CLAIMS)
    assert built.get(claims={"sub": "a", "roles": ["user", "admin"]}).route == "admin"
    assert built.get(claims={"sub": "a", "roles": "admin"}).route == "admin"
    assert built.get(claims={"sub": "a", "realm": {"group": "abc"}}).route == "nested"
    assert built.get(claims={"sub": "a"}).outcome == Outcome.NOT_FOUND
    assert built.get().route == "anonymous"


def test_routing_by_claims_needs_a_policy_on_the_gateway():
    built = build(SERVICES, GATEWAY, CLAIMS, tokens(ISSUER, namespace="app"))
    assert built.get(claims={"sub": "a", "roles": "admin"}).route == "anonymous"


def test_space_delimited_claims():
    built = guarded(tokens("[{issuer: me, spaceDelimitedClaims: [roles]}]"), http=CLAIMS)
    assert built.get(claims={"sub": "a", "roles": "user admin"}).route == "admin"
    assert guarded(tokens(ISSUER), http=CLAIMS).get(claims={"sub": "a", "roles": "user admin"}).outcome == Outcome.NOT_FOUND


TO_HEADERS = (
    "[{issuer: me, outputClaimToHeaders: [{header: X-Team, claim: org.team}, {header: X-Level, claim: level}]}]"
)
BY_TEAM = routes(f"- name: blue\n  match: [{{headers: {{x-team: {{exact: blue}}}}}}]\n  {TO_SHOP}\n- name: other\n  {TO_SHOP}")


def test_routes_see_the_claims_that_became_headers():
    built = guarded(tokens(TO_HEADERS), http=BY_TEAM)
    assert built.get(claims={"org": {"team": "blue"}}).route == "blue"
    assert built.get(claims={"org": {"team": "red"}}, headers={"x-team": "blue"}).route == "other"
    for forged in (built.get(headers={"X-Team": "blue"}), built.get(claims={"org": "blue"}, headers={"X-Team": "blue"})):
        assert forged.route == "other" and forged.carried_headers == {}


def test_claims_of_other_types_as_headers():
    built = guarded(tokens(TO_HEADERS))

    def level(value):
        return built.get(claims={"level": value}).carried_headers["x-level"]

    assert [level(one) for one in (7, 1.5, True)] == ["7", "1.5", "true"]
    assert json.loads(base64.b64decode(level({"a": [1]}))) == {"a": [1]}


def test_the_token_goes_no_further_unless_it_is_forwarded():
    token = {"authorization": f"Bearer {encoded({'iss': 'me'})}", "x-own": "1"}
    assert guarded(tokens("[{issuer: me}]")).get(headers=token).carried_headers == {"x-own": "1"}
    assert guarded(tokens("[{issuer: me, forwardOriginalToken: true}]")).get(headers=token).carried_headers is None
