"""What was measured, as JSON."""

from __future__ import annotations

from engine.rates import Rate
from engine.records.json_of import rate_json


def test_a_rate_of_no_images_has_no_interval_either() -> None:
    assert rate_json("asr", Rate(0, 0)) == rate_json("asr", None) == {"asr": None, "asr_interval": None}
    assert rate_json("asr", Rate(0, 9)) == {"asr": 0.0, "asr_interval": list(Rate(0, 9).interval)}
