"""Appends from outside: what is taken keeps its bytes, and nothing is taken that a reader would choke on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perdure.domain import json_text
from perdure.domain.errors import EventTooLarge, InvalidRequest
from perdure.domain.event import MAX_EVENT_BYTES, MAX_EVENTS, MODEL_CALL_CONTEXT, StoredEvents
from perdure.ledger.intake import MAX_TYPE_LENGTH, Incoming, parse_append
from perdure.ledger.replay import same

PRIVATE = f'{{"type":"{MODEL_CALL_CONTEXT}"}}'


def parse(*events: str | bytes) -> Incoming:
    texts = [event.encode() if isinstance(event, str) else event for event in events]
    return parse_append(b'{"events":[' + b",".join(texts) + b"]}")


def line_of(event: str | bytes) -> str:
    (segment,) = parse(event).segments
    (line,) = segment.lines
    return line


def refusal(event: str | bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        parse('{"type":"FINE"}', event)
    return refused.value


def short(value: str | bytes) -> str:
    """A name for a parameter."""
    return repr(value)[:40]


@pytest.mark.parametrize(
    "event",
    [
        '{"type":"A"}',
        '{ "type" : "A" ,\t"x":[ 1 , 2 ] }',
        '{"b":1,"type":"A","a":2}',
        '{"type":"A","type":"B"}',
        '{"type":"A","x":1,"x":2}',
        '{"\\u0074ype":"A"}',
        '{"type":"A","x":"\\u00e9 \\/ \\n \\ud83d\\ude00 é 😀 \u2028"}',
        '{"type":"A","x":[1.0,1e5,1E+5,-0,-0.0,0.1000000000000000055511151231257827]}',
        '{"type":"A","x":123456789012345678901234567890}',
        '{"type":"A","x":1e308,"y":1e-999}',
        '{"type":"A","x":"1e999"}',
        '{"type":"A","x":"\\\\u0000"}',
        '{"type":"né"}',
    ],
)
def test_an_event_keeps_its_bytes(event: str) -> None:
    assert line_of(event) == event


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_only_line_breaks_between_tokens_are_taken_out(end: str) -> None:
    event = f'{{"type": "A",{end} "x": [1.50,{end}"a\\nb é\\u00e9"]{end}}}'
    assert line_of(event) == '{"type":"A","x":[1.50,"a\\nb é\\u00e9"]}'


def test_a_stored_row_is_split_into_what_came_in() -> None:
    events = ['{"type":"A"}', '{"type":"B","x":"],[\\n"}', '{"type":"C","x":[{},{}]}']
    (segment,) = parse(*events).segments
    row = StoredEvents(1, 1, 1, segment.public, segment.types, segment.text())
    assert row.lines() == events
    assert row.after(1).lines() == events[1:]
    assert json.loads(segment.text()) == [json.loads(event) for event in events]


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ("{}", "type"),
        ("[]", "object"),
        ('"A"', "object"),
        ("null", "object"),
        ('{"type":null}', "type"),
        ('{"type":3}', "type"),
        ('{"type":["A"]}', "type"),
        ('{"type":""}', "type"),
        ('{"type":"A\\n"}', "printable"),
        ('{"type":"\\u200b"}', "printable"),
        (f'{{"type":"{"A" * (MAX_TYPE_LENGTH + 1)}"}}', "128"),
        ('{"type":"A","type":7}', "type"),
        ('{"type":"RUN_FINISHED"}', "/complete"),
        ('{"type":"RUN_ERROR","message":"x"}', "/complete"),
        ('{"type":"A","type":"RUN_ERROR"}', "/complete"),
        ('{"type":"RUN_\\u0045RROR"}', "/complete"),
        ('{"type":"A","x":"a\\u0000b"}', "NUL"),
        ('{"type":"A","\\u0000":1}', "NUL"),
        ('{"type":"A","x":1e999}', "range"),
        ('{"type":"A","x":-1E+0400}', "range"),
        ('{"type":"A","x":' + "9" * 5_000 + "}", "range"),
        ('{"type":"A","x":' + "9" * 250 + "e99}", "range"),
        ('{"type":"A","x":' + "[" * 200 + "]" * 200 + "}", "deep"),
    ],
    ids=short,
)
def test_what_is_wrong_with_an_event_is_told_with_its_place(event: str, says: str) -> None:
    refused = refusal(event)
    assert says in refused.detail
    assert refused.pointer is not None
    assert refused.pointer.startswith("/events/1")


@pytest.mark.parametrize(
    "event",
    [
        *(b'{"type":"A","x":"' + bad + b'"}' for bad in (b"\x00", b"\n", b"\t", b"\x1f", b"\\q", b"\\u12", b"\xff")),
        *(b'{"type":"A","x":"' + bad + b'"}' for bad in (b"\xed\xa0\x80", b"\xc0\x80", b"\xf5\x80\x80\x80", b"\xc3")),
        *(b'{"type":"A","x":"' + bad + b'"}' for bad in (b"\\ud800", b"\\udc00", b"\\ud800x", b"\\ud800\\u0041")),
        *(
            b'{"type":"A","x":' + bad + b"}"
            for bad in (b"NaN", b"Infinity", b"01", b"+1", b".5", b"1.", b"tru", b"'a'")
        ),
        *(b'{"type":"A"' + bad for bad in (b"", b",}", b"]", b",x:1}", b' "x":1}', b"}}")),
        b'{"type":"A","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"\xef\xbb\xbf" + b'{"type":"A"}',
    ],
    ids=short,
)
def test_what_is_not_json_is_refused(event: bytes) -> None:
    assert refusal(event).detail


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"null", b"[]", b"{}", b"x",
        b'{"events":null}', b'{"events":{}}', b'{"events":"x"}', b'{"events":[]}', b'{"events":[1]}',
        b'{"events":[{"type":"A"}]}x', b'{"events":[{"type":"A"}],"x":"\xff"}',
        b'{"events":[{"type":"A"}],"x":' + b"[" * 100_000,
        *(
            b'{"events":[{"type":"A"}],"' + name + b'":' + value + b"}"
            for name in (b"expected_previous_event_id", b"expected_previous_external_event_sequence")
            for value in (b"-1", b"true", b'"1"', b"1.5", b"[]", b"1e30", b"9223372036854775808", b"9" * 5_000)
        ),
    ],
    ids=short,
)  # fmt: skip
def test_a_bad_body_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_append(body)
    assert refused.value.detail


@pytest.mark.parametrize("count", [1, MAX_EVENTS])
def test_how_many_events_are_taken(count: int) -> None:
    (segment,) = parse(*['{"type":"A"}'] * count).segments
    assert len(segment.lines) == count


def test_one_event_too_many() -> None:
    with pytest.raises(InvalidRequest, match="100"):
        parse(*['{"type":"A"}'] * (MAX_EVENTS + 1))


@pytest.mark.parametrize("filling", ["x", "é"])
def test_the_size_limit_counts_bytes(filling: str) -> None:
    frame = '{"type":"A","x":""}'
    room = MAX_EVENT_BYTES - len(frame) - 1
    text = filling * (room // len(filling.encode()))
    text += "x" * (room - len(text.encode()))
    largest = f'{{"type":"A","x":"{text}"}}'
    assert len(largest.encode()) == MAX_EVENT_BYTES - 1
    assert line_of(largest) == largest
    with pytest.raises(EventTooLarge, match="payload must be less than 256 KB"):
        parse(largest.replace('""', '" "').replace('"x":"', '"x":"x'))


def test_cursors_are_read() -> None:
    incoming = parse_append(
        b'{"events":[{"type":"A"}],"expected_previous_event_id":0,"expected_previous_external_event_sequence":7}'
    )
    assert (incoming.expected_event_id, incoming.expected_external_sequence) == (0, 7)
    absent = parse_append(b'{"events":[{"type":"A"}],"expected_previous_event_id":null}')
    assert (absent.expected_event_id, absent.expected_external_sequence) == (None, None)


def test_private_events_stand_in_rows_of_their_own() -> None:
    segments = parse('{"type":"A"}', '{"type":"B"}', PRIVATE, PRIVATE, '{"type":"C"}').segments
    assert [(segment.types, segment.public, segment.external) for segment in segments] == [
        (("A", "B"), True, True),
        ((MODEL_CALL_CONTEXT, MODEL_CALL_CONTEXT), False, False),
        (("C",), True, True),
    ]


texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(texts, values, max_size=4), st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_any_json_object_with_a_type_is_taken(
    members: dict[str, Any], ascii_only: bool, indent: int | str | None
) -> None:
    event = json.dumps({**members, "type": "A"}, ensure_ascii=ascii_only, indent=indent)
    line = line_of(event)
    assert json.loads(line) == json.loads(event)
    assert "\n" not in line
    assert "\r" not in line
    assert same(line, event)
    if indent is None:
        assert line == event


@given(st.binary(max_size=40), st.integers(0, 60))
@example(b'"}]}', 23)
def test_whatever_is_taken_can_be_read_again(noise: bytes, place: int) -> None:
    """Bytes thrown into a request: it is refused in words, or every reader takes what is kept."""
    body = b'{"events":[{"type":"A","x":"y\\u00e9","z":[1.5,-2e3]}],"expected_previous_event_id":4}'
    try:
        incoming = parse_append(body[:place] + noise + body[place:])
    except (InvalidRequest, EventTooLarge) as refused:
        assert refused.detail
        return
    for segment in incoming.segments:
        for kind, line in zip(segment.types, segment.lines, strict=True):
            value = json_text.decode(line)
            assert isinstance(value, dict)
            assert value["type"] == kind
            assert json.loads(line) == value
