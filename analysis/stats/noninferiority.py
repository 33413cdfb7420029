"""Did the second lose less than a margin? An exact test of non-inferiority, and its bound."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, betaincinv, gammaln, xlog1py, xlogy

from analysis.stats.paired import Paired

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

OUTSIDE = 0.001  # chance that the true discordance lies outside the range that is searched; added to the p-value
RATES = 40  # discordances searched in it
TOLERANCE = 1e-5  # of a bound, as a fraction
NEGLIGIBLE = 1e-12  # weight of a number of discordant questions that isn't reckoned with


def within_p(pair: Paired, margin: float) -> float:
    """The p-value of "the second loses `margin` or more against the first": small where it loses less.

    Tables are ordered by the score of `margin` as the true loss (`score`, Tango 1998). The p-value is the chance of a
    score as high or higher if the true loss is the margin, at the discordance that makes it largest, among those
    within a 99.9 % interval of the discordance seen (Clopper-Pearson), plus the 0.1 % for those outside it (Berger and
    Boos 1994). So the error is at most its level whatever share of the questions is discordant; where the loss is
    beyond the margin it is smaller still, since with as many discordant questions fewer would be lost at the margin.

    Sources: Hsueh, Liu and Chen 2001 (Biometrics 57:478); Sidik 2003 (Statistics in Medicine 22:265); Berger and Boos
    1994 (JASA 89:1012). `margin` is a fraction in (-1, 1]; a negative one asks whether the second gains more than that.
    """
    asked = pair.asked
    if not -1 < margin <= 1:
        raise ValueError(f"A margin of {margin} is no loss of accuracy that can be, as a fraction.")
    if asked == 0:
        return 1.0
    if margin == 1:
        return float(pair.lost == asked)
    low, high = _discordances(pair, max(margin, 0.0))
    if high < low:
        return OUTSIDE
    rates = low + (high - low) * np.linspace(0, 1, RATES) ** 2  # (R,) closest where few are discordant
    discordant = _likely(asked, low, high)  # (D,)
    seen = float(score(np.array(pair.lost), np.array(pair.gained), asked, margin))
    most = _most_lost(discordant, asked, margin, seen)
    lost_share = np.maximum(0.0, (rates + margin) / np.maximum(2 * rates, TOLERANCE))  # of the discordant ones
    weight = np.exp(_log_binomial(discordant, asked, rates[:, None]))  # (R, D)
    rate, place = np.nonzero((weight > NEGLIGIBLE) & (most >= 0))
    chance = np.zeros_like(weight)
    chance[rate, place] = bdtr(most[place].astype(float), discordant[place], lost_share[rate])
    return min(1.0, float((weight * chance).sum(axis=1).max()) + OUTSIDE)


def loss_bound(pair: Paired, level: float = 0.95) -> float:
    """The smallest loss that the pair rules out at this one-sided level, as a fraction: `within_p` is 1 - level there.

    1 where nothing was asked. The second gained at least so much where it is negative.
    """
    low, high = -1 + TOLERANCE, 1.0
    while high - low > TOLERANCE:
        middle = (low + high) / 2
        low, high = (low, middle) if within_p(pair, middle) < 1 - level else (middle, high)
    return high


def score(lost: Counts, gained: Counts, asked: int, margin: float) -> Floats:
    """Standard errors by which the loss lies below `margin`, elementwise; 0 where there is neither loss nor error.

        z = (n·m - lost + gained) / sqrt(n·(2q + m(1-m)))
        q = (sqrt(B² - 4AC) - B) / 2A,  A = 2n,  B = (2n - lost + gained)·m - lost - gained,  C = -gained·m(1-m)

    q is the likeliest rate of gaining if the true loss is m. Source: Tango 1998 (Statistics in Medicine 17:891).
    """
    a, b = 2.0 * asked, (2 * asked - lost + gained) * margin - lost - gained
    root = np.sqrt(np.maximum(b * b + 4 * a * gained * margin * (1 - margin), 0.0))
    variance = asked * ((root - b) / a + margin * (1 - margin))
    below = asked * margin - lost + gained
    return np.where(variance > 0, below / np.sqrt(np.where(variance > 0, variance, 1.0)), 0.0)


def _discordances(pair: Paired, least: float) -> tuple[float, float]:
    """Where the true discordance lies, but for `OUTSIDE`; it is no less than a loss of `least`."""
    seen, same = pair.discordant, pair.asked - pair.discordant
    low = float(betaincinv(seen, same + 1, OUTSIDE / 2)) if seen else 0.0
    high = float(betaincinv(seen + 1, same, 1 - OUTSIDE / 2)) if same else 1.0
    return max(low, least), high


def _likely(asked: int, low: float, high: float) -> Counts:
    """(D,) numbers of discordant questions that occur at rates from `low` to `high`, within six standard deviations."""
    room = 6 * np.sqrt(asked * high * (1 - min(low, 0.5))) + 10
    return np.arange(max(0, int(asked * low - room)), min(asked, int(asked * high + room)) + 1)


def _most_lost(discordant: Counts, asked: int, margin: float, seen: float) -> Counts:
    """(D,) the most questions lost, of so many discordant ones, at which the score is `seen` or higher; else -1."""
    low, high = np.full(discordant.size, -1), discordant.copy()
    while (low < high).any():
        middle = (low + high + 1) // 2
        reached = score(middle, discordant - middle, asked, margin) >= seen - 1e-9
        low, high = np.where(reached, middle, low), np.where(reached, high, middle - 1)
    return low


def _log_binomial(count: Counts, size: int, rate: Floats) -> Floats:
    ways = gammaln(size + 1.0) - gammaln(count + 1.0) - gammaln(size - count + 1.0)
    return np.asarray(ways + xlogy(count, rate) + xlog1py(size - count, -rate))
