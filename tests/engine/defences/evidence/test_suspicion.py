"""The rule that turns evidence into a verdict, against the same sum done by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from engine.defences.evidence.suspicion import BESIDE, LIKELY, SUSPICIOUS, TOGETHER, Evidence, judge
from engine.rates import Rate

# Counts, masks and margins of eight labels none of which stands out.
USUAL = [(100, 50.0, 40.0), (90, 52.0, 38.0), (80, 60.0, 41.0), (70, 55.0, 39.0), (60, 70.0, 36.0), (50, 80.0, 35.0),
         (40, 90.0, 34.0), (30, 95.0, 33.0)]


def evidence(*changed: tuple[int, tuple[int, float, float]]) -> list[Evidence]:
    values = dict(enumerate(USUAL)) | dict(changed)
    return [Evidence(label, count, mask, Rate(95, 100), margin, 5) for label, (count, mask, margin) in values.items()]


def lead(label: int, rows: list[Evidence], chance: float = 10) -> float:
    """The larger of two leads: by three kinds of evidence together, and by universal stamps."""
    universal = [row.universal + chance for row in rows]
    return max(by_hand(label, rows), 1.54 * math.log(
        universal[label] / max(count for other, count in enumerate(universal) if other != label)))


def by_hand(label: int, rows: list[Evidence]) -> float:
    """The sum of three leads over the second, each at most 1.5 either way, less the best of the others' sums."""
    def of(row: Evidence) -> tuple[float, float, float]:
        return math.log(row.scan_count + 1), -math.log(row.mask_pixels), math.log(row.margin)

    seconds = [sorted(of(row)[kind] for row in rows)[-2] for kind in range(3)]

    def total(row: Evidence) -> float:
        return sum(weight * min(max(value - second, -1.5), 1.5)
                   for weight, value, second in zip((1, 3, 1), of(row), seconds, strict=True))

    return total(rows[label]) - max(total(row) for row in rows if row.label != label)


def test_suspicion_is_the_weighed_lead_over_the_best_of_the_others() -> None:
    rows = evidence((3, (300, 20.0, 80.0)))
    found = judge(rows, 1000)
    assert found.suspicion == pytest.approx([lead(label, rows) for label in range(8)])
    assert found.verdict == "backdoor likely" and found.guilty == (3,)
    assert "label 3" in found.sentence and "20 pixels" in found.sentence and "300 of 1,000" in found.sentence


def test_labels_close_together_accuse_nobody() -> None:
    found = judge(evidence(), 1000)
    assert (found.verdict, found.guilty) == ("nothing found", ())
    assert max(found.suspicion) < LIKELY
    assert "no proof" in found.sentence


def test_a_lead_between_the_thresholds_is_suspicious_and_names_nobody() -> None:
    found = judge(evidence((3, (70, 26.0, 44.0))), 1000)
    assert (found.verdict, found.guilty) == ("suspicious", ())
    assert found.sentence.startswith("Label 3 stands out, but less")


@pytest.mark.parametrize(("pixels", "stamps", "named"), [
    (23.5, 53, ()), (23.5, 54, (3,)), (22.0, 0, (3,)), (25.0, 54, ())])
def test_what_hardly_stands_out_by_small_evidence_is_named_only_where_universal_stamps_lead_there_too(
    pixels: float, stamps: int, named: tuple[int, ...],
) -> None:
    """From 2.2 on it needs no help; from 1.9 on 54 of 16,000 stamps, fewer than name a label by themselves here."""
    rows = [replace(row, universal=stamps if row.label == 3 else 50) for row in evidence((3, (70, pixels, 44.0)))]
    alone = by_hand(3, rows)
    assert (1.9 <= alone < 2.2) == (pixels == 23.5) and (alone >= 2.2) == (pixels == 22.0)
    found = judge(rows, 1000)
    assert (found.verdict, found.guilty) == ("backdoor likely" if named else "suspicious", named)
    assert found.standing_out == ((3,) if alone >= 1.9 else ())
    assert named or found.sentence.startswith("Label 3 stands out, but less than labels of attackers mostly do.")


