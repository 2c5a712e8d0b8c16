#!/bin/sh
# pycocotools 2.0.10: a box of the truth whose annotation has the id 0 can never be found. COCOeval stores the id of the
# matched box as the sign that a detection is right, and 0 is the sign for wrong: a perfect detection of that box counts as a
# false alarm and the box as missed, with no warning. Ids from 0 are what enumerate() gives, and the format asks only for
# a whole number; the package reads such files without complaint. On a set of thousands nobody notices; on
# the small sets of this field, on one fold, or per class, it does matter: three perfect detections have an AP of 0.44.
# Ids have to begin with 1; who compares AP with figures of others has to look at theirs.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install --no-compile numpy==2.2.6 pycocotools==2.0.10

cat >"$folder/expected" <<'END'
one film, ids from 1: AP50 1.000, recall 1.000
one film, ids from 0: AP50 0.000, recall 0.000
three films, ids from 1: AP50 1.000, recall 1.000
three films, ids from 0: AP50 0.442, recall 0.667
END
"$folder/venv/bin/python" - >"$folder/seen" <<'END'
import contextlib
import io

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

BOX = [40, 50, 100, 120]


def perfect(count, first):
    """The figures of a detector that finds the one box of each film exactly."""
    truth = COCO()
    films = range(1, count + 1)
    truth.dataset = {
        "info": {}, "images": [{"id": film, "width": 512, "height": 512} for film in films],
        "categories": [{"id": 1, "name": "opacity"}],
        "annotations": [{"id": first + i, "image_id": film, "category_id": 1, "bbox": BOX, "area": BOX[2] * BOX[3], "iscrowd": 0}
                        for i, film in enumerate(films)]}
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        found = truth.loadRes([{"image_id": film, "category_id": 1, "bbox": BOX, "score": 0.9} for film in films])
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return f"AP50 {evaluation.stats[1]:.3f}, recall {evaluation.stats[8]:.3f}"


for count, name in (1, "one film"), (3, "three films"):
    for first in 1, 0:
        print(f"{name}, ids from {first}: {perfect(count, first)}")
END
cat "$folder/seen"
diff "$folder/expected" "$folder/seen" && echo "as described"
