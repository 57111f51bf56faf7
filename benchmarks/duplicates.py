"""The search for duplicates: cost over a million hashes, recall of planted copies by kind, false pairs on real images.

Hashes and sketches of the million are drawn from the correlations of real NIH images (a Gaussian copula), and uniform
ones beside them; 2 % are planted copies. CPU seconds are one run of a process of its own, MB is its peak, inputs
included. Copies are of 248 NIH originals, stored at 384 pixels, among 1,080 other NIH images. Run by `make bench`, or
`python benchmarks/duplicates.py`.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from inputs.copies import COPIES

from cxr_pipeline.images.store.hashing import HASH_BITS, difference_hash
from cxr_pipeline.split.duplicates.config import DEFAULT_SEARCH
from cxr_pipeline.split.duplicates.hash_search import hamming_distances, hash_words, near_pairs, unique_pairs
from cxr_pipeline.split.duplicates.pixel_match import pixel_differences, thumbnail
from cxr_pipeline.split.duplicates.sketches import close_sketches, sketch_distances, sketch_picture

REAL = Path(__file__).parents[1].parent / "shared" / "data"
HASHES, PLANTED = 1_000_000, 20_000
STORED = 384
LIMIT = DEFAULT_SEARCH.pixel_difference


class Pictures:
    """Stored pictures with all that the search looks at."""

    def __init__(self, pictures: list[np.ndarray]) -> None:
        self.words = hash_words([difference_hash(picture) for picture in pictures])
        self.sketches = np.stack([sketch_picture(picture) for picture in pictures])
        self.thumbnails = np.stack([thumbnail(picture) for picture in pictures])

    def __add__(self, other: "Pictures") -> "Pictures":
        both = Pictures.__new__(Pictures)
        for name in ("words", "sketches", "thumbnails"):
            setattr(both, name, np.concatenate([getattr(self, name), getattr(other, name)]))
        return both

    def by_hash(self) -> np.ndarray:
        return near_pairs(self.words, radius=DEFAULT_SEARCH.hash_bits)

    def by_sketch(self) -> np.ndarray:
        return close_sketches(self.sketches, self.words, distance=DEFAULT_SEARCH.sketch_distance)

    def differences(self, pairs: np.ndarray) -> np.ndarray:
        return pixel_differences(self.thumbnails[pairs[:, 0]], self.thumbnails[pairs[:, 1]])


def main() -> None:
    for what in ("uniform hashes", "realistic hashes", "realistic sketches"):
        if what == "uniform hashes" or REAL.is_dir():
            measure(what)
    if not REAL.is_dir():
        print("no real images at ../shared/data: neither recall nor false pairs")
        return
    names, originals = read_nih("nih/images_*/images/*.png")
    other_names, others = read_nih("nih-224/images-224/*.png")
    report_costs(originals)
    stored, rest = (Pictures([fit(picture) for picture in some]) for some in (originals, others))
    report_recall(originals, stored, rest)
    report_false_pairs(np.array(names + other_names), stored + rest)


def measure(what: str) -> None:
    done = subprocess.run([sys.executable, __file__, what], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{what} failed:\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{HASHES:,} {what}: {found['seconds']:.1f} s of CPU, {found['mb']:.0f} MB, {found['pairs']:,} pairs, "
        f"{found['recall']:.4f} of the planted found"
    )


def run_process(what: str) -> None:
    rng = np.random.default_rng(0)
    copied, places = rng.integers(0, HASHES, PLANTED), rng.permutation(HASHES)[:PLANTED]
    words = uniform(rng) if what == "uniform hashes" else realistic(rng)
    words[places] = words[copied] if "sketches" in what else flip_bits(words[copied], rng)
    search: Callable[[], np.ndarray] = lambda: near_pairs(words, radius=DEFAULT_SEARCH.hash_bits)  # noqa: E731
    if "sketches" in what:
        sketches = realistic_sketches(rng)
        sketches[places] = sketches[copied] + crop_changes()[rng.integers(0, 248, PLANTED)]
        search = lambda: close_sketches(sketches, words, distance=DEFAULT_SEARCH.sketch_distance)  # noqa: E731
    started = time.process_time()
    pairs = search()
    seconds = time.process_time() - started
    known = unique_pairs(np.stack([copied, places], axis=1)[~np.isin(copied, places)])
    codes = pairs[:, 0] * HASHES + pairs[:, 1]
    recall = float(np.isin(known[:, 0] * HASHES + known[:, 1], codes).mean())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "mb": peak, "pairs": len(pairs), "recall": recall}))


def uniform(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 2**64, (HASHES, HASH_BITS // 64), dtype=np.uint64)


def realistic(rng: np.random.Generator) -> np.ndarray:
    """Hashes whose bits have the frequencies and the pairwise correlations of those of real images."""
    from scipy.stats import norm

    _, pictures = read_nih("nih-224/images-224/*.png")
    hashes = b"".join(difference_hash(picture) for picture in pictures)
    bits = np.unpackbits(np.frombuffer(hashes, np.uint8).reshape(-1, HASH_BITS // 8), axis=1)
    frequency = bits.mean(axis=0).clip(0.01, 0.99)
    latent = np.sin(np.pi / 2 * np.corrcoef(bits.T + rng.standard_normal(bits.T.shape) * 1e-3))
    values, vectors = np.linalg.eigh(latent)
    mixing = vectors * np.sqrt(values.clip(1e-2))
    mixing = (mixing / np.linalg.norm(mixing, axis=1, keepdims=True)).astype(np.float32).T
    least = norm.ppf(1 - frequency).astype(np.float32)
    parts = [
        np.packbits(rng.standard_normal((HASHES // 20, HASH_BITS), np.float32) @ mixing > least, axis=1)
        for _ in range(20)
    ]
    return np.concatenate(parts).view(np.uint64)


def realistic_sketches(rng: np.random.Generator) -> np.ndarray:
    _, pictures = read_nih("nih-224/images-224/*.png")
    real = np.stack([sketch_picture(picture) for picture in pictures])
    return rng.multivariate_normal(real.mean(axis=0), np.cov(real.T), HASHES, method="eigh").astype(np.float32)


def crop_changes() -> np.ndarray:
    """What a centred crop of 2 % does to the sketch of each of 248 real images."""
    _, originals = read_nih("nih/images_*/images/*.png")
    change = COPIES["crop 2 %, centred"]
    return np.stack([sketch_picture(fit(change(one))) - sketch_picture(fit(one)) for one in originals])


def flip_bits(words: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each row with 0 to 8 bits flipped."""
    flips = rng.random((len(words), HASH_BITS)).argsort(axis=1) < rng.integers(0, 9, (len(words), 1))
    return words ^ np.packbits(flips, axis=1).view(np.uint64)


