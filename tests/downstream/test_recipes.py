import itertools
from dataclasses import asdict, replace

from ganaug.downstream.recipes import (
    ARMS,
    LOWER_WEIGHT,
    PLAIN,
    TEACHER,
    Recipe,
    with_synthetic,
    without_synthetic,
)

SHARES = (0.12, 0.125, 0.2, 0.5)


def candidates():
    """All that any network may meet, arms included."""
    found = [*ARMS.values(), *without_synthetic(mixes=True)]
    found += [replace(recipe, soft_labels=True) for recipe in found if not recipe.share]
    for base, in_steps in itertools.product(found[:], (False, True)):
        if not base.share:
            found += with_synthetic(
                base, SHARES, lopsided=True, in_steps=in_steps, soft_labels=True
            )
    return found


def test_a_name_and_its_words_tell_recipes_apart():
    by_name = {recipe.name: recipe for recipe in candidates()}
    assert len(by_name) == len(set(candidates())) > 50
    assert all(by_name[recipe.name] == recipe for recipe in candidates())
    assert len({recipe.words for recipe in by_name.values()}) == len(by_name)


def test_names_are_short_and_words_read_in_a_sentence():
    assert (PLAIN.name, PLAIN.words) == ("as-they-come", "classes as they come")
    by_need = Recipe(share=0.5, by_need=True)
    assert by_need.name == "balanced+classical+50%-by-need"
    assert by_need.words.endswith("50% of each batch synthetic, less in classes with many images")
    recipe = Recipe(mixup=True, soft_labels=True, share=0.2, schedule="first", weight=0.3)
    assert recipe.name == "balanced+classical+mixup+soft_labels+20%-first+weight-0.3"
    assert recipe.words == (
        "classes drawn equally often, classical augmentation, mixup, soft labels, "
        "20% of each batch synthetic in the first 70% of the steps, synthetic images weighted 0.3"
    )


def test_a_recipe_comes_back_from_its_fields():
    assert all(Recipe(**asdict(recipe)) == recipe for recipe in candidates())


def test_the_amount_grows_with_share_steps_and_weight():
    mix, first, lowered, more = (
        Recipe(share=0.2),
        Recipe(share=0.2, schedule="first"),
        Recipe(share=0.2, weight=LOWER_WEIGHT),
        Recipe(share=0.5),
    )
    amounts = [recipe.amount() for recipe in (TEACHER, lowered, first, mix, more, ARMS["E"])]
    assert amounts == sorted(set(amounts))
    assert (amounts[0], amounts[-1]) == (0, 1)
    assert more.amount(need=0.1) < lowered.amount()


def test_candidates_without_synthetic_images_have_none():
    for mixes in (False, True):
        found = without_synthetic(mixes=mixes)
        assert TEACHER in found  # its runs are those of the teachers
        assert len(found) == len(set(found)) == (6 if mixes else 2)
        assert not any(recipe.share or recipe.soft_labels for recipe in found)
        assert any(recipe.mixup for recipe in found) is mixes
        assert any(recipe.cutmix for recipe in found) is mixes
        assert not any(recipe.mixup and recipe.cutmix for recipe in found)


def test_candidates_with_them_change_nothing_else_of_their_base():
    for base in [*without_synthetic(mixes=True), Recipe(soft_labels=True)]:
        for names in itertools.product((False, True), repeat=3):
            flags = dict(zip(("in_steps", "soft_labels", "lopsided"), names, strict=True))
            found = with_synthetic(base, SHARES, **flags)
            assert any(recipe.by_need for recipe in found) is flags["lopsided"]
            assert len(found) == len(set(found))
            for recipe in found:
                assert 0 < recipe.share < 1
                plain = replace(recipe, share=0, by_need=False, schedule="mix", weight=1)
                assert replace(plain, soft_labels=base.soft_labels) == base


def test_soft_labels_and_schedules_are_tried_only_where_they_mean_something():
    def tried(base, *, in_steps, soft_labels):
        how = {"lopsided": False, "in_steps": in_steps, "soft_labels": soft_labels}
        found = with_synthetic(base, SHARES, **how)
        return [r for r in found if r.soft_labels], [r for r in found if r.schedule == "first"]

    plain, first = tried(TEACHER, in_steps=True, soft_labels=False)
    assert (plain, len(first)) == ([], len(SHARES))
    (soft,), _ = tried(TEACHER, in_steps=True, soft_labels=True)
    assert soft.share == SHARES[0]
    everywhere, _ = tried(replace(TEACHER, soft_labels=True), in_steps=True, soft_labels=False)
    assert len(everywhere) == 2 * len(SHARES) + 1  # the base has them, so all do; none twice
    assert tried(TEACHER, in_steps=False, soft_labels=False) == ([], [])
