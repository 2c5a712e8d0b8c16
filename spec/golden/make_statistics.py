"""Writes statistics.json: what scikit-learn and pROC make of drawn scores and labels, for spec/statistics_spec.lua.

    /usr/bin/python3 -m venv build/statistics
    build/statistics/bin/pip install scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
    apt-get install r-cran-proc                                 # Debian 12's: 1.18.0
    build/statistics/bin/python spec/golden/make_statistics.py

Figures that scikit-learn does not define for a case (it warns, or gives nan) are null.
"""
import json
import math
import os
import subprocess
import tempfile
import warnings

import numpy as np
import scipy.optimize
import sklearn
from sklearn import metrics as m
from sklearn.calibration import _SigmoidCalibration, calibration_curve
from sklearn.isotonic import IsotonicRegression

HERE = os.path.dirname(os.path.abspath(__file__))


def defined(f, *args, **options):
    """The value of a metric; None where it warns, fails, or is not finite."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            value = f(*args, **options)
        except (ValueError, Warning):
            return None
    return float(value) if math.isfinite(value) else None


def drawn(rng, n, steps, share):
    labels = (rng.random(n) < share).astype(int)
    scores = np.clip(rng.normal(0.35 + 0.25 * labels, 0.25, n), 0, 1)
    if steps:
        scores = np.round(scores * steps) / steps
    return scores, labels


def cases():
    rng = np.random.default_rng(7)
    out = {}
    for name, n, steps, share in [("large", 151, 0, 0.3), ("tied", 120, 7, 0.4), ("coarse", 64, 2, 0.5),
                                  ("rare", 90, 0, 0.05), ("odd", 13, 5, 0.5)]:
        out[name] = drawn(rng, n, steps, share)
    out["positives"] = (np.array([0.2, 0.7, 0.9]), np.array([1, 1, 1]))
    out["negatives"] = (np.array([0.2, 0.7, 0.9]), np.array([0, 0, 0]))
    out["constant"] = (np.full(6, 0.5), np.array([0, 1, 0, 1, 1, 0]))
    out["separated"] = (np.array([0.1, 0.2, 0.3, 0.8, 0.9, 1.0]), np.array([0, 0, 0, 1, 1, 1]))
    out["reversed"] = (np.array([0.9, 0.8, 0.7, 0.2, 0.1, 0.0]), np.array([0, 0, 0, 1, 1, 1]))
    out["certain"] = (np.array([0.0, 1.0, 0.0, 1.0, 1.0]), np.array([1, 1, 0, 0, 1]))
    out["one"] = (np.array([0.4]), np.array([1]))
    return out


def curve(labels, scores, bins, strategy):
    true, predicted = calibration_curve(labels, scores, n_bins=bins, strategy=strategy)
    return {"frequency": true.tolist(), "confidence": predicted.tolist()}


def case(scores, labels):
    called = (scores >= 0.5).astype(int)
    out = {
        "scores": scores.tolist(), "labels": labels.tolist(),
        "average_precision": defined(m.average_precision_score, labels, scores),
        "auc": defined(m.roc_auc_score, labels, scores),
        "log_loss": defined(m.log_loss, labels, scores, labels=[0, 1]),
        "brier": defined(m.brier_score_loss, labels, scores, pos_label=1),
        "balanced_accuracy": defined(m.balanced_accuracy_score, labels, called)
        if 0 < labels.sum() < len(labels) else None,
        "f1": defined(m.f1_score, labels, called),
        "mcc": defined(m.matthews_corrcoef, labels, called)
        if 0 < labels.sum() < len(labels) and 0 < called.sum() < len(called) else None,
        "kappa": defined(m.cohen_kappa_score, labels, called, labels=[0, 1]),
        "width": curve(labels, scores, 10, "uniform"), "mass": curve(labels, scores, 7, "quantile"),
    }
    precision, recall, thresholds = m.precision_recall_curve(labels, scores) if labels.sum() else ([], [], [])
    out["pr"] = {"precision": list(precision), "recall": list(recall), "thresholds": list(thresholds)}
    return out


def several(rng):
    """Many classes and several labels: macro and micro figures."""
    n, classes = 80, 4
    truth = rng.integers(0, classes, n)
    logits = rng.normal(0, 1, (n, classes)) + 1.2 * np.eye(classes)[truth]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    called = p.argmax(axis=1)
    one_hot = np.eye(classes, dtype=int)[truth]
    labels = (rng.random((n, 3)) < [0.2, 0.5, 0.7]).astype(int)
    scores = np.clip(rng.normal(0.35 + 0.3 * labels, 0.25), 0, 1)
    out = {"classes": {"scores": p.tolist(), "labels": truth.tolist()},
           "labels": {"scores": scores.tolist(), "labels": labels.tolist()}}
    for average in "macro", "micro":
        out["classes"][average] = {
            "f1": m.f1_score(truth, called, average=average),
            "precision": m.precision_score(truth, called, average=average),
            "average_precision": m.average_precision_score(one_hot, p, average=average),
            "auc": m.roc_auc_score(one_hot, p, average=average),
        }
        out["labels"][average] = {
            "f1": m.f1_score(labels, scores >= 0.5, average=average),
            "sensitivity": m.recall_score(labels, scores >= 0.5, average=average),
            "average_precision": m.average_precision_score(labels, scores, average=average),
            "auc": m.roc_auc_score(labels, scores, average=average),
        }
    out["classes"].update(
        mcc=m.matthews_corrcoef(truth, called), kappa=m.cohen_kappa_score(truth, called),
        balanced_accuracy=m.balanced_accuracy_score(truth, called), log_loss=m.log_loss(truth, p),
        confusion=m.confusion_matrix(truth, called).tolist())
    return out


def beta(logits, labels):
    """The least cross-entropy of beta calibration with Platt's targets, neither exponent below 0."""
    n1, n0 = labels.sum(), (1 - labels).sum()
    targets = np.where(labels == 1, (n1 + 1) / (n1 + 2), 1 / (n0 + 2))
    rise, fall = -np.logaddexp(0, -logits), np.logaddexp(0, logits)

    def loss(w):
        z = w[0] * rise + w[1] * fall + w[2]
        d = 1 / (1 + np.exp(-z)) - targets
        return np.logaddexp(0, z).sum() - targets @ z, np.array([d @ rise, d @ fall, d.sum()])

    found = scipy.optimize.minimize(loss, [1, 1, 0], jac=True, method="L-BFGS-B",
                                    bounds=[(0, None), (0, None), (None, None)],
                                    options={"ftol": 1e-16, "gtol": 1e-12, "maxiter": 10000})
    return found.x.tolist(), float(found.fun)


