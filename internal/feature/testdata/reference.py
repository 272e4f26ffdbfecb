"""Writes reference.json: what tsfresh gives for a dozen series and every calculator that package feature has.

    python3 -m venv /tmp/tsfresh && /tmp/tsfresh/bin/pip install tsfresh==0.21.2
    NPY_DISABLE_CPU_FEATURES="AVX512_SPR AVX512_ICL X86_V4 X86_V3" /tmp/tsfresh/bin/python reference.py > reference.json

The variable turns off numpy's sorting by vector instructions, which orders equal values at random. The calculators are called
one by one, since extract_features gives up a series when one of them raises; where one raises, null is written, as for NaN. At the
end extract_features itself confirms names and values of a series. Written with numpy 2.4, pandas 3.1, scipy 1.17,
statsmodels 0.15.
"""
import json
import math
import sys
import warnings

import numpy as np
import pandas as pd
from tsfresh import extract_features
from tsfresh.feature_extraction import ComprehensiveFCParameters, feature_calculators
from tsfresh.utilities.string_manipulation import convert_to_output_format

warnings.simplefilter("ignore")

SKIPPED = ["matrix_profile", "query_similarity_count", "cwt_coefficients", "number_cwt_peaks", "friedrich_coefficients",
           "max_langevin_fixed_point", "linear_trend_timewise"]

settings = {name: params for name, params in ComprehensiveFCParameters().items() if name not in SKIPPED}
# Some parameters beyond tsfresh's own.
settings["quantile"] = settings["quantile"] + [{"q": 0}, {"q": 1}, {"q": 0.05}]
settings["c3"] = settings["c3"] + [{"lag": 0}, {"lag": 7}]
settings["number_crossing_m"] = settings["number_crossing_m"] + [{"m": 2.5}]
settings["count_above"] = settings["count_above"] + [{"t": 1.5}]
settings["count_below"] = settings["count_below"] + [{"t": 1.5}]
settings["value_count"] = settings["value_count"] + [{"value": 2.5}]
settings["range_count"] = settings["range_count"] + [{"min": 1.5, "max": 4}]
settings["mean_n_absolute_max"] = [{"number_of_maxima": n} for n in (1, 3, 7)]
settings["permutation_entropy"] = settings["permutation_entropy"] + [{"tau": 3, "dimension": 4}]
settings["agg_linear_trend"] = settings["agg_linear_trend"] + [{"attr": "pvalue", "chunk_len": 7, "f_agg": "std"}]
settings["change_quantiles"] = settings["change_quantiles"] + [{"ql": 0.1, "qh": 0.9, "isabs": True, "f_agg": "std"}]
settings["fft_coefficient"] = [{"coeff": k, "attr": a} for a in ("real", "imag", "abs", "angle") for k in (0, 1, 2, 3, 7, 20, 99)]
settings["augmented_dickey_fuller"] = [{"attr": a, "autolag": "AIC"} for a in ("teststat", "pvalue", "usedlag")]


def series():
    rng = np.random.default_rng(20070412)
    noise = rng.normal(size=300)
    speeds = np.clip(1.4 + np.cumsum(rng.normal(scale=0.2, size=241)), 0, 12)
    speeds[40:55] = 0.0
    walk = np.cumsum(rng.normal(size=150))
    return {
        "empty": [],
        "one": [3.25],
        "two": [1.0, 4.0],
        "three": [2.0, -1.0, 0.5],
        "constant": [0.1] * 30,
        "zeros": [0.0] * 12,
        "duplicates": [1.0, 2.0, 2.0, 3.0, 1.0, 0.0, -1.0, 2.0, 2.5, 2.5, 0.0, 1.0, 1.0, 3.0, 2.0, 2.0, -1.0, 0.0, 1.0, 2.5, 3.0, 3.0, 1.0, 0.0],
        "noisy": noise.tolist(),
        "trend": (0.5 * np.arange(80) - 7 + 0.3 * noise[:80]).tolist(),
        "line": [float(i) for i in range(1, 41)],
        "speeds": np.round(speeds, 3).tolist(),
        "walk": walk.tolist(),
        "wave": (np.sin(np.arange(101) / 5) + 0.01 * noise[:101]).tolist(),
        "large": (1e6 + rng.integers(0, 1000, size=60)).tolist(),
        "short": rng.normal(size=9).round(4).tolist(),
    }


def written(v):
    v = float(v)
    if math.isnan(v):
        return None
    if math.isinf(v):
        return "inf" if v > 0 else "-inf"
    return v


def calculate(name, x, params):
    f = getattr(feature_calculators, name)
    if getattr(f, "input", None) == "pd.Series":
        x = pd.Series(x)
    prefix = name + "__"
    if params is None:
        return {name: f(x)}
    if f.fctype == "combiner":
        return {prefix + key: v for key, v in f(x, param=params)}
    return {prefix + convert_to_output_format(p): f(x, **p) for p in params}


values = {}
for title, xs in series().items():
    x = np.array(xs, dtype=float)
    found = {}
    for name, params in settings.items():
        for p in [params] if params is None or getattr(feature_calculators, name).fctype == "combiner" else [[p] for p in params]:
            try:
                found.update({k: written(v) for k, v in calculate(name, x, p).items()})
            except Exception as e:
                print(f"{name} of {title}: {type(e).__name__}: {e}", file=sys.stderr)
    values[title] = {"series": xs, "features": found}

x = values["speeds"]
frame = pd.DataFrame({"id": 1, "sort": range(len(x["series"])), "value": x["series"]})
extracted = extract_features(frame, column_id="id", column_sort="sort", default_fc_parameters=settings, n_jobs=0, disable_progressbar=True)
assert {c.removeprefix("value__") for c in extracted.columns} == set(x["features"]), "names differ from extract_features"
for name, v in x["features"].items():
    got = extracted["value__" + name].iloc[0]
    assert (v is None and math.isnan(got)) or math.isclose(float(v), got, rel_tol=1e-12), (name, v, got)

whole = ["value__" + name for name in extract_features(frame, column_id="id", column_sort="sort", n_jobs=0, disable_progressbar=True,
         default_fc_parameters={k: v for k, v in ComprehensiveFCParameters().items() if k not in SKIPPED}).columns]
names = sorted(x["features"])
json.dump({"comprehensive": sorted(c.removeprefix("value__value__") for c in whole), "names": names,
           "series": {title: {"values": v["series"], "features": [v["features"].get(n) for n in names]} for title, v in values.items()}},
          sys.stdout, separators=(",", ":"), sort_keys=True)
print()
