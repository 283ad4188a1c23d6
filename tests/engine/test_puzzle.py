"""The puzzle in miniature: every step comes, and its numbers add up."""

import json
import re

import pytest

from thighview.core.run import ExampleStep, event_from_line
from thighview.engine.puzzle import STEPS, PuzzleSize, _alike, solve

SIZE = PuzzleSize(people=5, fresh=1, slices=4, edge=32, base=2, epochs=2, splits=2, batch=16)


def test_the_signs_of_the_gaps_are_told() -> None:
    assert _alike([-0.01, -0.02]) == "validation reads better each time"
    assert _alike([0.01, 0.02]) == "validation reads worse each time"
    assert _alike([0.01, -0.02]) == _alike([0.0, 0.02]) == _alike([0.0, 0.0]) == "not all of one sign"


@pytest.mark.usefixtures("eager")
def test_the_puzzle_is_played_to_its_answer() -> None:
    told: list[ExampleStep] = []
    done: list[tuple[int, int]] = []
    solve(told.append, SIZE, lambda *counts: done.append(counts))
    assert [step.number for step in told] == list(range(1, STEPS + 1))
    assert done[-1] == (STEPS, STEPS)
    for step in told:
        assert event_from_line(step.to_line()) == step
        assert json.loads(step.to_line())["event"] == "example"
        assert all(len(values) == SIZE.epochs for _, values in step.curves)
        assert all(abs(gap.residual) < 1e-6 for gap in step.gaps)
    same = {gap.metric: gap for gap in told[2].gaps}
    assert (
        same["loss"].regime == same["loss"].augmentation == same["loss"].split == 0
    )  # trained and validated on one set
    assert abs(same["loss"].lag) > 0.9 * abs(same["loss"].validation - same["loss"].train)
    exact, right = (dict(told[1].curves)[name][-1] for name in ("exact pixels (Accuracy)", "right pixels"))
    assert exact < 0.5 < right  # what the seed's Accuracy counts is not what is right
    assert all("-0." not in step.text for step in told)
    for step, named in ((told[2], [3]), (told[3], [5, 3])):  # a gap, and its parts, each told with its sign
        numbers = [float(n.replace("−", "-")) for n in re.findall(r"(?<![\d.])[+−]?0\.\d{4}", step.text)]
        for many in named:
            gap, parts, numbers = numbers[0], numbers[1:many], numbers[many:]
            assert sum(parts) == pytest.approx(gap, abs=0.0003)
        assert not numbers
    by_person = told[5].gaps[0]
    assert by_person.leaked == 0
    assert told[6].gaps[0].leaked > 0
    assert "does not measure new people" in told[6].text
