from harness.judging.verdict import Judges


def test_a_judge_that_knows_the_seed_is_preferred_and_none_is_lent_twice(sums):
    with Judges(sums.folder) as judges:
        with judges.one(0) as first, judges.one(1) as second:
            assert first is not second
        with judges.one(0) as again:
            assert again is first
        with judges.one(1) as again:
            assert again is second
