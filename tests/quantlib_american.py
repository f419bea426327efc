"""American prices that this package did not calculate: QuantLib's."""

import QuantLib as ql


def quantlib_price(strike, maturity, vol, rate, dividend, is_call, spot=100.0):
    today, days = ql.Date(1, 1, 2026), ql.Actual365Fixed()
    ql.Settings.instance().evaluationDate = today

    def flat(level):
        return ql.YieldTermStructureHandle(ql.FlatForward(today, float(level), days))

    smile = ql.BlackConstantVol(today, ql.NullCalendar(), float(vol), days)
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(spot)),
        flat(dividend),
        flat(rate),
        ql.BlackVolTermStructureHandle(smile),
    )
    payoff = ql.PlainVanillaPayoff(ql.Option.Call if is_call else ql.Option.Put, float(strike))
    option = ql.VanillaOption(payoff, ql.AmericanExercise(today, today + round(365 * maturity)))
    option.setPricingEngine(ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.accurateScheme()))
    return option.NPV()


def quantlib_dividend_price(option, days, dividends=(), model="spot", grid=(800, 800)):
    """American price on a spot of 100 by finite differences, with cash dividends.

    Args:
        option: Strike, volatility, rate, continuous yield, and whether it is a call.
        days: Days to the maturity.
        dividends: Rows of days and cash.
        model: "spot" or "escrowed".
        grid: Points in time and in the logarithm of the price.
    """
    strike, vol, rate, dividend, is_call = option
    today, day_count = ql.Date(1, 1, 2026), ql.Actual365Fixed()
    ql.Settings.instance().evaluationDate = today

    def flat(level):
        return ql.YieldTermStructureHandle(ql.FlatForward(today, float(level), day_count))

    smile = ql.BlackConstantVol(today, ql.NullCalendar(), float(vol), day_count)
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(100.0)),
        flat(dividend),
        flat(rate),
        ql.BlackVolTermStructureHandle(smile),
    )
    schedule = [ql.FixedDividend(float(cash), today + int(day)) for day, cash in dividends]
    payoff = ql.PlainVanillaPayoff(ql.Option.Call if is_call else ql.Option.Put, float(strike))
    american = ql.VanillaOption(payoff, ql.AmericanExercise(today, today + int(days)))
    engine = ql.FdBlackScholesVanillaEngine
    kind = {"spot": engine.Spot, "escrowed": engine.Escrowed}[model]
    damping_steps = 2
    scheme = ql.FdmSchemeDesc.Douglas()
    settings = (process, schedule, *grid, damping_steps, scheme, False, -1.0, kind)
    american.setPricingEngine(engine(*settings))
    return american.NPV()
