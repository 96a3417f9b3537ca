"""Which deliveries a webhook takes, and what it makes of them: placeholders, filters, signatures."""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.domain.errors import InvalidRequest
from perdure.domain.message import Role
from perdure.domain.run import Kind
from perdure.domain.target import RunTarget
from perdure.domain.webhook import TemplateMessage, WebhookSpec, WebhookTemplate, check_spec
from perdure.domain.webhook_signature import (
    SignatureScheme,
    check_secret,
    delivery_id,
    event_name,
    is_genuine,
    new_secret,
)
from perdure.domain.webhook_template import (
    MAX_PLACEHOLDERS,
    Condition,
    check_conditions,
    check_placeholders,
    passes,
    render,
    render_text,
)

STANDARD, GITHUB = SignatureScheme.STANDARD, SignatureScheme.GITHUB
NOW_MS = 1_700_000_000_000
DELIVERY: dict[str, object] = {
    "payload": {
        "action": "opened",
        "number": 7,
        "draft": False,
        "nothing": None,
        "labels": [{"name": "bug"}, {"name": "a.b"}],
        "head.sha": "abc",
        "a/b": {"": "empty", "~": "tilde"},
        "sly": "{{ payload.number }}",
    },
    "event": "pull_request",
}


# --- placeholders ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain", "plain"),
        (5, 5),
        ("{{ payload.number }}", 7),
        ("{{payload.draft}}", False),
        ("{{ payload.labels }}", [{"name": "bug"}, {"name": "a.b"}]),
        ("{{ payload }}", DELIVERY["payload"]),
        ("{{ event }}", "pull_request"),
        ("{{ payload.nothing }}", None),
        ("{{ payload.not.there }}", None),
        ("{{ payload.labels.0.name }}", "bug"),
        ("{{ payload.labels.2 }}", None),
        ("{{ payload.labels.-1 }}", None),
        ("{{ payload.labels.00 }}", None),
        ("{{ payload.action.0 }}", None),
        ("{{ payload/labels/1/name }}", "a.b"),
        ("{{ payload/head.sha }}", "abc"),
        ("{{ payload/a~1b/ }}", "empty"),
        ("{{ payload/a~1b/~0 }}", "tilde"),
        ("#{{ payload.number }} {{payload.action}}", "#7 opened"),
        ("[{{ payload.nothing }}{{ payload.gone }}]", "[]"),
        ("{{ payload.draft }} {{ payload.labels.0 }}", 'false {"name":"bug"}'),
        ("{{ payload.sly }}", "{{ payload.number }}"),
        ("say {{ payload.sly }}", "say {{ payload.number }}"),
        ("a } b { c }}", "a } b { c }}"),
        (
            {"{{ payload.number }}": ["{{ payload.number }}", {"x": "{{ event }}"}]},
            {"{{ payload.number }}": [7, {"x": "pull_request"}]},
        ),
    ],
)  # fmt: skip
def test_placeholders(template: object, expected: object) -> None:
    check_placeholders(template, "")
    assert render(template, DELIVERY) == expected


def test_a_text_stays_one() -> None:
    assert render_text("{{ payload.number }}", DELIVERY) == "7"


