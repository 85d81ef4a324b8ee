"""A linear mixed model with crossed random effects, by restricted maximum likelihood.

y = X b + sum_k Z_k u_k + e, u_k ~ N(0, s_k I), e ~ N(0, s_0 I), where each Z_k has one column a level of a grouping:
ones, or the value of a covariate (a random slope). Some groupings have ten levels or fewer, so the covariance of b is
corrected for the variances being estimated (Kenward and Roger 1997, Biometrics 53, 983-997) and intervals use
Satterthwaite's degrees of freedom. A variance that is estimated as 0 is taken for known.

statsmodels' MixedLM wants one outermost grouping and takes crossed effects as variance components of a single group,
with dense matrices of all rows: minutes a fit at this size. Here rows enter only through cross products, made once, and
Fisher scoring on q x q matrices (q levels in all, a few hundred) takes about a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.special import stdtr, stdtrit

Array = NDArray[np.floating]
STEPS, TOLERANCE = 500, 1e-4  # of Fisher scoring, ten but along a ridge; of the change of variances to the whole one
NONE = 1e-8  # a variance that is rounding
FLOOR = 1e-6  # of the residual variance, against the whole one: rows without noise would leave nothing to divide by


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval, and what a test of it against 0 needs."""

    value: float
    se: float
    df: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Two-sided, by Student's t."""
        reach = float(stdtrit(self.df, (1 + level) / 2)) * self.se if self.df > 0 else nan
        return self.value - reach, self.value + reach

    @property
    def p(self) -> float:
        """Two-sided, of no effect."""
        return float(2 * stdtr(self.df, -abs(self.value / self.se))) if self.se > 0 else nan


#: Where there is nothing to estimate from.
NOTHING = Estimate(nan, nan, nan)


@dataclass(frozen=True)
class Grouping:
    """A random effect: a level [N] of each row, from 0, and what it is multiplied with; without it, 1."""

    level: NDArray[Any]
    by: Array | None = None

    def columns(self) -> Array:
        """[N, levels]"""
        found = np.zeros((len(self.level), int(self.level.max()) + 1))
        found[np.arange(len(self.level)), self.level] = 1.0 if self.by is None else self.by
        return found[:, np.abs(found).sum(0) > 0]


@dataclass(frozen=True)
class Fit:
    """Fixed effects b [P], their covariance [P, P], and the variances; `residual` among them."""

    coefficients: Array
    covariance: Array
    variances: dict[str, float]
    _sensitivity: Array  # [P, P, 1 + active]: of the covariance to each variance that is not 0
    _uncertainty: Array  # [1 + active, 1 + active]: covariance of these variances
    shares: dict[str, Array]  # [P, P] each: what each grouping and the residual add to the covariance
    weights: Array  # [P, N]: the fixed effects are weighted sums of y
    converged: bool  # whether the variances are the most likely ones; else all of it is of wherever scoring stopped

    def estimate(self, contrast: Sequence[float]) -> Estimate:
        """Of a weighted sum [P] of the fixed effects."""
        weights = np.asarray(contrast, float)
        known = sum(self.share(contrast).values())  # were the variances known
        gradient = np.einsum("p,pqk,q->k", weights, self._sensitivity, weights)
        spread = float(gradient @ self._uncertainty @ gradient)
        df = 2 * known**2 / spread if spread > 0 else inf
        return Estimate(float(weights @ self.coefficients), float(weights @ self.covariance @ weights) ** 0.5, df)

    def share(self, contrast: Sequence[float]) -> dict[str, float]:
        """Of the variance of `estimate(contrast)` before the correction, by grouping; they add up to it."""
        weights = np.asarray(contrast, float)
        return {name: float(weights @ part @ weights) for name, part in self.shares.items()}


def fit(y: Array, x: Array, groupings: Mapping[str, Grouping]) -> Fit:
    """Of y [N] and x [N, P] of full rank, N > P. A grouping of a single level is left out: it is the intercept."""
    blocks = {name: z for name, z in ((name, g.columns()) for name, g in groupings.items()) if z.shape[1] > 1}
    products = _Products.of(y, x, blocks)
    start = max(float(np.var(y - x @ np.linalg.lstsq(x, y, rcond=None)[0])), NONE)
    theta = np.full(1 + len(blocks), start / (1 + len(blocks)))
    least = np.array([FLOOR * start, *[0.0] * len(blocks)])
    theta, state, converged = _scored(products, theta, least, TOLERANCE * start)
    return _fit(products, theta, state, converged, x, blocks)


