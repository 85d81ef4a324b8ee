"""The mixed model against what is known in closed form, and against the likelihood written out in full."""

from __future__ import annotations

from math import isnan, sqrt

import numpy as np
import pytest
from scipy import optimize, stats

from xstilts.results.question.crossed import NOTHING, Array, Estimate, Grouping, fit


def crossed(seed: int, rows: int = 90) -> tuple[Array, Array, dict[str, Grouping]]:
    """Unbalanced: three groupings, one of them a slope."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 6, rows), rng.integers(0, 9, rows)
    r = rng.normal(size=rows)
    y = 1.0 + 0.5 * r + rng.normal(0, 1.0, 6)[a] + rng.normal(0, 0.7, 9)[b] + rng.normal(0, 0.5, 6)[a] * r
    x = np.column_stack([np.ones(rows), r])
    return y + rng.normal(size=rows), x, {"a": Grouping(a), "b": Grouping(b), "a slope": Grouping(a, r)}


def deviance(theta: Array, y: Array, x: Array, groupings: dict[str, Grouping]) -> float:
    """Minus twice the restricted log-likelihood, with all matrices of all rows."""
    v = theta[0] * np.eye(len(y))
    for variance, grouping in zip(theta[1:], groupings.values(), strict=True):
        z = grouping.columns()
        v += variance * z @ z.T
    inverse = np.linalg.inv(v)
    xvx = x.T @ inverse @ x
    rest = y - x @ np.linalg.solve(xvx, x.T @ inverse @ y)
    return float(np.linalg.slogdet(v)[1] + np.linalg.slogdet(xvx)[1] + rest @ inverse @ rest)


@pytest.mark.parametrize("seed", [1, 2, 5])
def test_variances_maximise_the_restricted_likelihood(seed: int) -> None:
    y, x, groupings = crossed(seed)
    found = fit(y, x, groupings)
    ours = np.array([found.variances[name] for name in ("residual", *groupings)])
    start = np.full(4, 0.5)
    other = optimize.minimize(deviance, start, (y, x, groupings), "L-BFGS-B", bounds=[(1e-6, None), *[(0, None)] * 3])
    assert deviance(ours, y, x, groupings) <= other.fun + 1e-3
    assert ours == pytest.approx(other.x, abs=0.02)


def test_coefficients_are_generalised_least_squares_and_weighted_sums_of_the_rows() -> None:
    y, x, groupings = crossed(3)
    found = fit(y, x, groupings)
    v = found.variances["residual"] * np.eye(len(y))
    for name, grouping in groupings.items():
        v += found.variances[name] * grouping.columns() @ grouping.columns().T
    xv = x.T @ np.linalg.inv(v)
    assert found.coefficients == pytest.approx(np.linalg.solve(xv @ x, xv @ y))
    assert found.weights @ y == pytest.approx(found.coefficients)
    known = np.linalg.inv(xv @ x)
    assert sum(found.share([1, 0]).values()) == pytest.approx(known[0, 0])
    assert found.estimate([1, 0]).se >= sqrt(known[0, 0])  # corrected, for the variances are estimated


def test_a_balanced_one_way_layout_has_its_exact_interval() -> None:
    rng = np.random.default_rng(0)
    groups, each = 7, 5
    level = np.repeat(np.arange(groups), each)
    y = rng.normal(0, 2.0, groups)[level] + rng.normal(size=len(level))
    means = y.reshape(groups, each).mean(1)
    found = fit(y, np.ones((len(y), 1)), {"group": Grouping(level)}).estimate([1.0])
    assert found.value == pytest.approx(y.mean())
    assert found.se == pytest.approx(means.std(ddof=1) / sqrt(groups), rel=1e-3)
    assert found.df == pytest.approx(groups - 1, rel=1e-2)
    interval = stats.t.interval(0.95, groups - 1, means.mean(), means.std(ddof=1) / sqrt(groups))
    assert found.interval() == pytest.approx(interval, rel=1e-2)
    assert found.p == pytest.approx(stats.ttest_1samp(means, 0).pvalue, rel=2e-2)


def test_a_balanced_two_way_layout_has_the_variances_of_its_mean_squares() -> None:
    rng = np.random.default_rng(4)
    a, b = np.repeat(np.arange(8), 6), np.tile(np.arange(6), 8)
    table = (rng.normal(0, 2, 8)[a] + rng.normal(0, 2, 6)[b] + rng.normal(size=48)).reshape(8, 6)
    rows, columns = table.mean(1), table.mean(0)
    inner = ((table - rows[:, None] - columns + table.mean()) ** 2).sum() / (7 * 5)
    found = fit(table.ravel(), np.ones((48, 1)), {"a": Grouping(a), "b": Grouping(b)}).variances
    assert found["residual"] == pytest.approx(inner, rel=1e-3)
    assert found["a"] == pytest.approx(rows.var(ddof=1) - inner / 6, rel=1e-3)
    assert found["b"] == pytest.approx(columns.var(ddof=1) - inner / 8, rel=1e-3)


def test_a_grouping_of_one_level_is_the_intercept_and_left_out() -> None:
    y, x, groupings = crossed(1)
    alone = fit(y, x, groupings | {"all": Grouping(np.zeros(len(y), int))})
    assert "all" not in alone.variances
    assert alone.coefficients == pytest.approx(fit(y, x, groupings).coefficients)


def test_without_groupings_it_is_ordinary_least_squares() -> None:
    y, x, _ = crossed(2)
    found = fit(y, x, {})
    b, (squares,), *_ = np.linalg.lstsq(x, y)
    assert found.coefficients == pytest.approx(b)
    assert found.variances["residual"] == pytest.approx(squares / (len(y) - 2), rel=1e-3)
    assert found.estimate([0, 1]).df == pytest.approx(len(y) - 2, rel=1e-2)


def swinging() -> tuple[Array, Array, dict[str, Grouping]]:
    """Of which plain scoring steps over the top and back for ever: its variances hardly change the likelihood."""
    rng = np.random.default_rng(169)
    n = int(rng.integers(6, 60))
    a, b, r = rng.integers(0, n // 4, n), rng.integers(0, n // 6, n), rng.normal(size=n)
    slopes = {"a slope": Grouping(a, r), "b slope": Grouping(b, np.exp(2 * r))}
    return rng.normal(size=n), np.column_stack([np.ones(n), r]), {"a": Grouping(a), "b": Grouping(b), **slopes}


def saturated() -> tuple[Array, Array, dict[str, Grouping]]:
    """Six rows that their levels explain without rest: the likelihood has no top."""
    rng = np.random.default_rng(661)
    n = int(rng.integers(6, 60))
    a, b, r = rng.integers(0, 2, n), rng.integers(0, 2, n), rng.normal(size=n)
    y = rng.normal(size=n) * np.exp(2 * rng.normal(size=n))
    slopes = {"a slope": Grouping(a, r), "b slope": Grouping(b, np.exp(2 * r))}
    return y, np.column_stack([np.ones(n), r]), {"a": Grouping(a), "b": Grouping(b), **slopes}


def test_a_fit_that_swings_around_the_top_reaches_it() -> None:
    y, x, groupings = swinging()
    found = fit(y, x, groupings)
    ours = np.array([*found.variances.values()])
    bounds = [(1e-6, None), *[(0, None)] * len(groupings)]
    other = optimize.minimize(deviance, np.full(5, 0.3), (y, x, groupings), "L-BFGS-B", bounds=bounds)
    assert found.converged
    assert deviance(ours, y, x, groupings) <= other.fun + 1e-4


def test_a_fit_that_does_not_converge_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not fit(*saturated()).converged
    assert fit(*crossed(1)).converged
    monkeypatch.setattr("xstilts.results.question.crossed.STEPS", 2)
    assert not fit(*crossed(1)).converged


def test_nothing_is_unknown() -> None:
    assert all(isnan(bound) for bound in NOTHING.interval())
    assert isnan(NOTHING.p)
    assert Estimate(2.0, 1.0, 10.0).p == pytest.approx(2 * stats.t.sf(2.0, 10))
