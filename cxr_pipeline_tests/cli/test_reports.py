import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from cxr_pipeline.cli.main import app
from cxr_pipeline.cli.reports import colour_text
from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.errors import SourceFormatError, TableError
from cxr_pipeline.labels.reports.labeler import explain
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms

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


def test_section_column_keeps_the_indication_out(tmp_path: Path):
    rows = "7,indication,Pneumonia.\n7,findings,No effusion.\n"
    (tmp_path / "in.csv").write_text(f"study_id,section,text\n{rows}")
    result = run(app, ["reports", "label", str(tmp_path / "in.csv"), "--out", str(tmp_path / "out.parquet")])
    assert result.exit_code == 0, result.output
    assert pl.read_parquet(tmp_path / "out.parquet").select("Pneumonia", "Effusion").rows() == [(None, 0)]


def test_missing_column_is_named_and_no_report_text_is_shown(tmp_path: Path):
    (tmp_path / "in.csv").write_text("study,report\n7,Secret text.\n")
    with pytest.raises(SourceFormatError, match="study_id") as error:
        run(
            app,
            ["reports", "label", str(tmp_path / "in.csv"), "--out", str(tmp_path / "out.parquet")],
            catch_exceptions=False,
        )
    assert "Secret" not in str(error.value)


def label(tmp_path: Path, text: str, *arguments: str, out: str = "out.csv"):
    (tmp_path / "in.csv").write_text(text)
    command = ["reports", "label", str(tmp_path / "in.csv"), "--out", str(tmp_path / out), *arguments]
    return run(app, command, catch_exceptions=False)


def test_suffix_of_out_decides_what_is_written(tmp_path: Path):
    text = "study_id,text\n7,No effusion.\n8,Possible mass.\n"
    label(tmp_path, text, out="out.parquet")
    label(tmp_path, text, out="OUT.CSV")
    lines = (tmp_path / "OUT.CSV").read_text().splitlines()
    assert lines[0] == ",".join(["study_id", *PATHOLOGIES])
    cells = dict(zip(lines[0].split(","), lines[1].split(","), strict=True))
    assert (cells["study_id"], cells["Effusion"], cells["Mass"]) == ("7", "0", "")
    kinds = {"study_id": pl.String, **dict.fromkeys(PATHOLOGIES, pl.Int8)}
    assert pl.read_csv(tmp_path / "OUT.CSV", schema=kinds).equals(pl.read_parquet(tmp_path / "out.parquet"))


def test_another_suffix_is_refused_before_anything_is_read(tmp_path: Path):
    with pytest.raises(TableError, match=r"out\.xlsx: expected a name that ends in \.csv or \.parquet"):
        label(tmp_path, "", out="out.xlsx")
    assert not (tmp_path / "out.xlsx").exists()


def test_columns_may_have_other_names_and_section_any_case(tmp_path: Path):
    rows = "7,Indication,Pneumonia.\n7,Findings,No effusion.\n"
    label(tmp_path, f"accession,SECTION,report\n{rows}", "--text-column", "report", "--id-column", "accession")
    (row,) = pl.read_csv(tmp_path / "out.csv").to_dicts()
    assert (row["study_id"], row["Pneumonia"], row["Effusion"]) == (7, None, 0)


@pytest.mark.parametrize("header", ["accession,report", "study_id,report", "study_id,section,Section,text"])
def test_columns_that_do_not_fit_are_refused_with_the_options_that_help(tmp_path: Path, header: str):
    with pytest.raises(SourceFormatError, match=f"{header.split(',')[-1]}.*--id-column and --text-column"):
        label(tmp_path, f"{header}\n" + ",".join("a" * (header.count(",") + 1)) + "\n")


@pytest.mark.parametrize(
    "text", ["- No effusion\n- Cardiomegaly", r"- No effusion\n- Cardiomegaly", "-No effusion\n-Cardiomegaly"]
)
def test_explain_takes_a_list_that_begins_with_a_dash(text: str):
    result = run(app, ["reports", "explain", text], env={"COLUMNS": "150"})
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert any("Effusion" in line and "negative" in line for line in lines)
    assert any("Cardiomegaly" in line and "positive" in line for line in lines)


def write_states(path: Path, rows: list[tuple[str, str, int | None, str]]) -> Path:
    kinds = {"study_id": pl.String, "class": pl.String, "state": pl.Int8, "source": pl.String}
    pl.DataFrame(rows, schema=kinds, orient="row").write_parquet(path)
    return path


