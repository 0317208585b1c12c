"""The hub: every event once and in order, or a channel in doubt; nobody pays for anybody else."""

from __future__ import annotations

import pytest

from gateway.closing import Closing
from gateway.fanout.continuity import Snapshot
from gateway.fanout.cursor import parse
from gateway.fanout.state import State, after
from publisher.envelope import NO_MARK, START, Event
from publisher.job import Job
from tests.unit.hub_world import EPOCH, World, at, event, events, mark


def data_of(text: str) -> list[str]:
    return [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]


def test_what_one_read_brought_is_one_write_per_connection() -> None:
    """Events are merged: three events of one read are one write."""
    world = World()
    channel = world.channel("topic:a", START)
    _, socket = world.connect(channel)
    world.receive(*events("topic:a", 1, 3))
    assert len(socket.written) == 1
    assert data_of(socket.text) == ["1", "2", "3"]


def test_connections_on_the_same_channels_share_the_same_bytes() -> None:
    """Encoded once, whoever listens."""
    world = World()
    channel = world.channel("topic:a", START)
    sockets = [world.connect(channel)[1] for _ in range(3)]
    world.receive(event("topic:a", 1))
    assert len({id(socket.written[0]) for socket in sockets}) == 1


def test_a_repeated_event_is_not_delivered_twice_and_puts_its_channel_in_doubt() -> None:
    """The same number may be a repetition, or another event after a failover: only Redis knows."""
    world = World()
    channel = world.channel("topic:a", START)
    _, socket = world.connect(channel)
    world.receive(event("topic:a", 1))
    world.receive(event("topic:a", 1))
    assert data_of(socket.text) == ["1"]
    assert world.suspects == ["topic:a"]


def test_nothing_is_delivered_behind_a_gap() -> None:
    """An event whose predecessor is missing waits for the history."""
    world = World()
    channel = world.channel("topic:a", at(1))
    _, socket = world.connect(channel)
    world.receive(event("topic:a", 3))
    assert socket.written == []
    assert world.suspects == ["topic:a"]
    assert world.hub.learn(channel, Snapshot(at(3), events("topic:a", 2, 3)), at(1))
    world.hub.flush()
    assert data_of(socket.text) == ["2", "3"]


def test_the_right_number_of_another_history_is_noticed() -> None:
    """After a failover the numbers go on, but the chain of marks does not."""
    world = World()
    channel = world.channel("topic:a", at(5))
    _, socket = world.connect(channel)
    world.receive(event("topic:a", 6, history="x"))
    assert socket.written == []
    assert world.suspects == ["topic:a"]


def test_a_lost_tail_is_no_continuation() -> None:
    """Redis has fewer events than were delivered: the members must be reset."""
    world = World()
    channel = world.channel("topic:a", at(5))
    assert not world.hub.learn(channel, Snapshot(at(3), []), at(5))
    assert not world.hub.learn(channel, Snapshot(at(7, "x"), events("topic:a", 6, 7, history="x")), at(5))


def test_a_snapshot_older_than_what_arrived_since_is_no_loss() -> None:
    """The answer to a read may come after newer announcements."""
    world = World()
    channel = world.channel("topic:a", at(1))
    _, socket = world.connect(channel)
    world.receive(*events("topic:a", 2, 4))
    assert world.hub.learn(channel, Snapshot(at(3), events("topic:a", 2, 3)), at(1))
    world.hub.flush()
    assert data_of(socket.text) == ["2", "3", "4"]
    assert channel.position == at(4)


def test_a_joiner_is_spliced_in_with_what_came_while_it_read() -> None:
    """Subscribe first, read the history, then join the two."""
    world = World()
    channel = world.channel("topic:a", at(2))
    channel.join()
    world.receive(*events("topic:a", 3, 5))
    connection, socket = world.opening(channel)
    lacking = channel.since(at(3))
    assert lacking is not None and [e.seq for e in lacking] == [4, 5]
    connection.behind[channel] = at(5)
    world.hub.join(connection, channel)
    connection.begun()
    assert connection.state is State.LIVE and channel.size == 1
    world.receive(event("topic:a", 6))
    assert data_of(socket.text) == ["6"]


def test_a_joiner_that_does_not_join_up_has_to_read_again() -> None:
    world = World()
    channel = world.channel("topic:a", at(2))
    connection, _ = world.opening(channel)
    assert channel.since(at(1)) is None
    connection.behind[channel] = at(1)
    with pytest.raises(AssertionError, match="where its channel is"):
        world.hub.join(connection, channel)
    assert channel.size == 0


