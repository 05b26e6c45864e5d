"""Memory and training time per scene of N scenes, by the formulas of the paper (2403.11678)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tda_nerfstudio.studies.rows import RunRow

MIB = 2**20
PUBLISHED_PARTS = {"m_mic": 491_520, "m_w": 200, "m_B": 54_070_000, "m_AE": 334_600_000, "m_MLP": 9_748}
"""Bytes of the parts of 3Da-AE as published, in float32 (Sec. 4 of 2403.11678)."""
PUBLISHED_RGB_BYTES = 1_572_864
"""Bytes of an RGB Tri-Plane as published."""
PUBLISHED_RGB_MINUTES = 64.3
"""Minutes of training for an RGB Tri-Plane as published (ShapeNet cars, 128 x 128)."""
PUBLISHED_MINUTES = {"3Da-AE": 0.14 * PUBLISHED_RGB_MINUTES, "Fused-Planes": 8.96}
"""Minutes per scene as published, for N = 1000.

3Da-AE takes 86 % less than an RGB Tri-Plane. Fused-Planes is its successor.
"""
PUBLISHED_N = 1000


def memory(parts: Mapping[str, float], scenes: float) -> float:
    """Compute the bytes per scene of N scenes, m(N) = m_mic + m_w + (m_B + m_AE + m_MLP) / N."""
    return parts["m_mic"] + parts["m_w"] + (parts["m_B"] + parts["m_AE"] + parts["m_MLP"]) / scenes


def minutes(row: RunRow) -> Callable[[float], float] | None:
    """Make the function t(N) = (t_stage1(N1) + (N - N1) t_stage2) / N of a run: minutes per scene for N >= N1.

    A run without a stage 1 (RGB Tri-Planes) takes the same time for every scene. Returns None for a stage 1 alone, and
    for a run of which a part is not known.
    """
    each, first = row.minutes_per_scene, row.stage_one
    if each is None or row.method == "tda-ae":
        return None
    if not first:
        return lambda scenes: each
    seconds, known = first.get("seconds"), first.get("scenes")
    if seconds is None or not known:
        return None
    return lambda scenes: (seconds / 60 + (scenes - known) * each) / scenes
