"""Templates and lists, as ReXGradient's sites write them: each line and each field speaks for itself."""

import pytest

from cxr_pipeline.labels.reports.labeler import explain

DENIED = [
    "Pleural effusion: None.", "Pleural effusion: No", "PLEURAL EFFUSION: NEGATIVE", "Effusion: nil",
    "Effusion: absent", "Effusion: not seen", "Effusion: none seen", "Effusion - none", "Effusion (none)",
    "Effusion = neg",
    "Effusion:\tnone", "Effusion: no evidence.", "Effusion: [ ] yes [x] no", "Effusion: denied",
]  # fmt: skip
BLANK = ["Effusion: ____", "Effusion: N/A", "Effusion: n.a.", "Effusion:", "Effusion: [ ]", "[ ] Effusion",
         "( ) Effusion", "\u2610 Effusion", "Effusion: not assessed", "Effusion: --"]  # fmt: skip
PRESENT = ["Effusion: yes", "Effusion: present", "Effusion: [x]", "[x] Effusion", "(X) Effusion", "\u2611 Effusion",
           "Effusion: +", "Effusion: small, left", "Effusion: trace", "Effusion: no change", "Effusion: [x] yes [ ] no",
           "Effusion: unchanged"]  # fmt: skip


def said(text):
    return {name: state for name, state in explain(text).states.items() if state is not None}


@pytest.mark.parametrize("text", DENIED)
def test_answer_that_denies(text):
    assert said(text) == {"Effusion": 0}


@pytest.mark.parametrize("text", BLANK)
def test_blank_says_nothing(text):
    assert said(text) == {}


@pytest.mark.parametrize("text", PRESENT)
def test_answer_that_affirms_or_describes(text):
    assert said(text) == {"Effusion": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Pleural effusion: None. Pneumothorax: None. Consolidation: No.",
         {"Effusion": 0, "Pneumothorax": 0, "Consolidation": 0}),
        ("Effusion: none, pneumothorax: no, edema: yes", {"Effusion": 0, "Pneumothorax": 0, "Edema": 1}),
        ("Effusion/pneumothorax: none", {"Effusion": 0, "Pneumothorax": 0}),
        ("Pneumothorax: none; effusion: trace", {"Pneumothorax": 0, "Effusion": 1}),
        ("[ ] Effusion [x] Edema [ ] Pneumothorax", {"Edema": 1}),
        ("Effusion: [ ] Edema: [x]", {"Edema": 1}),
        ("Effusion: \u2610 Edema: \u2611", {"Edema": 1}),
        ("FINDINGS: Effusion: none\nPneumothorax: none\nCardiomegaly: mild",
         {"Effusion": 0, "Pneumothorax": 0, "Cardiomegaly": 1}),
        ("Effusion: possible", {"Effusion": -1}),
    ],
)  # fmt: skip
def test_fields_do_not_reach_each_other(text, expected):
    assert said(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- No pneumothorax\n- Cardiomegaly", {"Pneumothorax": 0, "Cardiomegaly": 1}),
        ("* No pneumothorax\n* Cardiomegaly", {"Pneumothorax": 0, "Cardiomegaly": 1}),
        ("\u2022 No pneumothorax \u2022 Cardiomegaly", {"Pneumothorax": 0, "Cardiomegaly": 1}),
        ("1. No pneumothorax\n2. Cardiomegaly", {"Pneumothorax": 0, "Cardiomegaly": 1}),
        ("1. No pneumothorax 2. Cardiomegaly", {"Pneumothorax": 0, "Cardiomegaly": 1}),
        ("1) No pneumothorax 2) Cardiomegaly", {"Pneumothorax": 0, "Cardiomegaly": 1}),
        ("No pneumothorax\nCardiomegaly\nPossible effusion\nConsolidation",
         {"Pneumothorax": 0, "Cardiomegaly": 1, "Effusion": -1, "Consolidation": 1}),
        ("no pneumothorax\ncardiomegaly", {"Pneumothorax": 0, "Cardiomegaly": 1}),
        ("No pleural effusion\nor pneumothorax", {"Effusion": 0, "Pneumothorax": 0}),
        ("No pleural effusion,\npneumothorax or edema", {"Effusion": 0, "Pneumothorax": 0, "Edema": 0}),
        ("There is no evidence of\nconsolidation", {"Consolidation": 0}),
        ("The cardiac silhouette and mediastinum are stable and there is no\nEffusion or Pneumothorax",
         {"Effusion": 0, "Pneumothorax": 0}),
    ],
)  # fmt: skip
def test_line_of_a_list_stands_alone_and_a_wrapped_line_goes_on(text, expected):
    assert said(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Partial resolution of the left effusion.", {"Effusion": 1}),
        ("Near-complete resolution of the effusion.", {"Effusion": 1}),
        ("Incomplete clearing of the infiltrate.", {"Infiltration": 1}),
        ("Resolution of the effusion.", {"Effusion": 0}),
        ("Follow up to ensure resolution of consolidation.", {}),
        ("Document resolution of pneumonia.", {}),
        ("The effusion is gone.", {"Effusion": 0}),
        ("The effusion is almost gone.", {"Effusion": 1}),
        ("The effusion has largely resolved.", {"Effusion": 1}),
        ("Substantial clearing of the edema.", {"Edema": 1}),
        ("Query small effusion.", {"Effusion": -1}),
        ("Small effusion vs pleural thickening.", {"Effusion": -1, "Pleural_Thickening": -1}),
        ("The effusion has disappeared.", {"Effusion": 0}),
        ("? small effusion", {"Effusion": -1}),
        ("Small effusion?", {"Effusion": -1}),
        ("Not much change in pulmonary oedema.", {"Edema": 1}),
        ("RLL PNA.", {"Pneumonia": 1}),
        ("Mild CHF.", {"Edema": 1}),
        ("Heart size is stable, remaining enlarged.", {"Cardiomegaly": 1}),
    ],
)
def test_words_that_were_read_wrongly(text, expected):
    assert said(text) == expected


