"""Three days of an index chain, generated: Heston prices with noise inside the spread; the last day has seven
quotes that no market could have.

`python tests/worked_example.py` writes the shipped files anew.
"""

import numpy as np
import pandas as pd

import neutral as nt
from neutral.options import black
from neutral.shipped import sample_folder

MATURITIES = np.array([1 / 12, 0.25, 0.5, 1.0, 2.0])
RATE, DIVIDEND = 0.045, 0.015
STRIKES = np.linspace(-2.4, 1.4, 27)  # in standard deviations at the money
NOISE, HALF_SPREAD, TICK = 0.0005, 0.002, 0.05  # of volatility; of volatility; cash
DAYS = {
    "2024-05-21": (4470.0, nt.Heston(v0=0.0281, kappa=2.30, theta=0.0441, sigma_v=0.43, rho=-0.71)),
    "2024-05-22": (4485.0, nt.Heston(v0=0.0274, kappa=2.32, theta=0.0440, sigma_v=0.42, rho=-0.72)),
    "2024-05-23": (4500.0, nt.Heston(v0=0.0263, kappa=2.35, theta=0.0438, sigma_v=0.42, rho=-0.72)),
}
VIOLATED = "2024-05-23"


def place(maturity, strike):
    return STRIKES.size * maturity + strike


# by row of the last day: what must be said of it
PLANTED = {
    place(1, 10): "butterfly",
    place(2, 15): "butterfly",
    place(4, 20): "butterfly",
    place(2, 8): "calendar",
    place(3, 22): "calendar",
    place(0, 2): "intrinsic",
    place(3, 25): "not above 0",
}


def chain(date):
    """The quotes of a day, 135 of them, out of the money."""
    spot, model = DAYS[date]
    rng = np.random.default_rng(int(date.replace("-", "")))
    t, z = (x.ravel() for x in np.meshgrid(MATURITIES, STRIKES, indexing="ij"))
    at_money = np.asarray(nt.implied_vol(nt.price(model, 1.0, 1.0, t), 1.0, 1.0, t))
    forward, discount = spot * np.exp((RATE - DIVIDEND) * t), np.exp(-RATE * t)
    strike = np.round(forward * np.exp(z * at_money * np.sqrt(t)), 1)
    k, is_call, unit = np.log(strike / forward), strike >= forward, discount * forward
    terms = (forward, strike, t, is_call)
    vol = np.asarray(nt.implied_vol(nt.price(model, *terms), *terms))

    def cash(vol):
        return unit * np.asarray(black.price(k, vol * np.sqrt(t), is_call))

    half = np.maximum(cash(vol + HALF_SPREAD) - cash(vol), TICK)
    noise = cash(vol + NOISE * rng.standard_normal(vol.size)) - cash(vol)
    mid = cash(vol) + np.clip(noise, -0.9 * half, 0.9 * half)
    kinds = np.where(is_call, "call", "put")
    if date == VIOLATED:
        mid, kinds = planted(mid, half, kinds, unit, strike / forward, strike * discount)
    return pd.DataFrame(
        {
            "date": date,
            "underlying": "SPX",
            "spot": spot,
            "T": t,
            "forward": forward,
            "discount": discount,
            "strike": strike,
            "type": kinds,
            "bid": np.round(mid - half, 4),
            "ask": np.round(mid + half, 4),
            "open_interest": rng.integers(150, 5000, vol.size),
        }
    )


def planted(mid, half, kinds, unit, moneyness, worth):
    """The quotes with `PLANTED` among them: mids and kinds."""
    mid, kinds = mid.copy(), kinds.copy()
    for row, sizes in ((place(1, 10), 15.0), (place(2, 15), -15.0), (place(4, 20), 15.0)):
        mid[row] += sizes * half[row]
    # one below the price of the expiry before at its moneyness, one above that of the expiry after
    for row, other, sizes in ((place(2, 8), 1, -5.0), (place(3, 22), 4, 5.0)):
        rows = slice(place(other, 0), place(other + 1, 0))
        there = np.interp(moneyness[row], moneyness[rows], mid[rows] / unit[rows])
        mid[row] = there * unit[row] + sizes * half[row]
    row = place(0, 2)
    kinds[row], mid[row] = "call", unit[row] - worth[row] - 5.0
    mid[place(3, 25)] = -0.5
    return mid, kinds


def main():
    nt.enable_x64()
    for date in DAYS:
        path = sample_folder("index") / f"spx_{date.replace('-', '')}.csv"
        chain(date).to_csv(path, index=False, float_format="%.10g")


if __name__ == "__main__":
    main()