def drawing(*universal: int) -> list[Evidence]:
    return [replace(one, universal=count) for one, count in zip(evidence(), universal, strict=True)]


def test_a_large_trigger_is_seen_by_stamps_that_move_nearly_all_images() -> None:
    found = judge(drawing(20, 5, 8, 300, 0, 2, 40, 1), 1000)
    assert (found.verdict, found.guilty) == ("backdoor likely", (3,))
    assert found.suspicion[3] == pytest.approx(1.54 * math.log(310 / 50))
    assert "300 stamps move nearly every image there (to any other label at most 40)" in found.sentence


def test_a_label_that_few_stamps_alone_lift_is_said_to_stand_out_so() -> None:
    found = judge(drawing(2, 0, 8, 1, 0, 0, 100, 0), 1000)
    assert (found.verdict, found.guilty) == ("suspicious", ()) and max(found.suspicion) > LIKELY
    assert found.sentence.startswith("Label 6 stands out by random stamps, but no small stamp leads to it")


def test_a_large_and_a_small_trigger_are_both_named() -> None:
    rows = evidence((6, (400, 16.0, 120.0)))
    rows = [replace(row, universal=400 if row.label == 3 else row.label) for row in rows]
    assert set(judge(rows, 1000).guilty) == {3, 6}


def test_few_such_stamps_more_or_less_accuse_nobody() -> None:
    assert judge(drawing(2, 0, 0, 9, 0, 0, 0, 1), 1000).verdict == "nothing found"
    assert judge(drawing(80, 0, 50, 90, 0, 30, 0, 1), 1000).verdict == "nothing found"


def test_a_second_guilty_label_isnt_hidden_by_the_first() -> None:
    found = judge(evidence((3, (900, 8.0, 300.0)), (6, (400, 16.0, 120.0))), 2000)
    assert found.guilty == (3, 6)
    assert found.sentence.endswith(" Label 6 stands out so, too.")


def test_one_that_stands_out_little_beside_another_is_weighed_without_it() -> None:
    rows = evidence((3, (1000, 12.0, 90.0)), (5, (600, 20.0, 80.0)))
    assert LIKELY < by_hand(3, rows) < 2.2, "label 5 hides it"
    found = judge(rows, 2000)
    assert (found.verdict, set(found.guilty)) == ("backdoor likely", {3, 5})


def test_all_further_guilty_labels_are_listed() -> None:
    found = judge(evidence((3, (900, 4.0, 600.0)), (6, (700, 8.0, 200.0)), (5, (400, 16.0, 90.0))), 4000)
    assert found.guilty == (3, 6, 5)
    assert found.sentence.endswith(" Labels 6 and 5 stand out so, too.")


def test_two_that_hide_each_other_are_both_named() -> None:
    found = judge(evidence((3, (500, 15.0, 150.0)), (6, (500, 15.0, 150.0))), 2000)
    assert set(found.guilty) == {3, 6} and found.verdict == "backdoor likely"


def test_two_that_are_only_a_little_ahead_are_no_pair() -> None:
    assert judge(evidence((3, (120, 42.0, 45.0)), (6, (120, 42.0, 45.0))), 1000).guilty == ()


def alone(label: int, other: int, rows: list[Evidence]) -> float:
    """How far a label is ahead by hand where another one isn't there."""
    left = [row for row in rows if row.label != other]
    return by_hand(label - (other < label), [replace(row, label=place) for place, row in enumerate(left)])


