"""Where options and arguments may stand on the command line."""

from __future__ import annotations

import pytest

from gateway.cli import parser


@pytest.mark.parametrize(
    "line",
    [
        "publish topic:a t -1 --id own --json",
        "publish topic:a --json t -1 --id own",
        "publish --id own topic:a t --json -1",
        "--json publish --id own topic:a t -1",
        "publish --json --id own -- topic:a t -1",
    ],
)
def test_options_of_a_command_stand_before_between_and_behind_its_arguments(line: str) -> None:
    given = parser().parse_args(line.split())
    assert (given.channel, given.type, given.data, given.id, given.json) == ("topic:a", "t", "-1", "own", True)


def test_a_list_may_have_an_option_in_its_middle() -> None:
    assert parser().parse_args(["tail", "topic:a", "-n", "5", "topic:b"]).streams == ["topic:a", "topic:b"]


def test_an_argument_that_may_be_left_out_may_stand_behind_an_option() -> None:
    given = parser().parse_args(["jobs", "show", "--json", "42"])
    assert (given.action, given.job) == ("show", "42")
    assert parser().parse_args(["jobs"]).action == "list"


def test_what_comes_behind_two_dashes_is_no_option() -> None:
    assert parser().parse_args(["publish", "--", "topic:a", "t", "-x"]).data == "-x"


@pytest.mark.parametrize("line", ["publish topic:a --what t 1", "publish topic:a t 1 2", "publish", "jobs fly --json"])
def test_what_fits_nowhere_is_refused(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(line.split())
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