def test_events_before_the_first_read_of_the_history_are_not_lost() -> None:
    """They wait in the tail and continue what the first read brings."""
    world = World()
    channel = world.hub.channel("topic:a")
    channel.join()
    world.receive(*events("topic:a", 2, 4))
    assert channel.position is None
    assert world.hub.learn(channel, Snapshot(at(3), []), None)
    assert channel.position == at(4)


def test_a_reset_tells_every_member_and_gives_the_newest_state() -> None:
    world = World()
    channel = world.channel("job:a", at(5))
    connection, socket = world.connect(channel)
    job = Job(job_id="a", kind="k", status="completed")
    world.hub.reset(channel, Snapshot(at(9, "x"), []), [job], "history_lost")
    world.turn()
    assert data_of(socket.text) == ['{"reset":"job:a","reason":"history_lost"}', '{"state":"completed"}']
    assert connection.is_ending()
    assert channel.position == at(9, "x")


def test_after_a_reset_without_a_state_the_first_event_is_told_with_one() -> None:
    """The job is not there yet: its worker writes again what pages have, and they have to begin from a state."""
    world = World()
    channel = world.channel("job:a", at(5))
    _, socket = world.connect(channel)
    world.hub.reset(channel, Snapshot(START, []), [], "history_lost")
    assert world.hub.learn(channel, Snapshot(START, []), channel.position), "nothing is missed while nothing is there"
    world.receive(*events("job:a", 1, 2))
    world.turn()
    assert data_of(socket.text) == ['{"reset":"job:a","reason":"history_lost"}']
    assert world.suspects == ["job:a"] * 2
    assert not world.hub.learn(channel, Snapshot(at(2), events("job:a", 1, 2)), channel.position)


def test_only_the_last_word_of_a_reset_moves_the_cursor() -> None:
    """Who is cut off between the reset and the state comes back with its old cursor, and is told all of it again."""
    world = World()
    channel = world.channel("job:a", at(5))
    _, socket = world.connect(channel)
    world.hub.reset(channel, Snapshot(at(9, "x"), []), [Job(job_id="a", kind="k", status="active")], "history_lost")
    world.turn()
    ids = [line.removeprefix("id: ") for line in socket.text.splitlines() if line.startswith("id: ")]
    assert [parse(text)[channel.tag] for text in ids] == [at(5), at(9, "x")]


def test_a_stream_that_is_ending_hears_that_its_socket_is_gone() -> None:
    """It may be waiting for a peer that takes nothing: its place must be free at once."""
    world = World()
    woken: list[State] = []
    connection, _ = world.connect(world.channel("job:a", START), wake=lambda: woken.append(connection.state))
    connection.finish(Closing.FINISHED)
    connection.on_lost()
    assert woken == [State.ENDING, State.CLOSED]
    assert connection.closing is Closing.FINISHED


def test_a_full_queue_leaves_the_live_members_and_remembers_where() -> None:
    """Nothing is dropped: it is read from the history later. The others go on."""
    world = World()
    channel = world.channel("topic:a", START)
    slow, slow_socket = world.connect(channel, limit=300)
    _, fast_socket = world.connect(channel)
    slow_socket.pause_after = 0
    world.receive(event("topic:a", 1))
    world.receive(event("topic:a", 2, data=b'"%b"' % (b"x" * 100)))
    world.receive(event("topic:a", 3, data=b'"%b"' % (b"x" * 200)))
    assert slow.state is State.BEHIND and slow.behind == {channel: at(2)}
    assert slow.queued <= 300
    assert channel.size == 1
    assert len(data_of(fast_socket.text)) == 3


def test_the_cursor_of_an_event_says_where_the_connection_stands_on_all_its_channels() -> None:
    """An event of one channel carries the positions of the others, or a resume would lose them."""
    world = World()
    one, two = world.channel("client:x", START), world.channel("broadcast", at(7))
    _, socket = world.connect(one, two)
    world.receive(event("client:x", 1))
    world.receive(event("broadcast", 8))
    ids = [line.removeprefix("id: ") for line in socket.text.splitlines() if line.startswith("id: ")]
    assert parse(ids[0]) == {one.tag: at(1), two.tag: at(7)}
    assert parse(ids[1]) == {one.tag: at(1), two.tag: at(8)}


def test_a_stream_ends_with_the_last_of_its_jobs() -> None:
    world = World()
    a, b = world.channel("job:a", START), world.channel("job:b", START)
    connection, _ = world.connect(a, b)
    world.receive(event("job:a", 1, type="job.completed"))
    assert not connection.is_ending()
    world.receive(event("job:b", 1, type="job.failed"))
    assert connection.is_ending()


