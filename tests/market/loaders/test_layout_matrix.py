"""Every layout of market data, in every order and with every damage: right, or refused with a reason.

The truth is that of the market from which a file is made (tests/layouts): a file that is read must give the
volatilities that were put in, to 10 basis points, at its expiries. Anything else is silently wrong.
"""

import pytest
from layouts import LAYOUTS
from layouts.damages import DAMAGES, damaged
from layouts.judge import judge

AMERICAN = [name for name, layout in LAYOUTS.items() if layout.market.exercise == "american"]
EUROPEAN = [name for name in LAYOUTS if name not in AMERICAN]
# European equivalents take a second a file, so American chains are damaged only where it matters to them
FOR_AMERICAN = (
    "rows shuffled",
    "adjusted first",
    "two underlyings, shuffled",
    "two days",
    "strikes x 1000",
    "no date",
)
QUICK = 1  # damages of each layout in the short test
NEEDED = 0.95  # of the layouts


def cases(name: str, damages):
    """The damaged cases of a layout that exist."""
    whole = LAYOUTS[name].case()
    for damage in damages:
        case = damaged(whole, damage)
        if case is not None:
            yield damage, case


def unsafe(name: str, damages, folder) -> list[str]:
    """What is silently wrong or escapes, of some damages of a layout."""
    verdicts = ((damage, judge(case, folder)) for damage, case in cases(name, damages))
    return [f"{damage}: {verdict}" for damage, verdict in verdicts if not verdict.is_safe]


@pytest.mark.parametrize("name", EUROPEAN)
def test_a_whole_file_is_not_misread(name, tmp_path):
    verdict = judge(LAYOUTS[name].case(), tmp_path)
    assert verdict.is_safe, str(verdict)


@pytest.mark.parametrize("name", EUROPEAN)
def test_a_damaged_file_is_not_misread(name, tmp_path):
    first = 7 * list(LAYOUTS).index(name) % len(DAMAGES)
    turned = [*DAMAGES][first:] + [*DAMAGES][:first]
    chosen = [damage for damage, _ in cases(name, turned)][:QUICK]
    assert unsafe(name, chosen, tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS)
def test_no_order_and_no_damage_is_misread(name, tmp_path):
    damages = FOR_AMERICAN if name in AMERICAN else DAMAGES
    assert len([*cases(name, damages)]) >= 5
    assert unsafe(name, damages, tmp_path) == []


@pytest.mark.slow
def test_nearly_all_layouts_are_read_or_say_which_map_to_write(tmp_path):
    verdicts = {name: judge(layout.case(), tmp_path) for name, layout in LAYOUTS.items()}
    unread = {name: str(verdict) for name, verdict in verdicts.items() if not verdict.is_read}
    assert len(verdicts) >= 30
    assert len(unread) <= (1 - NEEDED) * len(verdicts), unread
