"""What goes wrong is said on stderr, word for word."""

import sys

import pytest

from cxr_pipeline.cli.main import main
from cxr_pipeline.cli.messages import print_warning


def test_error_of_a_command_shows_a_path_with_brackets_and_exits_with_1(tmp_path, monkeypatch, capsys):
    root = tmp_path / "scans [left] [bold]"
    root.mkdir()
    monkeypatch.setattr(sys, "argv", ["cxr", "labels", "nih", "--root", str(root)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 1
    assert "scans [left] [bold]" in capsys.readouterr().err.replace("\n", "")


def test_warning_is_one_line_however_long(capsys):
    print_warning("word [bold] " * 40)
    assert capsys.readouterr().err == f"warning: {'word [bold] ' * 40}\n"
