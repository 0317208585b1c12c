"""Where there are too many sockets, the one that has waited longest goes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.sockets.crowd import FRESH_S, PER_ADDRESS, REPLACED_PER_S, Crowd
from gateway.sockets.file_limit import share


class Socket:
    aborted = False

    def abort(self) -> None:
        self.aborted = True


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def crowd_of(most: int) -> tuple[Crowd, Clock, list[Socket]]:
    """A crowd, its clock, and as many idle sockets of one address as it takes."""
    clock = Clock()
    crowd = Crowd(most, clock)
    sockets = [Socket() for _ in range(crowd.per_address)]
    for number, socket in enumerate(sockets):
        crowd.come(socket, "a", number + 1)
    return crowd, clock, sockets


def test_the_oldest_goes_when_the_node_is_full() -> None:
    crowd = Crowd(3, Clock())
    sockets = [Socket() for _ in range(5)]
    for number, socket in enumerate(sockets):
        crowd.come(socket, None, min(number + 1, 4))
    assert [socket.aborted for socket in sockets] == [True, True, False, False, False]


def test_one_that_is_being_answered_stays_and_is_the_youngest_afterwards() -> None:
    crowd = Crowd(2, Clock())
    busy, idle, new, newer = (Socket() for _ in range(4))
    crowd.come(busy, None, 1)
    crowd.come(idle, None, 2)
    crowd.leave(busy)
    crowd.come(new, None, 3)
    crowd.wait(busy, None)
    crowd.come(newer, None, 3)
    assert idle.aborted and new.aborted and not busy.aborted and not newer.aborted


def test_where_all_others_are_answered_the_new_one_goes() -> None:
    crowd = Crowd(1, Clock())
    busy, new = Socket(), Socket()
    crowd.come(busy, None, 1)
    crowd.leave(busy)
    crowd.come(new, None, 2)
    assert new.aborted and not busy.aborted


def test_an_address_has_a_share() -> None:
    crowd, clock, sockets = crowd_of(100)
    clock.now += FRESH_S
    other, further = Socket(), Socket()
    crowd.come(other, "b", 40)
    assert not any(socket.aborted for socket in sockets)
    crowd.come(further, "a", 41)
    assert [socket.aborted for socket in sockets].index(False) == 1
    assert not other.aborted and not further.aborted


def test_an_address_that_comes_too_often_is_turned_away() -> None:
    crowd, clock, sockets = crowd_of(1000)
    clock.now += FRESH_S
    new = [Socket() for _ in range(REPLACED_PER_S + 10)]
    for socket in new:
        crowd.come(socket, "a", 500)
    assert [socket.aborted for socket in sockets].count(True) == REPLACED_PER_S
    assert [socket.aborted for socket in new] == [False] * REPLACED_PER_S + [True] * 10


def test_a_full_node_turns_an_address_away_that_has_its_share() -> None:
    """Others are not to go for it."""
    crowd, _, sockets = crowd_of(100)
    other, new = Socket(), Socket()
    crowd.come(other, "b", 26)
    crowd.come(new, "a", 101)
    assert new.aborted and not other.aborted and not any(socket.aborted for socket in sockets)


def test_a_crowd_that_comes_at_once_is_let_in() -> None:
    crowd, _, sockets = crowd_of(100)
    crowd.come(Socket(), "a", 50)
    assert not any(socket.aborted for socket in sockets)


def test_an_address_that_is_not_counted_has_no_share() -> None:
    clock = Clock()
    crowd = Crowd(0, clock)
    sockets = [Socket() for _ in range(2 * PER_ADDRESS)]
    for number, socket in enumerate(sockets):
        clock.now += FRESH_S
        crowd.come(socket, None, number)
    assert not any(socket.aborted for socket in sockets)


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["come", "wait", "leave"]), st.sampled_from("ab"))))
def test_nothing_is_left_of_those_who_went(steps: list[tuple[int, str, str]]) -> None:
    crowd, sockets = Crowd(5, Clock()), [Socket() for _ in range(10)]
    for number, step, address in steps:
        socket = sockets[number]
        if step == "come":
            crowd.come(socket, address, len(crowd) + 1)
        elif step == "wait":
            crowd.wait(socket, address)
        else:
            crowd.leave(socket)
    for socket in sockets:
        crowd.leave(socket)
    assert len(crowd) == 0 and not crowd._of_address


def test_files_are_shared_out_so_that_health_checks_have_some() -> None:
    assert share(None, 20_000) == (21_000, 20_000)
    assert share(100_000, 20_000) == (21_000, 20_000)
    assert share(None, 0) == (0, 0)
    for files in (300, 1024, 4096, 20_000):
        for wanted in (0, 20_000):
            found = share(files, wanted)
            assert 0 < found.streams < found.sockets < files
            assert found.sockets - found.streams >= 7