def test_compare_shows_where_two_labelers_agree(tmp_path: Path):
    (tmp_path / "in.csv").write_text("study_id,text\n1,Cardiomegaly.\n2,No effusion.\n3,Cardiomegaly.\n")
    ours = tmp_path / "ours.parquet"
    assert run(app, ["reports", "label", str(tmp_path / "in.csv"), "--out", str(ours)]).exit_code == 0
    said = [("1", "Cardiomegaly", 1, "chexbert"), ("2", "Cardiomegaly", None, "chexbert")]
    said += [("3", "Cardiomegaly", 0, "chexbert"), ("9", "Mass", 1, "chexbert"), ("1", "Mass", 1, "llm")]
    theirs = str(write_states(tmp_path / "theirs.parquet", said))
    result = run(app, ["reports", "compare", theirs, "--against", str(ours)], env={"COLUMNS": "150"})
    assert result.exit_code == 0, result.output
    assert "chexbert: 4 studies, 1 of them not among ours" in result.output
    assert "llm: 1 studies" in result.output
    # One positive of both, one of ours alone, one of neither: kappa is 0.4.
    assert ["Cardiomegaly", "1", "1", "0", "1", "3", "0.400"] in [line.split() for line in result.output.splitlines()]
    one = run(app, ["reports", "compare", theirs, "--against", str(ours), "--source", "llm"]).output
    assert "chexbert" not in one


def test_compare_with_a_file_that_is_no_parquet_names_what_was_expected(tmp_path: Path):
    theirs = str(write_states(tmp_path / "theirs.parquet", [("1", "Mass", 1, "llm")]))
    (tmp_path / "in.csv").write_text("study_id,text\n1,Secret text.\n")
    with pytest.raises(SourceFormatError, match="study_id, Atelectasis") as error:
        run(app, ["reports", "compare", theirs, "--against", str(tmp_path / "in.csv")], catch_exceptions=False)
    assert "Secret" not in str(error.value)


def test_language_chooses_the_lexicon():
    stems = "no apreci derram pleural ."
    shown = run(app, ["reports", "explain", stems, "--language", "es"], env={"COLUMNS": "150"}).output
    assert any("Effusion" in line and "negative" in line for line in shown.splitlines())
    assert "Effusion" not in run(app, ["reports", "explain", stems]).output


def test_compare_without_our_states_says_what_to_make_first(tmp_path: Path):
    theirs = str(write_states(tmp_path / "theirs.parquet", [("1", "Mass", 1, "llm")]))
    with pytest.raises(TableError, match="raw/rexgradient first"):
        run(app, ["reports", "compare", theirs], env={"CXR_HOME": str(tmp_path / "home")}, catch_exceptions=False)


def test_imported_states_reach_the_labels_from_the_command_line(tmp_path: Path):
    home, root = tmp_path / "home", tmp_path / "rexgradient"
    write_phantoms(PhantomRequest("rexgradient", patients=6, seed=3, size=48), root, workers=1)
    studies = DATASETS["rexgradient"].read_images(root).select("study_id").unique(maintain_order=True).collect()
    states = write_states(tmp_path / "llm.parquet", [(study, "Hernia", 1, "llm") for study in studies["study_id"]])
    variables = {"CXR_HOME": str(home), "CXR_REXGRADIENT_ROOT": str(root), "CXR_REXGRADIENT_STATES": str(states)}
    out = str(tmp_path / "labels.parquet")

    def labels(**more: str) -> list[pl.DataFrame]:
        """As the lake has them, and as `--out` writes them."""
        for arguments in ([], ["--out", out]):
            result = run(app, ["labels", "rexgradient", *arguments], env=variables | more)
            assert result.exit_code == 0, result.output
        return [pl.read_parquet(home / "lake" / "labels" / "rexgradient.parquet"), pl.read_parquet(out)]

    compared, replaced = labels(), labels(CXR_REXGRADIENT_LABELER="llm")
    assert all((table["Hernia"] != 1).any() for table in compared)
    assert all((table["Hernia"] == 1).all() for table in replaced)
    shown = run(app, ["reports", "compare", str(states)], env=variables).output
    assert f"llm: {studies.height} studies, 0 of them" in shown
