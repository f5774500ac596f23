import re

import pytest
from pydantic import ValidationError

from ganaug.config import Params, load_params
from ganaug.errors import ParamsError
from tests.refusal import refuses

# One value that each rule refuses, and what the message must name besides the place.
REFUSED = [
    ("seed", -1, "greater than or equal to 0"),
    ("seed", 1.5, "integer"),
    ("seed", "3", "integer"),
    ("prepare.source", "imagenet", "elpv"),
    ("prepare.resolution", 48, "32"),
    ("prepare.resolution", True, "16"),
    ("prepare.channels", 4, "3"),
    ("prepare.val_fraction", 0, "greater than 0"),
    ("prepare.test_fraction", 1, "less than 1"),
    ("prepare.train_fraction", 0, "greater than 0"),
    ("prepare.keep_train", {"cat": 0}, "greater than or equal to 1"),
    ("prepare.max_reject_fraction", 1.01, "less than or equal to 1"),
    ("prepare.elpv.defect_threshold", 0, "greater than 0"),
    ("prepare.files.people", "yes", "boolean"),
    ("train.family", "biggan", "r3"),
    ("train.kimg", 0, "greater than 0"),
    ("train.batch_size", 12, "multiple of 8"),
    ("train.batch_size", 0, "greater than or equal to 8"),
    ("train.z_dim", 1, "greater than or equal to 2"),
    ("train.lr", "fast", "number"),
    ("train.augment", ["rotate"], "translate"),
    ("train.augment_probability", 1.0, "less than or equal to 0.8"),
    ("train.class_exponent", -0.5, "greater than or equal to 0"),
    ("generate.strategy", "double", "balance"),
    ("generate.max_draws_per_image", 0, "greater than or equal to 1"),
    ("evaluate.num_repetitions", 1, "greater than or equal to 2"),
    ("evaluate.networks", [], "at least 1"),
    ("evaluate.networks", ["cnn", "cnn"], "each once"),
    ("evaluate.networks", ["resnet"], "'cnn', 'linear' or 'efficientnet'"),
    ("evaluate.shares", [0.5, 0.2], "must rise"),
    ("evaluate.shares", [0, 0.5], "greater than 0"),
    ("evaluate.shares", [0.5, 1], "less than 1"),
    ("evaluate.classical.max_shift", 0.6, "less than or equal to 0.5"),
    ("evaluate.classical.max_scale", 1, "less than 1"),
    ("evaluate.classical.max_rotation", -5, "greater than or equal to 0"),
    ("evaluate.classical.max_brightness", 5, "less than or equal to 1"),
    ("evaluate.classical.max_contrast", "low", "number"),
    ("merge.name", "Solar Cells", "pattern"),
    ("merge.on_reject", "ignore", "real_only"),
]

NO_PENALTY = {"train.r1_gamma": 0.0, "train.r2_gamma": 0.0}
WGAN = NO_PENALTY | {"train.loss": "wgan_gp", "train.gradient_penalty": 10.0}
DCGAN = NO_PENALTY | {"train.family": "dcgan"}

# Changes of the section train, each fine by itself, and why they do not go together.
REFUSED_TOGETHER = [
    (WGAN | {"train.family": "dcgan"}, "wgan_gp needs a gradient per image"),
    ({"train.family": "dcgan"}, "set r1_gamma, r2_gamma and gradient_penalty to 0"),
    (DCGAN | {"train.gradient_penalty": 10.0}, "a gradient per image is not defined"),
    (WGAN | {"train.gradient_penalty": 0.0}, "wgan_gp has no bound without its penalty"),
    (WGAN | {"train.r1_gamma": 1.0}, "r1_gamma and r2_gamma pull it to zero"),
    (WGAN | {"train.r2_gamma": 1.0}, "r1_gamma and r2_gamma pull it to zero"),
    ({"train.devices": 3}, "take a multiple of 24"),
    ({"train.devices": 2, "train.num_nodes": 2}, "take a multiple of 32"),
]


def test_the_shipped_params_load_and_are_frozen(shipped_params):
    assert isinstance(shipped_params, Params)
    assert isinstance(shipped_params.train.augment, tuple)
    with pytest.raises(ValidationError, match="frozen"):
        shipped_params.seed = 1


def test_each_rule_refuses_a_bad_value_and_says_where_and_why(write_params):
    for place, value, reason in REFUSED:
        path = write_params({place: value})
        refuses(ParamsError, f"{re.escape(place)}.*{re.escape(reason)}", load_params, path)


def test_values_that_do_not_go_together_are_refused_with_the_reason(write_params):
    for changes, reason in REFUSED_TOGETHER:
        path = write_params(changes)
        refuses(ParamsError, f"params.yaml: train: .*{re.escape(reason)}", load_params, path)
    for changes in (WGAN, DCGAN, {"train.devices": 2}):
        assert load_params(write_params(changes)).train.batch_size == 16


def test_what_is_wrong_is_shown_with_its_remedy(write_params):
    fractions = {"prepare.val_fraction": 0.5, "prepare.test_fraction": 0.45}
    for changes, match in (
        ({"prepare.resolution": 48}, "got 48"),
        ({"prepare.resolutoin": 32}, r"e\.resolutoin: unknown key; did you mean 'resolution'\?"),
        ({"evaluation": {}}, r"evaluation: unknown key; did you mean 'evaluate'\?"),
        ({"seed": -1, "train.kimg": -1}, r"seed: .*; train\.kimg: "),  # all at once
        (fractions, r"val_fraction \+ test_fraction is 0\.95"),
        ({"evaluate.shares": [0.02]}, r"0\.02 of a batch of 32 holds no image; .* 0\.03125"),
    ):
        refuses(ParamsError, match, load_params, write_params(changes))


def test_files_that_lack_a_key_or_are_no_mapping_are_refused(write_params, tmp_path):
    path = write_params({})
    kept = [line for line in path.read_text().splitlines() if "val_fraction" not in line]
    for text, match in (
        ("\n".join(kept), r"prepare\.val_fraction: missing; every key must be"),
        ("a: [", "not valid YAML"),
        ("", "should be an object"),
        ("- 1", "should be an object"),
    ):
        path.write_text(text)
        refuses(ParamsError, match, load_params, path)
    refuses(ParamsError, r"p\.yaml: no such file; run from", load_params, tmp_path / "p.yaml")


def test_numbers_as_dvc_writes_them_are_numbers(write_params):
    path = write_params({})
    path.write_text(path.read_text().replace("lr: 0.001 ", "lr: 1e-3 "))
    assert load_params(path).train.lr == 0.001
