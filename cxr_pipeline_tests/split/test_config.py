import pytest
from pydantic import ValidationError

from cxr_pipeline.split.config import SplitConfig


def test_misspelt_source_is_refused_since_it_would_stay_in_training():
    with pytest.raises(ValidationError, match="padchset: not among the sources"):
        SplitConfig(external=["padchset"])


def test_source_cannot_be_external_and_hashed():
    with pytest.raises(ValidationError, match="nih: both external and hashed"):
        SplitConfig(external=["nih"], hashed=["nih"])


def test_sources_are_named_on_a_command_line_with_commas():
    assert SplitConfig.model_validate({"external": "nih, vindr"}).external == ["nih", "vindr"]
    assert SplitConfig.model_validate({"external": ""}).external == []
