"""The dataset through a DVC remote, as teams have them: a folder, and S3."""

import pytest

from tests.consumers import check_remote, s3_bucket
from tests.versioned import make_repo

pytestmark = pytest.mark.slow


@pytest.fixture
def repo(tmp_path):
    return make_repo(tmp_path / "repo")


def test_a_folder_hands_the_dataset_to_a_second_clone(repo, tmp_path):
    check_remote(repo, str(tmp_path / "remote"), tmp_path / "scratch")


def test_s3_hands_the_dataset_to_a_second_clone(repo, tmp_path):
    with s3_bucket("toy") as (url, endpoint):
        check_remote(repo, url, tmp_path / "scratch", endpoint)
