from harness.check.history import remember, remembered


def test_events_come_back_by_kata_and_kind(sums):
    remember(sums, "hint", level=1)
    remember(sums, "attempt", run=1)

    assert [entry["level"] for entry in remembered("sums", "hint")] == [1]
    assert remembered("lossspike", "hint") == []


def test_a_line_cut_off_by_a_full_disk_is_passed_over(sums, runs):
    remember(sums, "hint", level=1)
    with (runs / "attempts.jsonl").open("a") as file:
        file.write('{"kata": "sums", "ev\n')
    remember(sums, "hint", level=2)

    assert [entry["level"] for entry in remembered("sums", "hint")] == [1, 2]