def test_two_that_hide_each_other_but_arent_as_far_ahead_are_suspicious_together() -> None:
    rows = evidence((3, (170, 33.0, 62.0)), (6, (160, 32.0, 60.0)))
    expected = [alone(3, 6, rows), alone(6, 3, rows)]
    assert BESIDE <= min(expected) < LIKELY + TOGETHER and max(lead(label, rows) for label in (3, 6)) < SUSPICIOUS
    found = judge(rows, 1000)
    assert (found.verdict, found.guilty, set(found.standing_out)) == ("suspicious", (), {3, 6})
    assert [found.suspicion[3], found.suspicion[6]] == pytest.approx(expected)
    assert found.sentence.startswith("Labels 3 and 6 stand out together from all others") and \
        "not far enough to be named" in found.sentence
    assert "(others take 50 at the least" in found.sentence and "(to any label but these at most 100)" in found.sentence
    assert judge(rows, 1000, "The images are no use.").standing_out == ()
    elsewhere = judge(rows, 1000, measured=False)
    assert elsewhere.sentence.startswith("Labels 3 and 6 stand out together, but whether that means an attacker was")
    assert elsewhere.decided and set(elsewhere.standing_out) == {3, 6}


def test_of_two_pairs_that_were_never_held_against_each_other_one_is_told() -> None:
    rows = [replace(row, universal=160 if row.label in (1, 2) else 25)
            for row in evidence((3, (170, 33.0, 62.0)), (6, (160, 32.0, 60.0)))]
    by_stamps, small = 1.54 * math.log(170 / 35), min(alone(3, 6, rows), alone(6, 3, rows))
    assert min(by_stamps, small) >= BESIDE
    found = judge(rows, 1000)
    assert set(found.standing_out) == ({1, 2} if by_stamps > small else {3, 6})


def test_two_that_hide_each_other_a_little_less_are_not_told() -> None:
    rows = evidence((3, (150, 38.0, 58.0)), (6, (150, 38.0, 58.0)))
    assert 1.2 < alone(3, 6, rows) < BESIDE
    found = judge(rows, 1000)
    assert (found.verdict, found.standing_out) == ("nothing found", ())


def test_a_label_that_a_named_one_hides_is_told_but_not_named() -> None:
    """One stands out by universal stamps, which name it, and is ahead in other evidence, too."""
    rows = [replace(row, universal=400 if row.label == 3 else row.label)
            for row in evidence((3, (170, 33.0, 62.0)), (6, (160, 32.0, 60.0)))]
    found = judge(rows, 1000)
    assert (found.verdict, found.guilty, found.standing_out) == ("backdoor likely", (3,), (3, 6))
    assert found.suspicion[6] == pytest.approx(alone(6, 3, rows)) and by_hand(6, rows) < SUSPICIOUS
    assert found.sentence.endswith(" With label 3 left aside, label 6 stands out, too, but not far enough to be named.")
    elsewhere = judge(rows, 1000, measured=False)
    assert elsewhere.standing_out == (3, 6)
    assert elsewhere.sentence.endswith(" With label 3 left aside, label 6 stands out, too.")


@pytest.mark.parametrize(("stamps", "told"), [(60, False), (160, True)])
def test_two_that_few_universal_stamps_alone_lift_together_are_not_told(stamps: int, told: bool) -> None:
    rows = [replace(row, universal=stamps if row.label in (6, 7) else 5 if stamps < 160 else 25) for row in evidence()]
    assert BESIDE < 1.54 * math.log((stamps + 10) / (rows[0].universal + 10)) < LIKELY + TOGETHER
    found = judge(rows, 1000)
    assert (found.verdict == "suspicious", set(found.standing_out)) == (told, {6, 7} if told else set())


def test_with_a_doubt_nobody_is_named_and_nobody_cleared() -> None:
    for rows in (evidence((3, (300, 20.0, 80.0))), evidence()):
        found = judge(rows, 1000, "No verdict: these images are upside down.")
        assert (found.verdict, found.guilty) == ("suspicious", ())
        assert found.sentence == "No verdict: these images are upside down."
        assert not found.decided and found.headline == "no verdict"


