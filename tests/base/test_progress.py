"""Progress of a part is told to the whole, and nothing is drawn then."""

from __future__ import annotations

from tda_nerfstudio.base.progress import progress_to, track


def test_in_a_longer_job_progress_is_told_and_not_drawn(capsys) -> None:
    told: list[tuple[str, float]] = []
    with progress_to(lambda what, share: told.append((what, share))):
        assert list(track([1, 2, 3, 4], "Learning")) == [1, 2, 3, 4]
        assert list(track(iter("ab"), "Reading")) == ["a", "b"]
        assert list(track([], "Nothing")) == []
    assert told == [*(("Learning", share) for share in (0.0, 0.25, 0.5, 0.75)), *[("Reading", 0.0)] * 2]
    assert list(track(range(2), "Alone")) == [0, 1] and len(told) == 6
    assert not capsys.readouterr().out
