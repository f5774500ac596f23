"""The dataset through a DVC remote, as teams have them: a folder, and S3."""

import pytest

from benchmarks.consumers import check_remote, s3_bucket

pytestmark = pytest.mark.slow


def test_a_folder_hands_the_dataset_to_a_second_clone(versioned, tmp_path):
    check_remote(versioned, str(tmp_path / "remote"), tmp_path / "scratch")


def test_s3_hands_the_dataset_to_a_second_clone(versioned, tmp_path):
    with s3_bucket("toy") as (url, endpoint):
        check_remote(versioned, url, tmp_path / "scratch", endpoint)