@pytest.mark.parametrize(
    "wrong",
    [
        "{{ }}", "{{", "{{ payload", "{{ body.x }}", "{{ payload. }}", "{{ payload..x }}", "{{ payload.a b }}",
        "{{ eventual }}",         "{{ payload.x | upper }}", "{{ {payload.x} }}", "{{ payload['x'] }}", "{{ 1 + 1 }}",
        "{{ payload.__class__() }} {{",
    ],
)  # fmt: skip
def test_what_is_no_placeholder(wrong: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_placeholders({"a": ["fine", {"b/c": wrong}]}, "/template")
    assert refused.value.pointer == "/template/a/1/b~1c"


def test_names_are_names_and_nothing_is_evaluated() -> None:
    assert render("{{ payload.__class__ }}", DELIVERY) is None
    assert render("{{ payload.labels.__len__ }}", DELIVERY) is None


def test_too_many_placeholders() -> None:
    check_placeholders("{{ event }}" * MAX_PLACEHOLDERS, "/x")
    with pytest.raises(InvalidRequest, match="101 placeholders"):
        check_placeholders(["{{ event }}" * 100, "{{ event }}"], "/x")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(JSON)
def test_whatever_the_payload_says_comes_through_unchanged(value: object) -> None:
    delivery: dict[str, object] = {"payload": {"x": value}}
    assert render({"whole": "{{ payload.x }}", "same": "y"}, delivery) == {"whole": value, "same": "y"}
    written = render_text("<{{ payload.x }}>", delivery)
    if not isinstance(value, str) and value is not None:
        assert msgspec.json.decode(written[1:-1]) == value


# --- filters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (Condition("payload.action", equals="opened"), True),
        (Condition("payload.action", equals="closed"), False),
        (Condition("payload.number", equals=7.0), True),
        (Condition("payload.draft", equals=0), False),
        (Condition("payload.draft", equals=False), True),
        (Condition("payload.nothing", equals=None), True),
        (Condition("payload.gone", equals=None), False),
        (Condition("payload.labels", equals="bug"), False),
        (Condition("payload.action", among=["closed", "opened"]), True),
        (Condition("payload.action", among=[]), False),
        (Condition("event", among=["push", "pull_request"]), True),
        (Condition("payload.nothing", exists=True), True),
        (Condition("payload.gone", exists=True), False),
        (Condition("payload.gone", exists=False), True),
        (Condition("payload/labels/0/name", equals="bug"), True),
    ],
)
def test_a_condition(condition: Condition, holds: bool) -> None:
    check_conditions((condition,), "/filter")
    assert passes((condition,), DELIVERY) is holds
    assert passes((condition, Condition("payload.gone", exists=True)), DELIVERY) is False


def test_no_condition_lets_everything_through() -> None:
    assert passes((), DELIVERY)


