import numpy as np
import pytest

from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.data.sampling import epoch_order, epoch_seeds, repeat_factors

DATASETS = np.array(["nih"] * 80 + ["vindr"] * 20, dtype=object)


@pytest.fixture
def labels():
    """Mass in 2 of 100 images, Effusion in 50, the rest unknown."""
    labels = np.full((100, 14), np.nan, dtype=np.float32)
    labels[:, :2] = 0
    labels[:2, 0] = 1
    labels[50:, 1] = 1
    return labels


@pytest.mark.parametrize("sampler", ["plain", "source", "class"])
def test_each_epoch_has_its_own_order_and_the_seed_repeats_it(labels, sampler):
    def order(seed, epoch):
        return epoch_order(DATASETS, labels, TrainConfig(sampler=sampler, seed=seed), epoch=epoch).tolist()

    assert order(1, 1) == order(1, 1)
    assert order(1, 1) != order(1, 2)
    assert order(1, 1) != order(2, 1)


def test_places_of_an_epoch_have_seeds_of_their_own_which_seed_and_epoch_repeat():
    seeds = epoch_seeds(1000, TrainConfig(seed=3), epoch=2)
    assert seeds.dtype == np.uint32
    assert len(set(seeds)) == 1000
    np.testing.assert_array_equal(epoch_seeds(400, TrainConfig(seed=3), epoch=2), seeds[:400])
    for other in (epoch_seeds(1000, TrainConfig(seed=3), epoch=3), epoch_seeds(1000, TrainConfig(seed=4), epoch=2)):
        assert not set(seeds) & set(other)


def test_plain_shows_each_image_once(labels):
    assert sorted(epoch_order(DATASETS, labels, TrainConfig(), epoch=1)) == list(range(100))


@pytest.mark.parametrize(("temperature", "share"), [(1, 0.8), (2, 2 / 3), (100, 0.5035)])
def test_sources_share_an_epoch_by_a_root_of_their_size(labels, temperature, share):
    config = TrainConfig(sampler="source", sampler_temperature=temperature)
    order = epoch_order(DATASETS, labels, config, epoch=1)
    assert len(order) == 100
    assert (DATASETS[order] == "nih").mean() == pytest.approx(share, abs=0.006)
    counts = np.bincount(order, minlength=100)
    for name in ("nih", "vindr"):
        own = counts[name == DATASETS]
        assert own.max() - own.min() <= 1  # copies only once all were shown


def test_repeat_factors_are_those_of_the_paper(labels):
    factors = repeat_factors(labels, 0.18)
    assert factors[:2].tolist() == pytest.approx([3.0, 3.0])  # sqrt(.18 / .02)
    assert set(factors[2:]) == {1.0}  # without a finding, or with a frequent one


def test_rare_findings_are_repeated_and_nothing_is_left_out(labels):
    config = TrainConfig(sampler="class", sampler_frequency=0.125)  # sqrt(.125 / .02) = 2.5
    counts = np.mean(
        [np.bincount(epoch_order(DATASETS, labels, config, epoch=e), minlength=100) for e in range(200)], 0
    )
    assert counts[:2] == pytest.approx([2.5, 2.5], abs=0.15)
    assert set(counts[2:]) == {1.0}
