import numpy as np
import pytest

from neutral import demo


@pytest.fixture(scope="module")
def smiles():
    return demo.read_smiles()


def test_sample_volatilities_agree_with_the_exchange(smiles):
    assert len(smiles.names) == 4
    assert np.all(smiles.bid_vol <= smiles.ask_vol)
    # mark volatilities of the options nearest the money, as the exchange states them in the sample
    np.testing.assert_allclose(
        demo._atm(smiles, smiles.mid_vol), [0.3806, 0.3880, 0.4026, 0.4385], atol=0.005
    )


def test_least_squares_finds_known_parameters():
    x = np.linspace(0.0, 1.0, 20)

    def residuals(z):
        return z[0] * np.exp(1.0) ** (z[1] * x) - 2.0 * np.exp(-3.0 * x)

    found = demo.levenberg_marquardt(residuals, [1.0, -1.0])
    assert found.converged and found.steps < 20
    np.testing.assert_allclose(found.z, [2.0, -3.0], rtol=1e-6)


def test_least_squares_says_when_it_fails():
    found = demo.levenberg_marquardt(lambda z: z * np.nan, [1.0])
    assert not found.converged and found.steps == demo.MAX_STEPS
