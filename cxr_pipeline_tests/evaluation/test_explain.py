import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from cxr_pipeline.evaluation.explain import overlay, pick_images, showable, write_explanations
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline_tests.evaluation.cases import HALF, objects, one_class

FIRST = PATHOLOGIES[0]


def picked(scored, *, per_class=2, thresholds=HALF):
    picks = pick_images(scored, thresholds, per_class=per_class)
    return {kind: [p.row for p in picks if p.kind == kind] for kind in dict.fromkeys(p.kind for p in picks)}


@pytest.fixture
def scored():
    return one_class([1, 1, 1, 0, 0, 1, 0, 0], [0.6, 0.9, 0.7, 0.55, 0.95, 0.3, 0.2, 0.8])


def test_surest_right_answers_and_worst_errors_come_first(scored):
    assert picked(scored) == {"true_positive": [1, 2], "false_positive": [4, 7], "false_negative": [5]}
    assert picked(scored, per_class=9)["true_positive"] == [1, 2, 0]


def test_the_lowest_positive_is_the_worst_miss():
    assert picked(one_class([1, 1, 1], [0.3, 0.1, 0.2])) == {"false_negative": [1, 2]}


def test_equal_scores_are_ordered_by_image_id():
    scored = one_class([1, 1, 1], [0.7, 0.7, 0.7])
    renamed = replace(scored, cohort=replace(scored.cohort, image_ids=objects(["nih/c", "nih/a", "nih/b"])))
    assert picked(renamed)["true_positive"] == [1, 2]


def test_unknown_and_uncertain_labels_are_not_picked():
    assert picked(one_class([np.nan, -1], [0.9, 0.1])) == {}


def test_a_class_without_a_threshold_has_no_pictures(scored):
    assert picked(scored, thresholds={FIRST: None}) == {}


def test_only_phantoms_and_named_sources_may_be_shown():
    scored = one_class([1] * 4, [0.9] * 4, sources=["nih", "nih", "chexpert", "chexpert"])
    cohort = replace(scored.cohort, is_phantom=np.array([True, False, True, False]))
    assert showable(cohort, []).tolist() == [True, False, True, False]
    assert showable(cohort, ["nih"]).tolist() == [True, True, True, False]


def test_the_overlay_shows_the_picture_and_colours_only_the_heat():
    pixels = np.full((200, 200), 100, dtype=np.uint8)
    heat = np.zeros((200, 200), dtype=np.float32)
    heat[50, 60] = 1
    picture = overlay(pixels, heat)
    assert (picture.shape, picture.dtype) == ((200, 400, 3), np.uint8)
    coloured = (picture != 100).any(axis=2)
    assert np.argwhere(coloured).tolist() == [[50, 260]]


def test_small_pictures_are_enlarged():
    assert overlay(np.zeros((32, 32), np.uint8), np.zeros((4, 4), np.float32)).shape == (192, 384, 3)


def test_files_say_what_they_are_and_a_second_run_changes_nothing(tmp_path, scored):
    picks = pick_images(scored, HALF, per_class=2)
    pixels = np.random.default_rng(0).integers(0, 256, (len(picks), 32, 32), dtype=np.uint8)
    heat = np.random.default_rng(1).random((len(picks), 32, 32), dtype=np.float32)
    (tmp_path / "stale.png").write_bytes(b"old")
    entries = write_explanations(tmp_path, scored, picks, pixels, heat)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    assert write_explanations(tmp_path, scored, picks, pixels, heat) == entries
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()} == before
    assert json.loads((tmp_path / "explanations.json").read_text()) == entries
    assert set(before) == {"explanations.json", *(entry["file"] for entry in entries)}
    assert entries[1] == {
        "image_id": "nih/00002",
        "pathology": FIRST,
        "kind": "true_positive",
        "probability": pytest.approx(0.7),
        "label": 1,
        "source": "nih",
        "is_phantom": False,
        "file": f"{FIRST}_true_positive_2.png",
    }
    drawn = cv2.imread(str(tmp_path / entries[1]["file"]))
    np.testing.assert_array_equal(drawn, overlay(pixels[1], heat[1]))
