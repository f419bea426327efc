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
