import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from cxr_pipeline.cli.main import app
from cxr_pipeline.cli.reports import colour_text
from cxr_pipeline.errors import SourceFormatError
from cxr_pipeline.labels.reports import explain
from cxr_pipeline.pathologies import PATHOLOGIES

run = CliRunner().invoke


def test_explain_shows_states_and_the_words_that_decided():
    shown = run(app, ["reports", "explain", "No pleural effusion. Possible pneumonia."], env={"COLUMNS": "150"}).output
    assert any("Effusion" in line and "negative" in line and "No" in line for line in shown.splitlines())
    assert any("Pneumonia" in line and "uncertain" in line and "Possible" in line for line in shown.splitlines())


def test_positive_is_red_denied_is_green_and_a_cue_is_underlined():
    text = "No effusion. Cardiomegaly."
    spans = {text[span.start : span.end]: str(span.style) for span in colour_text(text, explain(text)).spans}
    assert spans["effusion"] == "green"
    assert spans["Cardiomegaly"] == "bold red"
    assert spans["No"] == "underline"


def test_file_of_reports_becomes_one_row_per_study(tmp_path: Path):
    (tmp_path / "in.csv").write_text('study_id,text\n7,"No effusion, or\nmass."\n8,Cardiomegaly.\n')
    result = run(app, ["reports", "label", str(tmp_path / "in.csv"), "--out", str(tmp_path / "out.parquet")])
    assert result.exit_code == 0, result.output
    states = pl.read_parquet(tmp_path / "out.parquet")
    assert states.columns == ["study_id", *PATHOLOGIES]
    assert states.select("study_id", "Effusion", "Mass", "Cardiomegaly").rows() == [
        ("7", 0, 0, None),
        ("8", None, None, 1),
    ]
    assert states.schema["Mass"] == pl.Int8
    assert "Cardiomegaly." not in json.dumps(result.output)


def test_missing_column_is_named_and_no_report_text_is_shown(tmp_path: Path):
    (tmp_path / "in.csv").write_text("study,report\n7,Secret text.\n")
    with pytest.raises(SourceFormatError, match="study_id") as error:
        run(
            app,
            ["reports", "label", str(tmp_path / "in.csv"), "--out", str(tmp_path / "out.parquet")],
            catch_exceptions=False,
        )
    assert "Secret" not in str(error.value)
