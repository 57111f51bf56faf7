"""The report labeler against the experts' labels of OpenI and on templates and lists, beside simpler ones; its speed.

`--against CHECKOUT` compares the CPU time with that of another checkout of this repository. Needs the data files of
torchxrayvision 1.5.7 (`make bench` installs them); negspacy runs only where it is installed (`pip install negspacy
spacy`). F1 compares; reports per second are for one core and the machine decides them.
"""

import argparse
import os
import pickle
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
from inputs.collections import unpack_published

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.labels.harmonize import label_table
from cxr_pipeline.labels.reports.agreement import pooled_kappa
from cxr_pipeline.labels.reports.crosscheck import crosscheck_labels
from cxr_pipeline.labels.reports.gold import ReportGold, flag_normal, read_gold, score_gold
from cxr_pipeline.labels.reports.labeler import explain, label_reports
from cxr_pipeline.labels.reports.lexicon import read_lexicon
from cxr_pipeline.labels.reports.text import normal_forms, split_sentences
from cxr_pipeline.pathologies import PATHOLOGIES

STUDIES = 140_000  # as many as ReXGradient has for training
WORST = 60_000  # of the worst case, so that it takes as long
SUBSTRINGS = {name: name.replace("_", " ").lower() for name in PATHOLOGIES} | {"Infiltration": "infiltrat"}
READ_SECTIONS = ("findings", "impression")