def _scored(products: _Products, theta: Array, least: Array, tolerance: float) -> tuple[Array, _State, bool]:
    """Fisher scoring from theta, none below `least`: the variances, all that they give, and whether it converged.

    It has when a whole step would change nothing; a step that had to be cut short to climb says nothing about that.
    A step that mostly takes back the last one is halved: the top is between, and scoring would swing around it.
    """
    state, last = products.at(theta), np.zeros_like(theta)
    for _ in range(STEPS):
        step = _step(theta, state)
        shrink = 0.5 if step @ last < -0.5 * (last @ last) else 1.0
        while True:
            trial = np.maximum(theta + shrink * step, least)
            after = products.at(trial)
            climbs = after.likelihood >= state.likelihood - 1e-9 * abs(state.likelihood)
            if climbs or shrink < 1e-4:
                break
            shrink /= 2
        still = np.abs(np.maximum(theta + step, least) - theta).max() <= tolerance
        if not climbs:
            return theta, state, bool(still)
        theta, state, last = trial, after, trial - theta
        if still:
            return theta, state, True
    return theta, state, False


@dataclass(frozen=True)
class _State:
    """Everything at one vector of variances."""

    likelihood: float
    gradient: Array  # of it [1 + K]
    information: Array  # expected [1 + K, 1 + K]
    coefficients: Array
    covariance: Array
    information_of_x: list[Array]  # [P, P] a variance: X' V^-1 V_k V^-1 X
    zvx: Array
    zvz: Array


@dataclass(frozen=True)
class _Products:
    """Cross products: all that the likelihood needs of the rows."""

    names: list[str]
    bounds: Array  # [K + 1]: the columns of each grouping
    n: int
    zz: Array
    zx: Array
    zy: Array
    xx: Array
    xy: Array
    yy: float

    @classmethod
    def of(cls, y: Array, x: Array, blocks: Mapping[str, Array]) -> _Products:
        z = np.hstack([*blocks.values()]) if blocks else np.zeros((len(y), 0))
        bounds = np.cumsum([0, *(block.shape[1] for block in blocks.values())])
        return cls([*blocks], bounds, len(y), z.T @ z, z.T @ x, z.T @ y, x.T @ x, x.T @ y, float(y @ y))

    def at(self, theta: Array) -> _State:
        """The restricted likelihood at variances theta [1 + K], the residual's first, and its derivatives."""
        noise, sizes = theta[0], np.diff(self.bounds).astype(int)
        root = np.repeat(np.sqrt(theta[1:] / noise), sizes)
        q, p = len(root), self.xx.shape[0]
        there = np.flatnonzero(root)  # levels that do not vary add nothing to V
        root = root[there, None]
        inner = np.eye(len(there)) + root * self.zz[np.ix_(there, there)] * root.T
        lower = linalg.cholesky(inner, lower=True, check_finite=False)
        columns = np.column_stack([self.zz[there], self.zx[there], self.zy[there]])
        half = linalg.solve_triangular(lower, root * columns, lower=True, check_finite=False)
        # A' V^-1 B = (A'B - half_A' half_B) / noise, for A, B among Z, X and y
        hz, hx, hy = half[:, :q], half[:, q : q + p], half[:, -1]
        xvx, xvy = (self.xx - hx.T @ hx) / noise, (self.xy - hx.T @ hy) / noise
        zvx, zvy = (self.zx - hz.T @ hx) / noise, (self.zy - hz.T @ hy) / noise
        zvz = (self.zz - hz.T @ hz) / noise
        covariance = np.linalg.inv(xvx)
        b = covariance @ xvy
        zpz, zpy = zvz - zvx @ covariance @ zvx.T, zvy - zvx @ b
        ypy = (self.yy - float(hy @ hy)) / noise - float(xvy @ b)
        logdet = 2 * np.log(np.diag(lower)).sum() + self.n * np.log(noise)
        likelihood = -0.5 * (logdet + np.linalg.slogdet(xvx)[1] + ypy)
        slices = [slice(a, z) for a, z in zip(self.bounds[:-1], self.bounds[1:], strict=True)]
        # with V = noise I + sum_k theta_k Z_k Z_k' and PVP = P, sums over the rows follow from those over the levels
        k = len(slices)
        trace = np.array([np.trace(zpz[s, s]) for s in slices])
        squares = np.array([float(zpy[s] @ zpy[s]) for s in slices])
        cross = np.array([[float((zpz[a, b_] ** 2).sum()) for b_ in slices] for a in slices]).reshape(k, k)
        own_trace = (self.n - p - theta[1:] @ trace) / noise
        own_squares = (ypy - theta[1:] @ squares) / noise
        own_cross = (trace - cross @ theta[1:]) / noise
        own_own = (own_trace - theta[1:] @ own_cross) / noise
        information = 0.5 * np.block([[np.array([[own_own]]), own_cross[None]], [own_cross[:, None], cross]])
        gradient = 0.5 * np.array([own_squares - own_trace, *(squares - trace)])
        moved = [zvx[s].T @ zvx[s] for s in slices]
        own = (xvx - sum((t * part for t, part in zip(theta[1:], moved, strict=True)), np.zeros((p, p)))) / noise
        return _State(likelihood, gradient, information, b, covariance, [own, *moved], zvx, zvz)


