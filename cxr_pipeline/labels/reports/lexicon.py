"""The words that the report labeler knows: reads `lexicon/<language>.toml` and compiles its phrases.

How the words act on each other is in `report_scope.py`; which words there are is for a radiologist to say, in the file.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cxr_pipeline.errors import TableError
from cxr_pipeline.labels.reports.layout.replies import Replies, compile_replies
from cxr_pipeline.labels.reports.phrases import PhraseSet, compile_phrases, expand, joint_anchors
from cxr_pipeline.pathologies import NEGATIVE, PATHOLOGIES, POSITIVE, UNCERTAIN

CUES = (
    "negation_before",
    "negation_after",
    "uncertain_before",
    "uncertain_after",
    "versus",
    "alternative",
    "aside",
    "without_effect",
    "unresolved",
    "fresh_start",
    "boundary",
)

_FOLDER = Path(__file__).parents[1] / "lexicon"


@dataclass(frozen=True)
class Vocabulary:
    """The phrases of one class; None where there are none of a kind."""

    mention: PhraseSet  # names the finding
    doubtful: PhraseSet | None  # names something that may be the finding: uncertain where it is not denied
    exclude: PhraseSet | None  # a mention that touches one of these means something else
    denial: PhraseSet | None  # says by itself that the finding is not there
    alternative_is: int  # what "X versus Y" says of X: 1 or -1
    anchors: re.Pattern[str]  # a sentence in which it finds nothing has no phrase of this class


@dataclass(frozen=True)
class NormalStatement:
    """Phrases that deny several classes at once, such as "the lungs are clear"."""

    pathologies: tuple[str, ...]
    phrases: PhraseSet
    exclude: PhraseSet | None
    anchors: re.Pattern[str]


@dataclass(frozen=True)
class Lexicon:
    """A compiled lexicon: vocabulary per class, cues by kind, the sections that count."""

    version: str
    digest: str  # SHA-256 of the file, hexadecimal
    vocabularies: Mapping[str, Vocabulary]  # in the order of PATHOLOGIES
    normal: tuple[NormalStatement, ...]
    cues: Mapping[str, PhraseSet]  # in the order of CUES
    list_goes_on: PhraseSet  # behind a fresh start: it was none, the list of what is denied goes on
    asking: PhraseSet  # at the beginning of a sentence: a question
    answers: Mapping[
        int | None, tuple[PhraseSet, ...]
    ]  # state (None: a blank) -> how a field is answered; may be empty
    resumed: PhraseSet  # behind a denial: something is there after all
    opening: PhraseSet  # at the end of a heading that denies or doubts: what is listed below is meant
    side: PhraseSet
    replies: Replies | None  # lines that answer the line above
    closing: frozenset[str]  # words in lower case that answer without a colon before them
    topics: PhraseSet  # parts of the chest: "Lungs: clear" is no line of a history
    sections: Mapping[str, bool]  # heading in lower case -> whether what stands under it counts


@cache
def read_lexicon(language: str = "en") -> Lexicon:
    """The lexicon of a language; raises TableError when it is absent or does not have the expected tables."""
    path = _FOLDER / f"{language}.toml"
    if not path.is_file():
        known = sorted(path.stem for path in _FOLDER.glob("*.toml"))
        raise TableError(f"No lexicon {path.name} in labels/lexicon: expected one of {', '.join(known)}.")
    return parse_lexicon(path.read_text(encoding="utf-8"))


def parse_lexicon(text: str) -> Lexicon:
    """The lexicon that a TOML text spells; raises TableError when it is not one."""
    try:
        return _compile(tomllib.loads(text), hashlib.sha256(text.encode()).hexdigest())
    except (tomllib.TOMLDecodeError, KeyError, TypeError, re.error) as error:
        raise TableError(
            f"The lexicon cannot be read ({error!r}). Expected a version, the tables sections, terms, normal, cues "
            f"({', '.join(CUES)}, list_goes_on) and findings (one per class, each with `mention` and "
            "`alternative_is`). Correct the file in labels/lexicon."
        ) from error


def _compile(content: dict, digest: str) -> Lexicon:
    terms: dict[str, str] = {}
    for name, phrase in content["terms"].items():
        terms[name] = f"({expand(phrase, terms)})"
    sections = content["sections"]
    cues = {kind: compile_phrases(content["cues"][kind], terms) for kind in CUES}
    answers = content.get("answers", {})
    return Lexicon(
        version=content["version"],
        digest=digest,
        vocabularies={name: _vocabulary(content["findings"][name], terms) for name in PATHOLOGIES},
        normal=tuple(_normal_statement(entry, terms) for entry in content["normal"]),
        cues=cues,
        list_goes_on=compile_phrases(content["cues"]["list_goes_on"], terms),
        asking=compile_phrases(content["cues"].get("asking", []), terms),
        answers=_answers(answers, cues, terms) if answers else {},
        resumed=compile_phrases(answers.get("resumed", []), terms),
        opening=compile_phrases(answers.get("opening", []), terms),
        side=compile_phrases(answers.get("side", []), terms),
        replies=compile_replies(*(answers.get(key, []) for key in ("alone", "reply", "reply_side"))),
        closing=frozenset(answers.get("closing", [])),
        topics=compile_phrases(sections.get("topics", []), terms),
        sections={**dict.fromkeys(sections["read"], True), **dict.fromkeys(sections["skip"], False)},
    )


def _answers(
    entry: dict, cues: Mapping[str, PhraseSet], terms: Mapping[str, str]
) -> dict[int | None, tuple[PhraseSet, ...]]:
    """A doubt and what looks like a denial ("no change in") answer as they speak in a sentence."""
    return {
        NEGATIVE: (compile_phrases(entry["denied"], terms),),
        POSITIVE: (compile_phrases(entry["present"], terms), cues["without_effect"], cues["unresolved"]),
        UNCERTAIN: (compile_phrases(entry["doubted"], terms), cues["uncertain_before"], cues["uncertain_after"]),
        None: (compile_phrases(entry["blank"], terms),),
    }


def _vocabulary(entry: dict, terms: Mapping[str, str]) -> Vocabulary:
    mention = compile_phrases(entry["mention"], terms)
    doubtful = _compile_optional(entry, "doubtful", terms)
    denial = _compile_optional(entry, "denial", terms)
    return Vocabulary(
        mention=mention,
        doubtful=doubtful,
        exclude=_compile_optional(entry, "exclude", terms),
        denial=denial,
        alternative_is={"positive": POSITIVE, "uncertain": UNCERTAIN}[entry["alternative_is"]],
        anchors=joint_anchors(mention, doubtful, denial),
    )


def _normal_statement(entry: dict, terms: Mapping[str, str]) -> NormalStatement:
    denied = PATHOLOGIES if entry["findings"] == "all" else tuple(entry["findings"])
    phrases = compile_phrases(entry["phrases"], terms)
    return NormalStatement(denied, phrases, _compile_optional(entry, "exclude", terms), joint_anchors(phrases))


def _compile_optional(entry: dict, key: str, terms: Mapping[str, str]) -> PhraseSet | None:
    return compile_phrases(entry[key], terms) if key in entry else None