TEMPLATES = Path(__file__).parents[1] / "cxr_pipeline_tests" / "labels" / "reports" / "templates.csv"
ROUNDS = 9  # in turn, so that what else the machine does falls on both
TIMED = """
import pickle, sys, time
from pathlib import Path
try:
    from cxr_pipeline.labels.reports.labeler import label_reports
except ModuleNotFoundError:  # the checkout is older than the folder
    from cxr_pipeline.labels.reports import label_reports
reports = pickle.loads(Path(sys.argv[1]).read_bytes())
label_reports(reports.head(50))
started = time.process_time()
label_reports(reports)
print(time.process_time() - started)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="another checkout: compare the speed with it")
    against = parser.parse_args().against
    with tempfile.TemporaryDirectory() as folder:
        gold = read_gold(unpack_openi(Path(folder)))
    texts = join_sections(gold)
    time_and_score("cxr_pipeline", gold, texts, lambda: label_reports(gold.reports).states, is_ours=True)
    time_and_score("substring in text", gold, texts, lambda: label_by_substring(texts))
    if find_spec("negspacy"):
        time_and_score("negspacy, our mentions", gold, texts, lambda: label_by_negspacy(texts))
    else:
        print("negspacy is not installed: not compared")
    score_templates()
    if against:
        compare_speed(against, gold.reports)
    crosscheck_padchest()
    many = make_reports(texts)
    time_many(f"{STUDIES:,} reports made of OpenI's halves", many)
    time_many(f"{WORST:,} reports without a sentence twice", number_sentences(many).head(WORST))


def time_and_score(
    name: str, gold: ReportGold, texts: pl.DataFrame, label: Callable[[], pl.DataFrame], *, is_ours: bool = False
) -> None:
    """One line per part of the gold; for ours the table of the test reports as well."""
    started = time.process_time()
    states = label()
    speed = texts.height / (time.process_time() - started)
    scores = score_gold(gold, states)
    print(f"{name}: {speed:,.0f} reports/s")
    flagged = flag_normal(gold, states)
    for part in scores["reports"].unique(maintain_order=True):
        rows = {row["pathology"]: row for row in scores.filter(pl.col("reports") == part).to_dicts()}
        micro, macro = rows["micro"], rows["macro"]
        print(
            f"  {part:15s} micro P {micro['precision']:.3f} R {micro['recall']:.3f} F1 {micro['f1']:.3f} "
            f"[{micro['f1_low']:.3f}, {micro['f1_high']:.3f}]  macro F1 {macro['f1']:.3f} "
            f"[{macro['f1_low']:.3f}, {macro['f1_high']:.3f}]  normal flagged {flagged[part]:.1%}"
        )
    if is_ours:
        shown = scores.filter(pl.col("reports") == "test").select("pathology", "support", "f1", "f1_low", "f1_high")
        for row in shown.iter_rows():
            print("    {:20s} n {:4d}  F1 {:.3f} [{:.3f}, {:.3f}]".format(*(0.0 if v is None else v for v in row)))


def score_templates() -> None:
    """Share of templates and lists of which every class is read as a person reads it, per part."""
    items = pl.read_csv(TEMPLATES).with_columns(pl.col("expected").fill_null(""))
    for part, rows in items.group_by("part", maintain_order=True):
        exact = sum(spell_states(text) == expected for text, expected in rows.select("text", "expected").rows())
        print(f"templates and lists, {part[0]}: {exact} of {rows.height} exact, {exact / rows.height:.3f}")


def spell_states(text: str) -> str:
    """`Effusion=0;Mass=1`, as the file of templates has it."""
    stated = {name: state for name, state in explain(text).states.items() if state is not None}
    return ";".join(f"{name}={state}" for name, state in sorted(stated.items()))


def compare_speed(against: Path, reports: pl.DataFrame) -> None:
    """CPU time of the same reports in this checkout over that in `against`: one line, smallest of nine rounds each."""
    here = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as folder:
        pickled = Path(folder) / "reports.pickle"
        pickled.write_bytes(pickle.dumps(reports))
        rounds = [(time_checkout(here, pickled), time_checkout(against.resolve(), pickled)) for _ in range(ROUNDS)]
    ours, theirs = (min(seconds) for seconds in zip(*rounds, strict=True))
    print(f"CPU time for {reports.height:,} sections of OpenI: {ours:.2f} s, {theirs:.2f} s there, {ours / theirs:.2f}")


def time_checkout(checkout: Path, reports: Path) -> float:
    """Seconds of CPU that the labeler of `checkout` takes, in a process of its own with one thread."""
    environment = os.environ | {"PYTHONPATH": str(checkout), "POLARS_MAX_THREADS": "1"}
    command = [sys.executable, "-c", TIMED, str(reports)]
    return float(subprocess.run(command, env=environment, cwd=checkout, check=True, capture_output=True).stdout)


def crosscheck_padchest() -> None:
    """Kappa of the Spanish lexicon with PadChest's own labels, per kind of labeller and class."""
    with tempfile.TemporaryDirectory() as folder:
        unpack_published(Path(folder))
        source = DATASETS["padchest"]
        labels = label_table(source, Path(folder) / "padchest").table
        agreement = crosscheck_labels("padchest", source.read_reports(Path(folder) / "padchest").collect(), labels)
    for (kind,), rows in agreement.group_by("theirs", maintain_order=True):
        both, ours, theirs = (rows[name].sum() for name in ("both_positive", "ours_only", "theirs_only"))
        print(f"padchest, {kind}: kappa {pooled_kappa(rows):.3f}, micro F1 {2 * both / (2 * both + ours + theirs):.3f}")
        print("    " + ", ".join(f"{name} {kappa:.2f}" for name, kappa in rows.select("pathology", "kappa").rows()))


def time_many(name: str, reports: pl.DataFrame) -> None:
    """Seconds for `reports`, in one process and in two: wall time, and CPU time of this process and of its children.

    Two processes help as far as the busier one has less to do than the single one had; wall time tells the same only
    on a machine with two idle cores.
    """
    alone = None
    for processes in (1, 2):
        started, before = time.perf_counter(), cpu_seconds()
        label_reports(reports, processes=processes)
        seconds, (own, others) = time.perf_counter() - started, np.subtract(cpu_seconds(), before)
        alone = alone or own
        print(
            f"{name}, {processes} processes: {seconds:.1f} s; CPU {own:.1f} s here and {others:.1f} s elsewhere, "
            f"{reports.height / (own + others):,.0f} reports/s/core; the busier has {max(own, others) / alone:.2f} of "
            "the work of one"
        )


