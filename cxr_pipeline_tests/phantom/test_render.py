import hashlib

import numpy as np
import pytest

from cxr_pipeline.errors import PhantomError
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.phantom.findings import CHRONIC, FINDINGS
from cxr_pipeline.phantom.render import STYLES, Style, render

QUIET = Style(noise=0.0)


def draw(findings, *, seed=0, size=96, style=QUIET, view="PA"):
    return render(np.random.default_rng(seed), findings, size=size, style=style, view=view)


def inside(boxes, shape):
    mask = np.zeros(shape, bool)
    for x, y, width, height in boxes:
        mask[y : y + height, x : x + width] = True
    return mask


def test_every_pathology_can_be_drawn():
    assert tuple(FINDINGS) == PATHOLOGIES
    assert set(PATHOLOGIES) >= CHRONIC


@pytest.mark.parametrize("finding", PATHOLOGIES)
def test_finding_changes_the_picture_where_its_box_says(finding):
    for seed in range(5):
        with_it, without = draw([finding], seed=seed), draw([], seed=seed)
        change = np.abs(with_it.pixels.astype(float) - without.pixels)
        mask = inside(with_it.boxes[finding], change.shape)
        assert mask.any()
        assert change[mask].mean() > 4 * change[~mask].mean()
        assert change[mask].mean() > 4


@pytest.mark.parametrize("finding", PATHOLOGIES)
def test_finding_is_visible_at_64_pixels_above_the_noise_of_each_style(finding):
    for style in (STYLES["nih"], STYLES["chexpert"]):
        with_it = [draw([finding], seed=seed, size=64, style=style) for seed in range(8)]
        without = [draw([], seed=seed, size=64, style=style) for seed in range(8)]
        noise = np.std(np.diff(np.stack([p.pixels[-8:, 20:40].astype(float) for p in without]), axis=-1)) / np.sqrt(2)
        changes = [
            np.abs(a.pixels.astype(float) - b.pixels)[inside(a.boxes[finding], a.pixels.shape)].mean()
            for a, b in zip(with_it, without, strict=True)
        ]
        assert np.median(changes) > (6 if finding == "Nodule" else 1.8) * noise


def test_findings_share_the_anatomy_of_their_seed():
    plain, crowded = draw([], seed=7), draw(["Nodule", "Mass"], seed=7)
    mask = inside(sum(crowded.boxes.values(), []), plain.pixels.shape)
    assert (plain.pixels == crowded.pixels)[~mask].mean() > 0.97


def test_one_findings_place_does_not_depend_on_the_others():
    assert draw(["Nodule"]).boxes["Nodule"] == draw(["Effusion", "Infiltration", "Nodule"]).boxes["Nodule"]


def test_order_of_findings_does_not_matter():
    assert np.array_equal(draw(["Mass", "Edema"]).pixels, draw(("Edema", "Mass")).pixels)


def test_same_seed_same_pixels_and_another_seed_others():
    digest = [hashlib.sha256(draw(["Edema"], seed=s, style=STYLES["nih"]).pixels).hexdigest() for s in (1, 1, 2)]
    assert digest[0] == digest[1] != digest[2]


def test_pixels_have_the_height_and_the_aspect_asked_for():
    assert draw([], size=64).pixels.shape == (64, 64)
    wide = draw([], size=64, style=Style(aspect=(1.2, 1.2))).pixels
    assert wide.shape == (64, 77)
    assert wide.dtype == np.uint8


def test_no_part_of_a_picture_is_burnt_out():
    for style in STYLES.values():
        pixels = np.stack(
            [draw([], seed=seed, style=Style(noise=style.noise, gain=style.gain)).pixels for seed in range(5)]
        )
        assert np.mean(pixels == 255) < 0.02
        assert pixels.std() > 40


def test_a_size_change_keeps_the_chest():
    small, large = draw(["Mass"], size=64).pixels.astype(float), draw(["Mass"], size=128).pixels.astype(float)
    shrunk = large.reshape(64, 2, 64, 2).mean(axis=(1, 3))
    assert np.corrcoef(small.ravel(), shrunk.ravel())[0, 1] > 0.98


def test_chest_from_the_side_differs_and_has_no_boxes():
    frontal, lateral = draw(["Effusion"]), draw(["Effusion"], view="LATERAL")
    assert lateral.boxes == {}
    assert np.corrcoef(frontal.pixels.ravel(), lateral.pixels.ravel())[0, 1] < 0.8


def test_boxes_lie_within_the_picture():
    for seed in range(10):
        phantom = draw(PATHOLOGIES, seed=seed, size=48)
        for x, y, width, height in sum(phantom.boxes.values(), []):
            assert width > 0
            assert height > 0
            assert 0 <= x <= 48 - width
            assert 0 <= y <= 48 - height


def test_unknown_finding_is_refused_by_name():
    with pytest.raises(PhantomError, match="Scoliosis"):
        draw(["Scoliosis", "Mass"])
