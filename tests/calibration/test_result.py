import jax.numpy as jnp
import numpy as np

from neutral.calibration.result import CalibrationStatus
from neutral.calibration.solvers import Stop


def test_every_stop_is_a_status_of_the_same_name():
    for stop in Stop:
        status = CalibrationStatus(int(CalibrationStatus.from_stop(jnp.array(stop), jnp.array(True))))
        assert status.name == ("max_steps" if stop is Stop.running else stop.name)
        assert status.message.endswith(".")


def test_unusable_quotes_come_before_all_else():
    stops = jnp.array([int(stop) for stop in Stop])
    status = CalibrationStatus.from_stop(stops, jnp.zeros(len(Stop), bool))
    assert np.all(status == CalibrationStatus.bad_quotes)