@pytest.mark.parametrize(
    ("text", "mention", "cue"),
    [
        ("Pleural effusion: none", "effusion", "none"),
        ("Effusion | small\nMass | absent", "Mass", "absent"),
        ("Pneumothorax: [ ] Yes [x] No", "Pneumothorax", "No"),
        ("Negative for:\n- effusion", "effusion", ""),
        ("Effusion:\n- not seen", "Effusion", "not seen"),
    ],
)
def test_positions_are_those_of_the_text(text, mention, cue):
    denied = [one for one in explain(text).mentions if one.state == 0]
    assert [(text[one.start : one.end], text[one.cue_start : one.cue_end]) for one in denied] == [(mention, cue)]


def test_joined_heading_and_item_have_a_span_over_both():
    text = "Heart:\n- Normal size"
    (mention,) = explain(text).mentions
    assert (mention.pathology, mention.state) == ("Cardiomegaly", 0)
    assert text[mention.start : mention.end] == "Heart:\n- Normal"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Pneumonia: history of", {}),
        ("No effusion: stable.", {"Effusion": 0}),
        ("Pneumothorax: no pneumothorax", {"Pneumothorax": 0}),
        ("Effusion: none on the right, small on the left", {"Effusion": 1}),
        ("Effusion: none on the right, none on the left", {"Effusion": 0}),
        ("[ ] No effusion", {}),
        ("[x] No effusion", {"Effusion": 0}),
        ("No evidence of:\n- effusion\nCardiomegaly", {"Effusion": 0, "Cardiomegaly": 1}),
        ("Absent: effusion, mass", {"Effusion": 0, "Mass": 0}),
        ("Possible:\n- mass", {"Mass": -1}),
        ("Yes / No effusion", {"Effusion": 0}),
        ("Effusion: yes / no", {}),
        ("Effusion\n[ ] Yes\n[x] No", {"Effusion": 0}),
        ("Effusion\n[ ] Yes\n[ ] No", {}),
        ("Cardiomegaly\n[x] Effusion\n[ ] Mass", {"Cardiomegaly": 1, "Effusion": 1}),
        ("[\u2713] Effusion [\u2717] Mass", {"Effusion": 1, "Mass": 0}),
        ("Effusion: + Mass: 0", {"Effusion": 1, "Mass": 0}),
        ("Effusion: [ ] None\n          [x] Right", {"Effusion": 1}),
        ("Effusion: [x] None\n          [ ] Right", {"Effusion": 0}),
    ],
)
def test_question_and_answer(text, expected):
    assert said(text) == expected