@pytest.mark.parametrize(
    ("condition", "pointer"),
    [
        (Condition("action", equals=1), "/filter/1/path"),
        (Condition("payload.x"), "/filter/1"),
        (Condition("payload.x", equals=1, exists=True), "/filter/1"),
        (Condition("payload.x", equals=None, among=[1]), "/filter/1"),
    ],
)
def test_what_is_no_condition(condition: Condition, pointer: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_conditions((Condition("event", exists=True), condition), "/filter")
    assert refused.value.pointer == pointer


def test_a_spec_is_checked_whole() -> None:
    agent, task = RunTarget(Kind.AGENT, "a"), RunTarget(Kind.TASK, "t")
    message = TemplateMessage(Role.USER, "{{ x }}")
    for template, pointer in (
        (WebhookTemplate(agent, messages=(message,)), "/template/messages/0/content"),
        (WebhookTemplate(task, messages=(message,)), "/template/messages"),
        (WebhookTemplate(agent, input={"messages": []}), "/template/input/messages"),
        (WebhookTemplate(task, config={"a": "{{"}), "/template/config/a"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            check_spec(WebhookSpec(template))
        assert refused.value.pointer == pointer


# --- signatures ------------------------------------------------------------------------------------------------------

# The example of https://github.com/standard-webhooks/standard-webhooks (its libraries' own test).
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SENT_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SENT_AT = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def standard(signature: str = SIGNATURE, sent_at: object = SENT_AT) -> dict[str, str]:
    return {"webhook-id": SENT_ID, "webhook-timestamp": str(sent_at), "webhook-signature": signature}


def test_a_known_signature() -> None:
    assert is_genuine(STANDARD, SECRET, standard(), BODY, SENT_AT * 1000)
    assert is_genuine(STANDARD, SECRET.removeprefix("whsec_"), standard(), BODY, SENT_AT * 1000)
    several = f"v1a,xyz v2,{SIGNATURE[3:]} v1,AAAA {SIGNATURE}"
    assert is_genuine(STANDARD, SECRET, standard(several), BODY, SENT_AT * 1000)


@pytest.mark.parametrize(("seconds", "genuine"), [(-301, False), (-300, True), (300, True), (301, False)])
def test_its_time(seconds: int, genuine: bool) -> None:
    assert is_genuine(STANDARD, SECRET, standard(), BODY, (SENT_AT + seconds) * 1000) is genuine


@pytest.mark.parametrize(
    "headers",
    [
        {},
        standard(""),
        standard(SIGNATURE[3:]),
        standard(f"v2,{SIGNATURE[3:]}"),
        standard("v1,ÿ\u0080é"),
        standard(SIGNATURE.lower()),
        standard(sent_at=""),
        standard(sent_at=f"{SENT_AT}.0"),
        standard(sent_at=f"+{SENT_AT}"),
        standard(sent_at="9" * 5000),
        standard(sent_at=SENT_AT + 1),
        {**standard(), "webhook-id": "other"},
        {name: value for name, value in standard().items() if name != "webhook-id"},
    ],
)
def test_what_is_no_signature(headers: dict[str, str]) -> None:
    assert not is_genuine(STANDARD, SECRET, headers, BODY, SENT_AT * 1000)


def test_another_body_or_secret() -> None:
    assert not is_genuine(STANDARD, SECRET, standard(), BODY + b" ", SENT_AT * 1000)
    assert not is_genuine(STANDARD, new_secret(STANDARD), standard(), BODY, SENT_AT * 1000)


def test_githubs_known_signature() -> None:
    # The example of GitHub's documentation, "Validating webhook deliveries".
    known = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    secret, body = "It's a Secret to Everybody", b"Hello, World!"
    assert is_genuine(GITHUB, secret, {"x-hub-signature-256": known}, body, NOW_MS)
    for wrong in ("", known.removeprefix("sha256="), known.upper(), known.replace("sha256", "sha1"), "sha256=é"):
        assert not is_genuine(GITHUB, secret, {"x-hub-signature-256": wrong}, body, NOW_MS)
    assert not is_genuine(GITHUB, secret, {}, body, NOW_MS)
    assert not is_genuine(GITHUB, secret, {"x-hub-signature-256": known}, body + b"!", NOW_MS)


def test_new_secrets() -> None:
    for scheme in SignatureScheme:
        made = new_secret(scheme)
        check_secret(scheme, made)
        assert made != new_secret(scheme)
    assert len(base64.b64decode(new_secret(STANDARD).removeprefix("whsec_"))) == 32


@pytest.mark.parametrize(
    ("scheme", "secret"),
    [
        (STANDARD, "whsec_" + base64.b64encode(bytes(23)).decode()),
        (STANDARD, "whsec_" + base64.b64encode(bytes(65)).decode()),
        (STANDARD, "whsec_not base64 at all, is it?"),
        (STANDARD, "whsec_éééééééééééééééééééé"),
        (GITHUB, "short"),
        (GITHUB, "with some spaces inside"),
        (GITHUB, "é" * 20),
    ],
)
def test_secrets_that_are_refused(scheme: SignatureScheme, secret: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_secret(scheme, secret)
    assert refused.value.pointer == "/secret"


def test_what_tells_deliveries_apart() -> None:
    assert delivery_id(STANDARD, {"webhook-id": "a", "x-github-delivery": "b"}, b"x") == "a"
    assert delivery_id(GITHUB, {"webhook-id": "a", "x-github-delivery": "b"}, b"x") == "b"
    assert delivery_id(GITHUB, {}, b"x") == f"sha256:{hashlib.sha256(b'x').hexdigest()}"
    for wrong in ("", "é", "a" * 256):
        with pytest.raises(InvalidRequest):
            delivery_id(GITHUB, {"x-github-delivery": wrong}, b"")
    assert (event_name(GITHUB, {"x-github-event": "push"}), event_name(STANDARD, {"x-github-event": "push"})) == (
        "push", None,
    )  # fmt: skip


@given(st.binary(max_size=200), st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=50))
def test_what_the_holder_signs_is_genuine(body: bytes, sent_id: str) -> None:
    secret = new_secret(STANDARD)
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{sent_id}.{NOW_MS // 1000}.".encode() + body
    signature = "v1," + base64.b64encode(hmac.new(key, signed, "sha256").digest()).decode()
    headers = {"webhook-id": sent_id, "webhook-timestamp": str(NOW_MS // 1000), "webhook-signature": signature}
    assert is_genuine(STANDARD, secret, headers, body, NOW_MS)
    assert not is_genuine(STANDARD, secret, headers, body + b"x", NOW_MS)
