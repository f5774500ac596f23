import pytest
from pydantic import ValidationError

from ganaug.config import Params, load_params
from ganaug.errors import ParamsError

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

# Changes of the section train, each fine by itself, and why they do not go together.
REFUSED_TOGETHER = [
    (WGAN | {"train.family": "dcgan"}, "wgan_gp needs a gradient per image"),
    ({"train.family": "dcgan"}, "set r1_gamma, r2_gamma and gradient_penalty to 0"),
    (
        NO_PENALTY | {"train.family": "dcgan", "train.gradient_penalty": 10.0},
        "a gradient per image is not defined",
    ),
    (WGAN | {"train.gradient_penalty": 0.0}, "wgan_gp has no bound without its penalty"),
    (WGAN | {"train.r1_gamma": 1.0}, "r1_gamma and r2_gamma pull it to zero"),
    (WGAN | {"train.r2_gamma": 1.0}, "r1_gamma and r2_gamma pull it to zero"),
    ({"train.devices": 3}, "take a multiple of 24"),
    ({"train.devices": 2, "train.num_nodes": 2}, "take a multiple of 32"),
]


def test_the_shipped_params_load_and_are_frozen(shipped_params):
    assert isinstance(shipped_params, Params)
    with pytest.raises(ValidationError, match="frozen"):
        shipped_params.seed = 1


@pytest.mark.parametrize(("place", "value", "reason"), REFUSED)
def test_each_rule_refuses_a_bad_value_and_says_where_and_why(write_params, place, value, reason):
    with pytest.raises(ParamsError) as caught:
        load_params(write_params({place: value}))
    message = str(caught.value)
    assert f"{place}" in message
    assert reason in message
    assert "\n" not in message


@pytest.mark.parametrize(("changes", "reason"), REFUSED_TOGETHER)
def test_values_that_do_not_go_together_are_refused_with_the_reason(write_params, changes, reason):
    with pytest.raises(ParamsError) as caught:
        load_params(write_params(changes))
    message = str(caught.value)
    assert "params.yaml: train: " in message
    assert reason in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "changes", [WGAN, NO_PENALTY | {"train.family": "dcgan"}, {"train.devices": 2}]
)
def test_what_goes_together_is_taken(write_params, changes):
    assert load_params(write_params(changes)).train.batch_size == 16


def test_a_bad_value_is_shown(write_params):
    with pytest.raises(ParamsError, match="got 48"):
        load_params(write_params({"prepare.resolution": 48}))


def test_an_unknown_key_names_its_nearest_neighbour(write_params):
    with pytest.raises(
        ParamsError, match=r"prepare\.resolutoin: unknown key; did you mean 'resolution'\?"
    ):
        load_params(write_params({"prepare.resolutoin": 32}))
    with pytest.raises(ParamsError, match=r"evaluation: unknown key; did you mean 'evaluate'\?"):
        load_params(write_params({"evaluation": {}}))


def test_a_missing_key_is_named(write_params):
    path = write_params({})
    kept = [line for line in path.read_text().splitlines() if "val_fraction" not in line]
    path.write_text("\n".join(kept))
    with pytest.raises(ParamsError, match=r"prepare\.val_fraction: missing; every key must be"):
        load_params(path)


def test_all_problems_are_named_at_once(write_params):
    with pytest.raises(ParamsError, match=r"seed: .*; train\.kimg: "):
        load_params(write_params({"seed": -1, "train.kimg": -1}))


def test_fractions_that_leave_nothing_to_train_on_are_refused_by_both_names(write_params):
    changes = {"prepare.val_fraction": 0.5, "prepare.test_fraction": 0.45}
    with pytest.raises(ParamsError, match=r"val_fraction \+ test_fraction is 0\.95"):
        load_params(write_params(changes))


def test_numbers_as_dvc_writes_them_are_numbers(write_params):
    path = write_params({})
    path.write_text(path.read_text().replace("lr: 0.001 ", "lr: 1e-3 "))
    assert load_params(path).train.lr == 0.001


def test_lists_become_tuples(shipped_params):
    assert isinstance(shipped_params.train.augment, tuple)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("a: [", "not valid YAML"), ("", "should be an object"), ("- 1", "should be an object")],
)
def test_what_is_no_mapping_is_refused_in_one_line(tmp_path, text, reason):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(ParamsError) as caught:
        load_params(tmp_path / "p.yaml")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_says_where_to_run(tmp_path):
    with pytest.raises(ParamsError, match=r"p\.yaml: no such file; run from the folder"):
        load_params(tmp_path / "p.yaml")