def read_nih(pattern: str) -> tuple[list[str], list[np.ndarray]]:
    paths = sorted(REAL.glob(pattern))
    return [path.stem for path in paths], [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths]


def fit(picture: np.ndarray) -> np.ndarray:
    """As the store keeps it; the aspect of a cropped copy is that of its original to the pixel or nearly."""
    method = cv2.INTER_AREA if max(picture.shape) >= STORED else cv2.INTER_CUBIC
    return cv2.resize(picture, (STORED, STORED), interpolation=method)


def report_costs(originals: list[np.ndarray]) -> None:
    pictures = [fit(picture) for picture in originals]
    sketching, _ = timed(lambda: [sketch_picture(picture) for picture in pictures])
    small, thumbnails = timed(lambda: np.stack([thumbnail(picture) for picture in pictures]))
    comparing, _ = timed(lambda: pixel_differences(thumbnails, thumbnails[::-1]))
    print(
        f"milliseconds of CPU at {STORED} pixels: a sketch {sketching / len(pictures) * 1e3:.2f}, a thumbnail "
        f"{small / len(pictures) * 1e3:.2f}, the comparison of a pair {comparing / len(pictures) * 1e3:.2f}"
    )


def timed(call: Callable[[], np.ndarray | list[np.ndarray]]) -> tuple[float, np.ndarray]:
    started = time.process_time()
    result = call()
    return time.process_time() - started, np.asarray(result)


def report_recall(originals: list[np.ndarray], stored: Pictures, rest: Pictures) -> None:
    print("copy                    planted  by hash  and sketch  proven   bits  largest difference")
    count, total = len(originals), 0
    for kind, change in COPIES.items():
        copies = Pictures([fit(change(picture)) for picture in originals])
        every = stored + copies + rest
        planted = np.stack([np.arange(count), np.arange(count) + count], axis=1)
        hashed, sketched = found(every.by_hash(), planted), found(every.by_sketch(), planted)
        differences = every.differences(planted)
        proven = (hashed | sketched) & (differences <= LIMIT)
        total += count
        print(
            f"{kind:24s}{count:7d} {hashed.mean():8.3f} {(hashed | sketched).mean():11.3f} {proven.mean():7.3f} "
            f"{hamming_distances(every.words, planted).max():6d}  {differences.max():.5f}"
        )
    print(f"{total:,} copies in all; a pair is proven when at most {LIMIT} of its variance remains")


def found(pairs: np.ndarray, planted: np.ndarray) -> np.ndarray:
    known = set(map(tuple, pairs.tolist()))
    return np.array([tuple(pair) in known for pair in planted.tolist()])


def report_false_pairs(names: np.ndarray, every: Pictures) -> None:
    pairs = unique_pairs(np.concatenate([every.by_hash(), every.by_sketch()]))
    differences, bits = every.differences(pairs), hamming_distances(every.words, pairs)
    first, second = names[pairs].T
    is_same = first == second
    is_known = (first == "00002658_001") & (second == "00002658_002")
    of_one = np.array([a[:8] == b[:8] for a, b in names[pairs]])
    proven, other = differences <= LIMIT, ~is_same & ~is_known
    print(
        f"{len(names):,} real NIH images, {len(names) * (len(names) - 1) // 2:,} pairs, {len(pairs):,} candidates: "
        f"{(proven & is_same).sum()} of {is_same.sum()} images at two sizes proven, the known pair "
        f"{'proven' if (proven & is_known).any() else 'missed'}, false pairs {(proven & other).sum()}"
    )
    everything = np.stack(np.triu_indices(len(names), 1), axis=1)
    everything = everything[names[everything[:, 0]] != names[everything[:, 1]]]
    nearest = everything[np.argsort(sketch_distances(every.sketches, everything))[:5000]]
    nearest = nearest[~np.isin(names[nearest], ["00002658_001", "00002658_002"]).all(axis=1)]
    is_one = np.array([a[:8] == b[:8] for a, b in names[nearest]])
    nearest_difference, all_bits = every.differences(nearest), hamming_distances(every.words, everything)
    print(
        f"nearest others: pixel difference {nearest_difference[is_one].min():.4f} of one patient, "
        f"{nearest_difference[~is_one].min():.4f} of two (among the 5,000 closest by sketch); "
        f"fewest bits {sorted(all_bits)[1]}; candidates of two patients by hash alone "
        f"{((bits <= DEFAULT_SEARCH.hash_bits) & other & ~of_one).sum()}"
    )


if __name__ == "__main__":
    if len(sys.argv) == 2:
        run_process(sys.argv[1])
    else:
        main()
