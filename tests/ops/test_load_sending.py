"""How a load sends: again with the same key after what may pass, never twice with effect, and not at all after what may not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from ops.load import sending
from ops.load.sending import CannotLoad, Request, Sender
from tests.ops.load_receiver import CUT, Received, Receiver, receiving, taken

REQUEST = Request("POST", "/things", b'[{"a":1}]', "application/json", "load-1")


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr(sending, "FIRST_PAUSE_S", 0.01)
    with receiving() as made:
        yield made


SenderOf = Callable[..., Sender]


@pytest.fixture
def sender(receiver: Receiver) -> Iterator[SenderOf]:
    """Makes senders to the receiver, or to another city, and closes them."""
    with ExitStack() as stack:
        yield lambda patience_s=5, city=None: stack.enter_context(closing(Sender(city or receiver.city("food"), "food", patience_s=patience_s)))


def failing_first(*failures: Any) -> Any:
    """Fail so often in these ways, then take."""
    return lambda received: failures[received.number] if received.number < len(failures) else taken(received)


@pytest.mark.parametrize("failure", [CUT, 503, 408, 429, 502, 504])
def test_what_may_pass_is_sent_again_to_the_byte_with_the_same_key(receiver: Receiver, sender: SenderOf, failure: Any):
    receiver.behave = failing_first(failure, failure)
    sends = sender()
    assert sends.send(REQUEST)["taken"] == 1
    assert receiver.keys() == ["load-1"] * 3
    assert {batch.body for batch in receiver.batches} == {REQUEST.body}
    assert sends.retries == 2


def test_a_batch_whose_answer_was_lost_takes_effect_once(receiver: Receiver, sender: SenderOf):
    kept: dict[str, dict[str, Any]] = {}

    def behave(received: Received) -> Any:
        """Like a service with idempotency keys, whose first answer does not arrive."""
        if received.key in kept:
            return kept[received.key]
        kept[received.key] = taken(received)
        return CUT

    receiver.behave = behave
    assert sender().send(REQUEST) == kept["load-1"]
    assert len(receiver.batches) == 2


@pytest.mark.parametrize("status", [400, 403, 413, 422, 500])
def test_what_will_not_pass_is_not_tried_again(receiver: Receiver, sender: SenderOf, status: int):
    receiver.behave = lambda _: status
    with pytest.raises(CannotLoad, match=f"POST /things was refused: {status} title of {status}: why"):
        sender().send(REQUEST)
    assert len(receiver.batches) == 1


def test_patience_ends(receiver: Receiver, sender: SenderOf):
    receiver.behave = lambda _: 503
    with pytest.raises(CannotLoad, match="did not take a batch within 0 s: 503"):
        sender(patience_s=0.3).send(REQUEST)
    assert len(receiver.batches) > 2


def test_a_service_that_is_not_there_is_named(receiver: Receiver, sender: SenderOf):
    city = receiver.city("food")
    city["services"]["food"]["url"] = "http://127.0.0.1:9"
    with pytest.raises(CannotLoad, match=r"127\.0\.0\.1:9 did not take a batch.*connection failed"):
        sender(0.2, city).send(REQUEST)
    with pytest.raises(CannotLoad, match="no service 'fire'; it runs hub, food"):
        Sender(city, "fire")


def test_the_service_says_how_long_to_wait(receiver: Receiver, sender: SenderOf):
    receiver.behave = failing_first((503, {"Retry-After": "1"}))
    began = time.monotonic()
    sender().send(REQUEST)
    assert time.monotonic() - began >= 1


def test_one_token_serves_until_shortly_before_it_expires(receiver: Receiver, sender: SenderOf):
    sends = sender()
    for _ in range(3):
        sends.send(REQUEST)
    assert receiver.tokens == 1
    receiver.lifetime_s = 30
    other = sender()
    for _ in range(3):
        other.send(REQUEST)
    assert receiver.tokens == 4


def test_a_token_that_is_refused_is_renewed_once(receiver: Receiver, sender: SenderOf):
    receiver.behave = lambda received: 401 if received.token == "token-1" else taken(received)
    assert sender().send(REQUEST)["taken"] == 1
    assert [batch.token for batch in receiver.batches] == ["token-1", "token-2"]
    receiver.behave = lambda _: 401
    with pytest.raises(CannotLoad, match="401"):
        sender().send(REQUEST)


def test_a_hub_that_is_away_for_a_moment_does_not_end_the_load(receiver: Receiver, sender: SenderOf):
    city = receiver.city("food")
    city["services"]["hub"]["url"] = "http://127.0.0.1:9"
    with pytest.raises(CannotLoad, match="did not take a batch within 0 s: the hub gives no token"):
        sender(0.2, city).send(REQUEST)
    receiver.token_failures = [503]
    assert sender().send(REQUEST)["taken"] == 1
    receiver.token_failures = [401]
    with pytest.raises(CannotLoad, match="gave no token to food-system: 401"):
        sender().send(REQUEST)


def test_a_client_that_the_city_lacks_is_named(receiver: Receiver, sender: SenderOf):
    city = receiver.city("food")
    del city["clients"]["food-system"]
    with pytest.raises(CannotLoad, match="no token to food-system: There is no client"):
        sender(city=city).send(REQUEST)


def test_corrections_are_asked_for_in_the_query(receiver: Receiver, sender: SenderOf):
    sender().send(Request("POST", "/things", b"[]", "application/json", "load-2", correct=True))
    assert receiver.batches[0].query == {"correct": ["true"]}


@pytest.mark.parametrize("answer", [{"hello": 1}, [1], "text"])
def test_an_answer_of_another_kind_is_not_taken_for_success(receiver: Receiver, sender: SenderOf, answer: Any):
    receiver.behave = lambda _: answer
    with pytest.raises(CannotLoad, match="does not answer as a bulk load does"):
        sender().send(REQUEST)


def test_a_load_that_is_stopped_tries_no_more(receiver: Receiver, sender: SenderOf):
    receiver.behave = lambda _: 503
    sends = sender(patience_s=60)
    threading.Timer(0.2, sends.stop).start()
    with pytest.raises(CannotLoad, match="stopped"):
        sends.send(REQUEST)