def test_a_message_that_is_none_puts_its_channel_in_doubt_and_hurts_nobody() -> None:
    world = World()
    channel = world.channel("topic:a", START)
    _, socket = world.connect(channel)
    world.hub.receive([("topic:a", b"rubbish"), ("topic:b", b"rubbish")])
    world.receive(event("topic:a", 1))
    assert world.suspects == ["topic:a"]
    assert data_of(socket.text) == ["1"]


def test_a_channel_nobody_wants_is_forgotten_after_the_linger() -> None:
    world = World()
    channel = world.channel("topic:a", START)
    connection, _ = world.connect(channel)
    assert world.hub.sweep(0, 5) == []
    world.hub.discard(connection)
    assert world.hub.sweep(10, 5) == []
    assert world.hub.sweep(14, 5) == []
    assert [c.name for c in world.hub.sweep(15, 5)] == ["topic:a"]
    assert world.hub.channels == {}


def test_a_chunk_ends_where_an_event_ends_and_is_at_most_16_kib() -> None:
    """Some clients do not join chunks."""
    world = World()
    channel = world.channel("topic:a", START)
    _, socket = world.connect(channel, chunked=True)
    payload = b'"%b"' % (b"x" * 3000)
    world.receive(*[event("topic:a", seq, data=payload) for seq in range(1, 21)])
    rest = b"".join(socket.written)
    sizes = []
    while rest:
        size, rest = rest.split(b"\r\n", 1)
        body, rest = rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        sizes.append(len(body))
        assert body.startswith(b"id: ") and body.endswith(b"\n\n")
    assert max(sizes) <= 16 * 1024 and len(sizes) == 4


def test_a_chain_starts_anywhere_only_with_its_own_mark() -> None:
    first = Event("topic:a", EPOCH, 1, mark(1), NO_MARK, 0, "t", b"1")
    assert first.follows(START)
    assert not first.follows(at(0))
    assert not event("topic:a", 2).follows(at(1, "x"))


def test_a_stream_that_falls_behind_on_one_channel_leaves_them_all_and_comes_back_one_by_one() -> None:
    """Else the cursor of an event of the other channel would say that it has what it has not read yet."""
    world = World()
    one, two = world.channel("topic:a", START), world.channel("topic:b", at(7))
    slow, socket = world.connect(one, two, limit=100)
    socket.pause_after = 0
    world.receive(event("topic:a", 1))
    world.receive(event("topic:a", 2, data=b'"%b"' % (b"x" * 200)))
    assert slow.behind == {one: at(1), two: at(7)}
    assert (one.size, two.size) == (0, 0)
    world.hub.join(slow, two)
    states = [slow.state]
    slow.behind[one] = at(2)
    world.hub.join(slow, one)
    assert [*states, slow.state] == [State.BEHIND, State.LIVE] and not slow.behind


def test_the_first_reason_to_end_counts_and_closing_is_final() -> None:
    """Whoever comes later changes nothing, and nothing is written any more."""
    world = World()
    channel = world.channel("topic:a", START)
    connection, socket = world.connect(channel)
    connection.finish(Closing.DRAINING)
    world.receive(event("topic:a", 1))
    assert data_of(socket.text) == ["1"], "what comes before the last words is not lost"
    connection.finish(Closing.AGE)
    connection.close(Closing.INTERNAL)
    connection.close(Closing.GONE)
    assert connection.closing is Closing.DRAINING and connection.state is State.CLOSED
    world.receive(event("topic:a", 2))
    assert data_of(socket.text) == ["1"]


def test_a_stream_that_is_told_to_end_while_it_opens_does_not_go_live() -> None:
    world = World()
    connection, _ = world.opening(world.channel("job:a", START))
    connection.finish(Closing.FINISHED)
    connection.begun()
    assert connection.state is State.ENDING


LEGAL = {
    (State.OPENING, State.LIVE),
    (State.OPENING, State.BEHIND),
    (State.LIVE, State.BEHIND),
    (State.BEHIND, State.LIVE),
    (State.OPENING, State.ENDING),
    (State.LIVE, State.ENDING),
    (State.BEHIND, State.ENDING),
    *((state, State.CLOSED) for state in State if state is not State.CLOSED),
}


@pytest.mark.parametrize("to", State)
@pytest.mark.parametrize("state", State)
def test_no_way_leads_from_one_state_to_another_but_those_of_the_table(state: State, to: State) -> None:
    if (state, to) in LEGAL:
        assert after(state, to) is to
    else:
        with pytest.raises(AssertionError, match=f"{state.value} cannot become {to.value}"):
            after(state, to)
