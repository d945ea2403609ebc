"""A rule singles workloads out, and a token fits it when each claim is as the rule says."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entitlements.keys import jws
from entitlements.trusted_issuers import spiffe
from entitlements.workload_identity import platforms, rules
from entitlements.workload_identity.platforms import Platform, RuleMalformed, RuleTooWide
from entitlements.workload_identity.rules import Rule
from tests.entitlements.workload_identity import tokens

OWNER, REPOSITORY = {"repository_owner_id": "65"}, {"repository_id": "74"}
MAIN = {"ref": "refs/heads/main"}
SA = "system:serviceaccount:my-namespace:my-serviceaccount"


def rule(platform: Platform, claims: dict[str, str] | None = None, *, is_ended: bool = False) -> Rule:
    named = tokens.RULES[platform] if claims is None else claims
    return Rule(uuid.uuid4(), "expense-client", "expense-bot", platform, named, is_ended)


@pytest.mark.parametrize("platform", Platform)
def test_the_token_that_each_platform_documents_fits_its_rule(platform: Platform) -> None:
    claims = tokens.claims(platform, "https://as.example/token")
    platforms.check_rule(platform, tokens.ISSUERS[platform], tokens.RULES[platform])
    assert rules.fits(rule(platform), claims)
    assert platforms.why_not(platform, tokens.ISSUERS[platform], tokens.RULES[platform], claims) == ""
    assert rules.check_times(platform, claims, time.time(), 60.0) == claims["exp"]


@pytest.mark.parametrize(
    ("platform", "claims"),
    [
        (Platform.GITHUB, {**OWNER, **REPOSITORY, **MAIN}),
        (Platform.GITHUB, {**OWNER, "repository": "octo-org/octo-repo", "environment": "prod"}),
        (Platform.GITHUB, {**OWNER, **REPOSITORY, "ref": "refs/heads/release/*"}),
        (Platform.GITHUB, {**OWNER, **REPOSITORY, "ref": "refs/tags/*"}),
        (Platform.GITHUB, {**OWNER, **REPOSITORY, "job_workflow_ref": "o/r/.github/workflows/a.yml@refs/heads/main"}),
        (Platform.GITHUB, {**OWNER, **REPOSITORY, "ref": "refs/pull/7/merge", "event_name": "pull_request"}),
        (Platform.KUBERNETES, {"sub": SA}),
        (Platform.KUBERNETES, {"sub": SA, "kubernetes.io/serviceaccount/uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798"}),
        (Platform.SPIFFE, {"sub": "spiffe://example.org/ns/payments/*"}),
        (Platform.JWT, {"sub": "job-7", "project": "seven"}),
    ],
)
def test_a_rule_that_singles_workloads_out_is_taken(platform: Platform, claims: dict[str, str]) -> None:
    platforms.check_rule(platform, tokens.ISSUERS[platform], claims)


@pytest.mark.parametrize(
    ("platform", "claims", "about"),
    [
        *((platform, {}, None) for platform in Platform),
        (Platform.GITHUB, {**REPOSITORY, **MAIN}, "repository_owner_id"),
        (Platform.GITHUB, {"repository": "octo-org/octo-repo", **MAIN}, "repository_owner_id"),
        (Platform.GITHUB, {"sub": "repo:octo-org/octo-repo:ref:refs/heads/main"}, "repository_owner_id"),
        (Platform.GITHUB, {**OWNER, **MAIN}, "repository_id"),
        (Platform.GITHUB, {**OWNER, **REPOSITORY}, "ref"),
        (Platform.GITHUB, {**OWNER, **REPOSITORY, "event_name": "push"}, "ref"),
        (Platform.GITHUB, {**OWNER, **REPOSITORY, "ref": "refs/pull/7/merge"}, "event_name"),
        (Platform.GITHUB, {**OWNER, **REPOSITORY, "ref": "refs/*"}, "ref"),
        (Platform.GITHUB, {**OWNER, **REPOSITORY, "ref": "refs/heads/rel*"}, "ref"),
        (Platform.GITHUB, {**OWNER, **REPOSITORY, "ref": "refs/heads/*/main"}, "ref"),
        (Platform.GITHUB, {**OWNER, **REPOSITORY, "ref": "refs/heads/**"}, "ref"),
        (Platform.GITHUB, {**OWNER, **REPOSITORY, "ref": "*"}, "ref"),
        (Platform.GITHUB, {**OWNER, **REPOSITORY, "environment": "prod/*"}, "environment"),
        (Platform.GITHUB, {**OWNER, **REPOSITORY, "job_workflow_ref": "octo-org/*"}, "job_workflow_ref"),
        (Platform.GITHUB, {**OWNER, "repository": "octo-org/*", **MAIN}, "repository"),
        (Platform.KUBERNETES, {"kubernetes.io/namespace": "my-namespace"}, "sub"),
        (Platform.KUBERNETES, {"sub": "system:serviceaccount:my-namespace:*"}, "sub"),
        (Platform.SPIFFE, {"sub": "spiffe://example.org/*"}, "sub"),
        (Platform.SPIFFE, {"sub": "spiffe://*"}, "sub"),
        (Platform.SPIFFE, {"sub": "spiffe://example.org/ns/pay*"}, "sub"),
        (Platform.JWT, {"project": "seven"}, "sub"),
        (Platform.JWT, {"sub": "job-*"}, "sub"),
        (Platform.JWT, {"sub": "jobs/*"}, "sub"),
    ],
)
def test_a_rule_that_is_too_wide_is_refused(platform: Platform, claims: dict[str, str], about: str | None) -> None:
    with pytest.raises(RuleTooWide) as refused:
        platforms.check_rule(platform, tokens.ISSUERS[platform], claims)
    assert refused.value.detail.get("claim") == about


@pytest.mark.parametrize(
    ("platform", "claims"),
    [
        (Platform.GITHUB, {**OWNER, **REPOSITORY, **MAIN, "actor": "octocat"}),
        (Platform.GITHUB, {**OWNER, **REPOSITORY, **MAIN, "aud": "x"}),
        (Platform.GITHUB, {"repository_owner_id": "octo-org", **REPOSITORY, **MAIN}),
        (Platform.GITHUB, {**OWNER, "repository_id": "074", **MAIN}),
        (Platform.GITHUB, {**OWNER, "repository": "octo-repo", **MAIN}),
        (Platform.GITHUB, {**OWNER, **REPOSITORY, "ref": ""}),
        (Platform.GITHUB, {**OWNER, **REPOSITORY, "ref": "refs/heads/main "}),
        (Platform.GITHUB, {**OWNER, **REPOSITORY, "ref": "refs/heads/main\n"}),
        (Platform.GITHUB, {**OWNER, **REPOSITORY, "ref": "x" * 513}),
        (Platform.KUBERNETES, {"sub": "system:serviceaccount:my-namespace"}),
        (Platform.KUBERNETES, {"sub": "system:node:my-node"}),
        (Platform.KUBERNETES, {"sub": SA, "kubernetes.io/pod/name": "my-pod"}),
        (Platform.SPIFFE, {"sub": "spiffe://example.org"}),
        (Platform.SPIFFE, {"sub": "spiffe://other.example/ns/default"}),
        (Platform.SPIFFE, {"sub": "https://example.org/ns/default"}),
        (Platform.SPIFFE, {"aud": "x", "sub": "spiffe://example.org/a"}),
        (Platform.JWT, {"sub": "job-7", "iss": "https://platform.example"}),
        (Platform.JWT, {"sub": "job-7", "a/b": "x"}),
        (Platform.JWT, {"sub": "job-7", **{f"claim{number}": "x" for number in range(20)}}),
    ],
)
def test_a_rule_that_no_token_can_fit_is_refused(platform: Platform, claims: dict[str, str]) -> None:
    with pytest.raises(RuleMalformed):
        platforms.check_rule(platform, tokens.ISSUERS[platform], claims)


@pytest.mark.parametrize(
    ("platform", "name"), [(platform, name) for platform in Platform for name in tokens.RULES[platform]]
)
@pytest.mark.parametrize("spoiled", ["", "x", 65, True, None, ["refs/heads/main"], {"sub": "job-7"}])
def test_each_claim_must_be_the_text_that_the_rule_names(platform: Platform, name: str, spoiled: object) -> None:
    claims = tokens.claims(platform, "https://as.example/token", **{name: spoiled})
    assert not rules.fits(rule(platform), claims)


def test_a_rule_without_claims_fits_nothing() -> None:
    assert not rules.fits(rule(Platform.JWT, {}), tokens.claims(Platform.JWT, "x"))
    assert rules.choose([rule(Platform.JWT, {})], tokens.claims(Platform.JWT, "x")) is None


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("refs/heads/release/1", True),
        ("refs/heads/release/1/2", True),
        ("refs/heads/release/", False),
        ("refs/heads/release", False),
        ("refs/heads/released/1", False),
        ("xrefs/heads/release/1", False),
        ("refs/heads/release/*", True),  # a branch may be called that
    ],
)
def test_a_star_stands_for_what_follows_the_slash(ref: str, expected: bool) -> None:  # noqa: FBT001
    wide = rule(Platform.GITHUB, {**OWNER, **REPOSITORY, "ref": "refs/heads/release/*"})
    assert rules.fits(wide, tokens.claims(Platform.GITHUB, "x", ref=ref)) is expected


def test_members_of_a_claim_are_named_by_their_path() -> None:
    claims = tokens.claims(Platform.KUBERNETES, "x")
    uid = {"kubernetes.io/serviceaccount/uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798"}
    assert rules.fits(rule(Platform.KUBERNETES, {"sub": SA, **uid}), claims)
    claims["kubernetes.io"]["serviceaccount"]["uid"] = "another"  # deleted and made again under its name
    assert not rules.fits(rule(Platform.KUBERNETES, {"sub": SA, **uid}), claims)


def test_two_rules_that_fit_are_ambiguous_and_an_ended_one_says_so_alone() -> None:
    claims = tokens.claims(Platform.GITHUB, "x")
    wide = rule(Platform.GITHUB)
    narrow = rule(Platform.GITHUB, {**OWNER, **REPOSITORY, "job_workflow_ref": claims["job_workflow_ref"]})
    ended = rule(Platform.GITHUB, is_ended=True)
    with pytest.raises(rules.Ambiguous):
        rules.choose([wide, ended, narrow], claims)
    assert rules.choose([ended, wide], claims) is wide
    assert rules.choose([ended], claims) is ended
    assert rules.choose([], claims) is None


def test_a_rule_covers_one_that_is_as_narrow_or_narrower() -> None:
    main = rule(Platform.GITHUB)
    branches = rule(Platform.GITHUB, {**OWNER, **REPOSITORY, "ref": "refs/heads/*"})
    released = rule(Platform.GITHUB, {**OWNER, **REPOSITORY, "ref": "refs/heads/release/*"})
    prod = rule(Platform.GITHUB, {**OWNER, **REPOSITORY, "environment": "prod"})
    both = rule(Platform.GITHUB, {**OWNER, **REPOSITORY, **MAIN, "environment": "prod"})
    covered = [(branches, main), (branches, released), (main, both), (prod, both), (branches, both)]
    for one in (main, branches, released, prod, both):
        for other in (main, branches, released, prod, both):
            assert rules.covers(one, other) is (one is other or (one, other) in covered)


def test_rules_overlap_where_a_token_could_fit_both() -> None:
    main, prod = rule(Platform.GITHUB), rule(Platform.GITHUB, {**OWNER, **REPOSITORY, "environment": "prod"})
    dev = rule(Platform.GITHUB, {**OWNER, **REPOSITORY, "ref": "refs/heads/dev"})
    branches = rule(Platform.GITHUB, {**OWNER, **REPOSITORY, "ref": "refs/heads/*"})
    for one, other, meets in ((main, prod, True), (main, dev, False), (dev, branches, True), (branches, prod, True)):
        assert rules.overlap(one, other) is rules.overlap(other, one) is meets


@pytest.mark.parametrize("platform", [Platform.GITHUB, Platform.KUBERNETES])
def test_a_rule_for_another_platform_describes_no_token_of_a_known_one(platform: Platform) -> None:
    claims = tokens.claims(platform, "https://as.example/token")
    why = platforms.why_not(Platform.JWT, tokens.ISSUERS[platform], {"sub": claims["sub"]}, claims)
    assert why.endswith("Make the rule one for that platform.")


@given(
    st.dictionaries(st.sampled_from("abc"), st.sampled_from(["x/1", "x/2", "y"]), min_size=1),
    st.dictionaries(st.sampled_from("abc"), st.sampled_from(["x/1", "x/2", "x/*", "y"]), min_size=1),
    st.dictionaries(st.sampled_from("abc"), st.sampled_from(["x/1", "x/2", "x/*", "y"]), min_size=1),
)
def test_what_fits_a_covered_rule_fits_the_wider_one(
    claims: dict[str, str], one: dict[str, str], other: dict[str, str]
) -> None:
    wide, narrow = rule(Platform.JWT, one), rule(Platform.JWT, other)
    if rules.covers(wide, narrow) and rules.fits(narrow, claims):
        assert rules.fits(wide, claims)


@pytest.mark.parametrize(
    ("platform", "changed"),
    [
        *((Platform.GITHUB, {"event_name": event}) for event in [*sorted(platforms.FROM_STRANGERS), None, 1]),
        (Platform.GITHUB, {"ref": "refs/pull/7/merge"}),
        (Platform.GITHUB, {"ref": None}),
        *((Platform.GITHUB, {name: None}) for name in ("jti", "iat", "iss", "sub")),
        *((Platform.KUBERNETES, {name: None}) for name in ("iat", "iss", "kubernetes.io")),
        (Platform.KUBERNETES, {"sub": "system:serviceaccount:kube-system:my-serviceaccount"}),
        (Platform.KUBERNETES, {"kubernetes.io": {"namespace": "my-namespace"}}),
        (Platform.SPIFFE, {"sub": "spiffe://other.example/ns/default/sa/customer-router-agent"}),
        (Platform.SPIFFE, {"sub": "spiffe://example.org/ns/../sa"}),
        (Platform.SPIFFE, {"sub": None}),
        *((Platform.JWT, {name: None}) for name in ("jti", "iat", "iss", "sub")),
    ],
)
def test_some_tokens_are_refused_though_the_rule_describes_them(platform: Platform, changed: dict[str, Any]) -> None:
    claims = tokens.claims(platform, "x", **changed)
    assert platforms.why_not(platform, tokens.ISSUERS[platform], tokens.RULES[platform], claims)


def test_an_event_of_strangers_counts_where_the_rule_names_it() -> None:
    named = {**OWNER, **REPOSITORY, "ref": "refs/pull/7/merge", "event_name": "pull_request"}
    claims = tokens.claims(Platform.GITHUB, "x", ref="refs/pull/7/merge", event_name="pull_request")
    assert platforms.why_not(Platform.GITHUB, tokens.GITHUB, named, claims) == ""
    assert platforms.why_not(Platform.GITHUB, tokens.GITHUB, named, {**claims, "event_name": "issues"})


@pytest.mark.parametrize("platform", Platform)
@pytest.mark.parametrize("changed", ["expired", "future", "not yet", "too long", "no end", "no number"])
def test_times_are_bounded(platform: Platform, changed: str) -> None:
    now = time.time()
    longest = platforms.SHAPES[platform].longest
    spoilers: dict[str, dict[str, Any]] = {
        "expired": {"exp": now - 1, "iat": now - 60},
        "future": {"iat": now + 90, "exp": now + 120},
        "not yet": {"nbf": now + 90},
        "too long": {"exp": now + longest + 10},
        "no end": {"exp": None},
        "no number": {"exp": "tomorrow"},
    }
    spoiled = spoilers[changed]
    with pytest.raises(jws.BadToken):
        rules.check_times(platform, tokens.claims(platform, "x", **spoiled), now, 60.0)


def test_a_jwt_svid_without_iat_that_expired_is_expired() -> None:
    now = time.time()
    with pytest.raises(jws.TokenExpired):
        rules.check_times(Platform.SPIFFE, tokens.claims(Platform.SPIFFE, "x", exp=now - 5), now, 60.0)


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("spiffe://example.org/a", "spiffe://example.org"),
        ("spiffe://prod_1.example-x/ns/a/sa/B.c", "spiffe://prod_1.example-x"),
        ("spiffe://example.org", None),
        ("spiffe://example.org/", None),
        ("spiffe://example.org/a/", None),
        ("spiffe://example.org//a", None),
        ("spiffe://example.org/./a", None),
        ("spiffe://example.org/a/..", None),
        ("spiffe://Example.org/a", None),
        ("SPIFFE://example.org/a", None),
        ("spiffe://example.org:443/a", None),
        ("spiffe://user@example.org/a", None),
        ("spiffe://example.org/a?b", None),
        ("spiffe://example.org/a#b", None),
        ("spiffe://example.org/%61", None),
        ("spiffe://example.org/" + "a" * 2048, None),
        (7, None),
    ],
)
def test_the_trust_domain_of_a_spiffe_id(text: object, domain: str | None) -> None:
    assert spiffe.trust_domain(text) == domain