def _step(theta: Array, state: _State) -> Array:
    """Fisher's, among the variances that are not held at 0."""
    free = (theta > 0) | (state.gradient > 0)
    step = np.zeros_like(theta)
    while free.any():
        step[:] = 0
        step[free] = np.linalg.lstsq(state.information[np.ix_(free, free)], state.gradient[free], rcond=None)[0]
        stuck = free & (theta <= 0) & (step < 0)
        if not stuck.any():
            break
        free &= ~stuck
    return step


def _fit(
    products: _Products, theta: Array, state: _State, converged: bool, x: Array, blocks: Mapping[str, Array]
) -> Fit:
    active = np.flatnonzero(theta > 0)
    names = ["residual", *products.names]
    uncertainty = np.linalg.pinv(state.information[np.ix_(active, active)])
    parts = [state.covariance @ part @ state.covariance for part in state.information_of_x]
    return Fit(
        state.coefficients,
        state.covariance + _correction(products, theta, state, active, uncertainty),
        {name: float(value) for name, value in zip(names, theta, strict=True)},
        np.stack([parts[k] for k in active], axis=-1),
        uncertainty,
        {name: theta[k] * parts[k] for k, name in enumerate(names)},
        _weights(products, theta, state, x, blocks),
        converged,
    )


def _weights(products: _Products, theta: Array, state: _State, x: Array, blocks: Mapping[str, Array]) -> Array:
    """C X' V^-1, [P, N]: with noise V^-1 = 1 - Z T Z' V^-1, and T the variances of the levels."""
    sizes = np.diff(products.bounds).astype(int)
    spread = np.repeat(theta[1:], sizes)[:, None] * state.zvx
    inner = x - (np.hstack([*blocks.values()]) @ spread if blocks else 0.0)
    return state.covariance @ inner.T / theta[0]


def _correction(
    products: _Products, theta: Array, state: _State, active: NDArray[np.int64], uncertainty: Array
) -> Array:
    """Kenward and Roger's: how much too small the covariance [P, P] is, since it is that of known variances.

    2 C (sum_ij W_ij (Q_ij - P_i C P_j)) C, with C the covariance of b, W that of the variances,
    P_i = X' V^-1 V_i V^-1 X and Q_ij = X' V^-1 V_i V^-1 V_j V^-1 X. As the V_k add up to V, the residual's follow.
    """
    first, noise = state.information_of_x, theta[0]
    slices = [slice(a, z) for a, z in zip(products.bounds[:-1], products.bounds[1:], strict=True)]
    k = len(first)
    second = np.zeros((k, k, *state.covariance.shape))
    for i, a in enumerate(slices, start=1):
        for j, b in enumerate(slices, start=1):
            second[i, j] = state.zvx[a].T @ state.zvz[a, b] @ state.zvx[b]
    for i in range(1, k):
        second[i, 0] = (first[i] - np.tensordot(theta[1:], second[i, 1:], 1)) / noise
        second[0, i] = second[i, 0].T
    second[0, 0] = (first[0] - np.tensordot(theta[1:], second[0, 1:], 1)) / noise
    inner = np.zeros_like(state.covariance)
    for i, a in enumerate(active):
        for j, b in enumerate(active):
            inner += uncertainty[i, j] * (second[a, b] - first[a] @ state.covariance @ first[b])
    return 2 * state.covariance @ inner @ state.covariance
