#!/bin/sh
# MLstatkit 0.1.91: DeLong's test of two models that put the films in the same order answers p = 0.0, "different without any
# doubt", though both areas are equal to the last digit and z is 0: so a model beside itself, beside its own calibrated
# probabilities, or beside its logits, and any two that tell the classes apart perfectly. The variance of the difference is
# 0 there, the function falls back to a bootstrap whose differences are all 0, and p is twice the share of those above 0 or
# of those that are not, whichever is less: none. The documentation names the fallback, not this answer, and calls p aligned
# with R's pROC. Who compares many models by it has to look for z = 0 with info["method"] == "bootstrap" first.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install --no-compile numpy==2.2.6 scipy==1.17.1 scikit-learn==1.9.1 mlstatkit==0.1.91

cat >"$folder/expected" <<'END'
the model beside itself: areas equal, z 0.0, p 0.0 by bootstrap
its probabilities beside its logits: areas equal, z 0.0, p 0.0 by bootstrap
two that are perfect: areas equal, z 0.0, p 0.0 by bootstrap
with another order of two films: p above 0.05 by delong
END
"$folder/venv/bin/python" - >"$folder/seen" <<'END'
import numpy as np
from MLstatkit import Delong_test

labels = np.arange(40) % 2
logits = np.sin(np.arange(40) * 2.3) + 0.8 * labels
perfect = np.arange(40) + 100.0 * labels


def test(a, b):
    z, p, _, _, area_a, area_b, info = Delong_test(labels, a, b, random_state=1)
    return z, p, area_a == area_b, info["method"]


# the two that are perfect have the films of each class in opposite orders
for name, a, b in (("the model beside itself", logits, logits),
                   ("its probabilities beside its logits", 1 / (1 + np.exp(-logits)), logits),
                   ("two that are perfect", perfect, 200 * labels - perfect % 100)):
    z, p, equal, method = test(a, b)
    print(f"{name}: areas {'equal' if equal else 'different'}, z {z}, p {p} by {method}")
other = logits.copy()
other[[4, 7]] = other[[7, 4]]
z, p, equal, method = test(logits, other)
print(f"with another order of two films: p {'above' if p > 0.05 else 'below'} 0.05 by {method}")
END
cat "$folder/seen"
diff "$folder/expected" "$folder/seen" && echo "as described"
