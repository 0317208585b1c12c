"""The test broker does what the tests above it rely on."""

from __future__ import annotations

import threading

import pytest
import redis

from tests.support.broker import Broker, BrokerError
from tests.support.waiting import wait_until


def client(broker: Broker) -> redis.Redis:
    return redis.Redis.from_url(broker.url, socket_timeout=5)


def test_two_brokers_run_side_by_side_on_ports_of_their_own(broker: Broker, own_broker: Broker) -> None:
    assert broker.port != own_broker.port
    with client(broker) as one, client(own_broker) as other:
        one.set("side", "one", ex=60)
        assert other.get("side") is None


def test_an_own_broker_keeps_acknowledged_writes_over_a_kill_and_its_port(own_broker: Broker) -> None:
    port = own_broker.port
    with client(own_broker) as connection:
        connection.set("kept", "yes")
    own_broker.kill()
    assert not own_broker.running
    own_broker.start()
    assert own_broker.port == port
    with client(own_broker) as connection:
        assert connection.get("kept") == b"yes"


def test_restart_gives_a_new_process(own_broker: Broker) -> None:
    first = own_broker.pid
    own_broker.restart()
    assert own_broker.pid != first


def test_a_frozen_broker_answers_only_after_it_thaws(own_broker: Broker) -> None:
    answers: list[object] = []

    def ask() -> None:
        with client(own_broker) as connection:
            answers.append(connection.ping())

    own_broker.freeze()
    asking = threading.Thread(target=ask)
    asking.start()
    assert answers == []
    own_broker.thaw()
    asking.join(10)
    wait_until(lambda: answers == [True], "the answer of the thawed broker")


def test_a_cluster_node_knows_that_it_is_one() -> None:
    with Broker(cluster=True) as node, client(node) as connection:
        assert connection.info("cluster")["cluster_enabled"] == 1


def test_a_bad_configuration_is_told_with_the_servers_own_words() -> None:
    with pytest.raises(BrokerError, match="ended while it started"), Broker(config=["no-such-directive yes"]):
        pass


def test_a_second_start_of_a_running_broker_is_refused(own_broker: Broker) -> None:
    with pytest.raises(BrokerError, match="runs already"):
        own_broker.start()
