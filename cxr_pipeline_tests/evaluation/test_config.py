import pytest

from cxr_pipeline.errors import JobError
from cxr_pipeline.evaluation.config import EvaluateConfig


def test_nothing_is_shown_unless_the_user_says_so():
    assert EvaluateConfig().show_sources == []


@pytest.mark.parametrize("content", ['{"splits": ["holdout"]}', '{"splits": []}', '{"batch_size": 0}', '{"colour": 1}'])
def test_a_wrong_setting_is_refused(tmp_path, content):
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(JobError, match="is not a valid EvaluateConfig"):
        EvaluateConfig.read(path)


def test_settings_survive_the_file(tmp_path):
    config = EvaluateConfig(task="explain", show_sources=["nih"], per_class=3)
    (tmp_path / "config.json").write_text(config.model_dump_json())
    assert EvaluateConfig.read(tmp_path / "config.json") == config