def calibrations(rng):
    out = {}
    for name, n, scale, shift, steps in [("over", 120, 3.0, 1.0, 0), ("tied", 60, 1.0, -0.5, 4), ("skew", 200, -1, 0, 0)]:
        z = rng.normal(0, 1.5, n)
        labels = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)
        logits = scale * z + shift if scale > 0 else np.where(z < 0, 0.3 * z, 4 * z) + 1
        if steps:
            logits = np.round(logits * steps) / steps
        platt = _SigmoidCalibration().fit(logits, labels)
        isotonic = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(logits, labels)
        at = np.linspace(-8, 8, 33)
        weights, loss = beta(logits, labels)
        out[name] = {
            "logits": logits.tolist(), "labels": labels.tolist(), "at": at.tolist(),
            "platt": platt.predict(at).tolist(), "isotonic": isotonic.predict(at).tolist(),
            "thresholds": isotonic.X_thresholds_.tolist(), "levels": isotonic.y_thresholds_.tolist(),
            "beta": weights, "beta_loss": loss,
        }
    return out


R = """
suppressMessages(library(pROC))
d <- read.csv(commandArgs(TRUE)[1])
a <- roc(d$y, d$a, levels = c(0, 1), direction = "<", quiet = TRUE)
b <- roc(d$y, d$b, levels = c(0, 1), direction = "<", quiet = TRUE)
t <- roc.test(a, b, method = "delong", paired = TRUE)
i <- as.numeric(ci.auc(a, method = "delong"))
j <- as.numeric(ci.auc(a, method = "delong", conf.level = 0.9))
cat(sprintf("%.17g", c(as.numeric(auc(a)), as.numeric(auc(b)), i[1], i[3], j[1], j[3], t$statistic, t$p.value,
                       var(a, method = "delong"), var(b, method = "delong"), cov(a, b, method = "delong"))), sep = " ")
"""


def delong(rng):
    out = {}
    for name, n, steps in [("plain", 90, 0), ("tied", 80, 6), ("small", 12, 0), ("good", 70, 0)]:
        labels = (rng.random(n) < 0.4).astype(int)
        gap = 1.1 if name == "good" else 0.3
        a = np.clip(rng.normal(0.3 + gap * labels, 0.3), -3, 3)
        b = a + rng.normal(0, 0.25, n)
        if steps:
            a, b = np.round(a * steps) / steps, np.round(b * steps) / steps
        with tempfile.TemporaryDirectory() as folder:
            with open(folder + "/x.csv", "w") as file:
                file.write("y,a,b\n" + "".join(f"{y},{p!r},{q!r}\n" for y, p, q in zip(labels, a.tolist(), b.tolist())))
            with open(folder + "/x.R", "w") as file:
                file.write(R)
            text = subprocess.run(["Rscript", folder + "/x.R", folder + "/x.csv"], check=True, capture_output=True,
                                  text=True).stdout
        names = ["auc_a", "auc_b", "low", "high", "low90", "high90", "z", "p", "variance_a", "variance_b", "covariance"]
        out[name] = dict(zip(names, map(float, text.split())), labels=labels.tolist(), a=a.tolist(), b=b.tolist())
    return out


def main():
    rng = np.random.default_rng(11)
    golden = {
        "sklearn": sklearn.__version__, "cases": {name: case(*pair) for name, pair in cases().items()},
        "several": several(rng), "calibrations": calibrations(rng), "delong": delong(rng),
    }
    with open(os.path.join(HERE, "statistics.json"), "w") as file:
        json.dump(golden, file, separators=(",", ":"))
        file.write("\n")


main()