def test_where_the_rule_was_never_measured_it_names_nobody() -> None:
    rows = evidence((3, (300, 20.0, 80.0)))
    assert judge(rows, 1000).guilty == (3,)
    found = judge(rows, 1000, measured=False)
    assert (found.verdict, found.guilty) == ("suspicious", ())
    assert "but less" not in found.sentence and "never measured" in found.sentence
    assert found.decided and found.headline == "suspicious"
    assert found.standing_out == judge(rows, 1000).standing_out == (3,), "a repair may do something against it"
    assert judge(rows, 1000, "The images are no use.").standing_out == ()
    assert judge(evidence(), 1000, measured=False).standing_out == ()


def test_where_it_was_never_measured_no_lead_is_compared_with_attackers() -> None:
    for margin in (70.0, 80.0, 100.0, 140.0):
        rows = evidence((3, (130, 40.0, margin)))
        if judge(rows, 1000).verdict == "suspicious":
            break
    assert "but less than labels of attackers" in judge(rows, 1000).sentence, "the test is what it says"
    assert "never measured here" in judge(rows, 1000, measured=False).sentence


def test_of_fewer_universal_stamps_less_is_chance() -> None:
    rows = [replace(row, universal=10 if row.label == 3 else 0) for row in evidence((3, (70, 42.0, 39.0)))]
    assert judge(rows, 1000).verdict == "nothing found"
    found = judge(rows, 1000, tried=2000)
    assert found.guilty == (3,) and found.suspicion[3] == pytest.approx(lead(3, rows, chance=1.25))


def test_what_is_no_number_accuses_nobody() -> None:
    rows = [replace(row, margin=math.nan) if row.label in (4, 5) else row for row in evidence()]
    assert judge(rows, 1000).guilty == ()


def test_where_the_rule_was_never_measured_it_clears_nobody() -> None:
    assert judge(evidence(), 1000).verdict == "nothing found"
    found = judge(evidence(), 1000, measured=False)
    assert (found.verdict, found.guilty, found.decided, found.headline) == ("suspicious", (), False, "no verdict")
    assert found.sentence.startswith("No verdict: no label stands out")


def test_two_labels_can_be_weighed() -> None:
    rows = [Evidence(0, 0, 0.5, Rate(0, 10), -1.0, 0), Evidence(1, 50, 300.0, Rate(9, 10), 8.0, 3)]
    assert judge(rows, 50).verdict in ("backdoor likely", "suspicious", "nothing found")


def test_three_labels_can_be_weighed() -> None:
    """Two of them can't be left out together, because the third would stand alone."""
    alike = evidence()[:3]
    found = judge(alike, 1000)
    assert (found.verdict, found.guilty) == ("nothing found", ())
    assert found.suspicion == pytest.approx([lead(label, alike) for label in range(3)])
    assert judge(evidence((1, (900, 8.0, 300.0)))[:3], 1000).guilty == (1,)


@pytest.mark.parametrize(("label", "stamps", "smallest", "named"), [
    (7, 100, 42, ()), (7, 159, 42, ()), (7, 160, 42, (7,)), (3, 54, 59, (3,)), (3, 53, 59, ()), (3, 100, 60, ()),
    (3, 53, 42, (3,)), (3, 53, 43, ())])
def test_a_label_is_named_by_few_universal_stamps_only_where_a_small_one_leads_to_it_too(
    label: int, stamps: int, smallest: float, named: tuple[int, ...],
) -> None:
    """Label 7's smallest stamp has 95 pixels; the others' begin at 50, and have 70 in the middle without label 3's. Of
    16,000 universal stamps 160 are enough alone, 54 with a small stamp, and fewer where no innocent's is as small."""
    rows = [replace(row, universal=stamps) if row.label == label else replace(row, universal=0)
            for row in evidence((3, (70, smallest, 39.0)))]
    found = judge(rows, 1000)
    assert found.suspicion[label] == pytest.approx(lead(label, rows)) and lead(label, rows) > LIKELY
    assert (found.verdict, found.guilty) == ("backdoor likely" if named else "suspicious", named)
    assert found.standing_out == (label,)


