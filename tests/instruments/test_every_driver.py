"""Questions that every driver is asked on its persona, over every interface that its instrument has: there is no list of drivers here, and
none is left out."""

from __future__ import annotations

import pytest

from labd_instruments import loader
from labd_instruments.contract import Evidence
from labd_virtual.wire import Interface
from tests.instruments.asked import AGREE, ask, found_by, persona, power, questions, set_up, traps, wired, with_personas

DRIVERS = with_personas()
REACHED = [(driver, interface) for driver in DRIVERS for interface in wired(driver).interfaces]
SPRUNG = [(driver, trap) for driver in DRIVERS for trap in traps(driver)]


@pytest.mark.parametrize(("driver", "interface"), REACHED)
async def test_it_measures_what_flows_and_switches_off(driver: str, interface: Interface) -> None:
    how = wired(driver)
    async with set_up(driver, interface=interface) as made:
        answers = await ask(made, how)
        assert not made.persona.output_on()
    assert answers.flagged == ()
    assert answers.current_a.keys() == set(questions(driver)) != set()
    assert answers.current_a == pytest.approx(dict.fromkeys(answers.current_a, how.load_a), rel=AGREE)


@pytest.mark.parametrize(("driver", "trap"), SPRUNG)
async def test_a_trap_is_found_and_never_becomes_a_number(driver: str, trap: str) -> None:
    assert await found_by(driver, trap), f"not found: {traps(driver)[trap]}"


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_trap_is_told_in_a_sentence(driver: str) -> None:
    assert traps(driver), "every instrument has some"
    assert all(len(sentence.split()) > 3 for sentence in traps(driver).values())
    assert persona(driver).__doc__


@pytest.mark.parametrize("driver", DRIVERS)
def test_it_says_what_its_commands_rest_on(driver: str) -> None:
    assert loader.info(driver).evidence in set(Evidence)


@pytest.mark.parametrize(
    "driver", [name for name in DRIVERS if "Sources" in loader.info(name).capabilities and "SOCKET" in loader.info(name).on_the_wire]
)
async def test_its_output_is_switched_off_although_its_session_hangs(driver: str) -> None:
    """A socket that gives no answer is opened anew for that."""
    async with set_up(driver, interface="socket") as made:
        await power(made, wired(driver))
        made.persona.hang(True)
        await made.do(made.driver.make_safe)
        assert not made.persona.output_on()
