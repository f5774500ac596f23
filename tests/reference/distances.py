"""KID, PRDC and FID as loops over pairs, straight from the papers' formulas."""

import numpy as np
import scipy.linalg


def kid(real, synthetic):
    def kernel(x, y):
        return (float(np.dot(x, y)) / len(x) + 1) ** 3

    m, n = len(real), len(synthetic)
    within_real = sum(kernel(real[i], real[j]) for i in range(m) for j in range(m) if i != j)
    within_syn = sum(
        kernel(synthetic[i], synthetic[j]) for i in range(n) for j in range(n) if i != j
    )
    between = sum(kernel(x, y) for x in real for y in synthetic)
    return within_real / (m * (m - 1)) + within_syn / (n * (n - 1)) - 2 * between / (m * n)


def prdc(real, synthetic, k):
    def distance(x, y):
        return float(np.sqrt(((x - y) ** 2).sum()))

    def radius(points, i):
        return sorted(distance(points[i], p) for j, p in enumerate(points) if j != i)[k - 1]

    real_radius = [radius(real, i) for i in range(len(real))]
    syn_radius = [radius(synthetic, j) for j in range(len(synthetic))]
    in_real_ball = np.array(
        [[distance(x, y) < r for y in synthetic] for x, r in zip(real, real_radius, strict=True)]
    )
    in_syn_ball = np.array(
        [[distance(x, y) < s for y, s in zip(synthetic, syn_radius, strict=True)] for x in real]
    )
    return {
        "precision": in_real_ball.any(axis=0).mean(),
        "recall": in_syn_ball.any(axis=1).mean(),
        "density": in_real_ball.sum(axis=0).mean() / k,
        "coverage": in_real_ball.any(axis=1).mean(),
    }


def fid(real, synthetic):
    shift = ((real.mean(axis=0) - synthetic.mean(axis=0)) ** 2).sum()
    c1, c2 = np.cov(real, rowvar=False), np.cov(synthetic, rowvar=False)
    return shift + np.trace(c1) + np.trace(c2) - 2 * np.trace(scipy.linalg.sqrtm(c1 @ c2)).real