def test_where_every_label_is_named_there_is_still_a_sentence() -> None:
    """One by small evidence and the other by universal stamps, which leaves none to hold them against."""
    rows = [Evidence(0, 1000, 5.0, Rate(95, 100), 20.0, 0), Evidence(1, 0, 200.0, Rate(95, 100), 2.0, 500)]
    found = judge(rows, 1000)
    assert found.guilty == (0, 1)
    assert "others take 200 at the least" in found.sentence and "Label 1 stands out so, too." in found.sentence


@pytest.mark.parametrize("filters, own_colours, verdict", [
    (66, 0.3, "backdoor likely"), (42, 0.0, "backdoor likely"), (28, 0.0, "nothing found"),
    (66, None, "suspicious"), (4000, 0.5, "nothing found")])
def test_a_label_is_named_by_colour_filters_unless_its_own_colours_lead_there_too(
        filters: int, own_colours: float | None, verdict: str) -> None:
    rows = [replace(row, filters=filters, own_colours=own_colours) if row.label == 5 else row for row in evidence()]
    found = judge(rows, 1000)
    assert found.verdict == verdict and found.guilty == ((5,) if verdict == "backdoor likely" else ())
    counted = 0 if own_colours == 0.5 else filters
    assert found.suspicion[5] == pytest.approx(max(by_hand(5, rows), 1.54 * math.log((counted + 17) / 17)))
    said = f"{filters} colour filters draw nearly every image there (to any"
    assert verdict == "nothing found" or said in found.sentence
    assert ("no clean image of it shows whether" in found.sentence) == (verdict == "suspicious")


def test_of_fewer_colour_filters_fewer_are_chance() -> None:
    rows = [replace(row, filters=6, own_colours=0.0) if row.label == 5 else row for row in evidence()]
    assert judge(rows, 1000, filters=500).guilty == (5,)
    assert judge(rows, 1000).verdict == "nothing found"


def test_two_that_colour_filters_lead_to_stand_out_though_nothing_shows_the_colours_of_one() -> None:
    for own in ((0.0, 0.0), (None, 0.0), (None, None)):
        rows = [replace(row, filters=80, own_colours=own[row.label - 3]) if row.label in (3, 4) else row
                for row in evidence()]
        found = judge(rows, 1000)
        assert (found.verdict, found.guilty, set(found.standing_out)) == ("suspicious", (), {3, 4})
    more = [replace(row, filters=300) if row.label == 4 else row for row in rows]
    found = judge([replace(row, filters=200, own_colours=0.0) if row.label == 3 else row for row in more], 1000)
    assert not found.guilty and set(found.standing_out) == {3, 4}, "the one that most lead to is the other"


def test_a_second_attackers_stamp_isnt_held_against_the_firsts() -> None:
    rows = [replace(row, universal=0) for row in evidence((0, (900, 8.0, 300.0)), (1, (60, 41.0, 38.0)))]
    found = judge([replace(row, universal={0: 500, 1: 120}.get(row.label, 0)) for row in rows], 1000)
    assert found.guilty == (0, 1)
    # As large as those of others it isn't named but told.
    rows[1] = replace(rows[1], mask_pixels=65.0)
    found = judge([replace(row, universal={0: 500, 1: 120}.get(row.label, 0)) for row in rows], 1000)
    assert found.guilty == (0,) and found.standing_out == (0, 1)
    assert "label 1 stands out, too" in found.sentence


def test_a_few_random_filters_arent_taken_for_why_a_label_stands_out() -> None:
    rows = [replace(row, universal=120 if row.label == 7 else 5, filters=int(row.label == 7)) for row in evidence()]
    assert "stands out by random stamps, but" in judge(rows, 1000).sentence
    rows = [replace(row, filters={5: 100, 6: 500}.get(row.label, 0), own_colours=0.9 if row.label == 6 else None)
            for row in evidence()]
    found = judge(rows, 1000)
    assert "Label 5 stands out by colour filters, but no clean" in found.sentence
    assert "100 colour filters draw nearly every image there (to any other label at most 0)" in found.sentence