def cpu_seconds() -> tuple[float, float]:
    """Of this process, and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return used[0].ru_utime + used[0].ru_stime, used[1].ru_utime + used[1].ru_stime


def make_reports(texts: pl.DataFrame) -> pl.DataFrame:
    """As many as ReXGradient has, each the first half of one real report and of another."""
    first, second = np.random.default_rng(0).integers(texts.height, size=(2, STUDIES))
    half = texts.select(pl.col("text").str.slice(0, pl.col("text").str.len_chars() // 2)).to_series()
    made = pl.DataFrame({"text": half.gather(first) + ". " + half.gather(second)})
    return made.select(pl.int_range(pl.len()).cast(pl.String).alias("study_id"), "text")


def number_sentences(reports: pl.DataFrame) -> pl.DataFrame:
    """The same with a word of its own in every sentence of a report: none is there twice, the worst case."""
    word = pl.format(" q{}. ", pl.int_range(pl.len()))
    return reports.with_columns((pl.col("text") + " ").str.replace_all(". ", word, literal=True))


def label_by_substring(texts: pl.DataFrame) -> pl.DataFrame:
    """What simple scripts do: the name of the class anywhere in the text is a positive."""
    text = pl.col("text").str.to_lowercase()
    return texts.select(
        "study_id",
        *[text.str.contains(word, literal=True).cast(pl.Int8).alias(name) for name, word in SUBSTRINGS.items()],
    )


def label_by_negspacy(texts: pl.DataFrame) -> pl.DataFrame:
    """negspacy's own cues and scopes over the mentions of our lexicon: positive where any is not negated."""
    import spacy
    from negspacy.negation import Negex  # noqa: F401 - registers the component
    from spacy.util import filter_spans

    pipeline = spacy.blank("en")
    split, negate = pipeline.add_pipe("sentencizer"), pipeline.add_pipe("negex")
    positives = []
    for text in texts["text"]:
        document = split(pipeline.make_doc(text))
        spans = [document.char_span(*at, label="+".join(names)) for at, names in find_mentions(text).items()]
        document.ents = filter_spans([span for span in spans if span])
        found = [entity.label_.split("+") for entity in negate(document).ents if not entity._.negex]
        positives.append({name for names in found for name in names})
    columns = {name: pl.Series([name in row for row in positives]).cast(pl.Int8) for name in PATHOLOGIES}
    return pl.DataFrame({"study_id": texts["study_id"], **columns})


def find_mentions(text: str) -> dict[tuple[int, int], list[str]]:
    """Start and end of every mention, whatever is said of it, and the classes that it names."""
    found: dict[tuple[int, int], list[str]] = {}
    for offset, sentence in split_sentences(text, 0, len(text)):
        for form in normal_forms(sentence):
            for name, vocabulary in read_lexicon().vocabularies.items():
                excluded = vocabulary.exclude.find(form.text) if vocabulary.exclude else []
                for start, end in vocabulary.mention.find(form.text):
                    if not any(start < to and at < end for at, to in excluded):
                        first, last = form.locate(start, end)
                        found.setdefault((first + offset, last + offset), []).append(name)
    return found


def join_sections(gold: ReportGold) -> pl.DataFrame:
    """`study_id text`: findings and impression of every report in one."""
    read = gold.reports.filter(pl.col("section").is_in(READ_SECTIONS))
    return read.group_by("study_id", maintain_order=True).agg(pl.col("text").str.join("\n\n"))


def unpack_openi(folder: Path) -> Path:
    spec = find_spec("torchxrayvision")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("torchxrayvision is not installed: run this with `make bench`.")
    with tarfile.open(Path(spec.submodule_search_locations[0]) / "data" / "NLMCXR_reports.tgz") as archive:
        archive.extractall(folder, filter="data")
    return folder


if __name__ == "__main__":
    main()
