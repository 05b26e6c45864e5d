"""Files of splats: .ply as gsplat and INRIA's code write it, .splat of web viewers, .spz."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.export.files.ply import ply
from tda_nerfstudio.export.splats.gaussians import C0, Splats

BYTES = {"ply": 56, "splat": 32, "spz": 18}
"""Of a splat without harmonics; of .spz about, since it is compressed."""


def bytes_a_splat(kind: str, degree: int) -> int:
    """Give the bytes of a splat in a kind of file."""
    more = 3 * ((degree + 1) ** 2 - 1)
    return BYTES[kind] + {"ply": 4 * more, "splat": 0, "spz": more}[kind]


def splat_file(splats: Splats, kind: str, comments: Sequence[str]) -> bytes:
    """Write splats as a kind of file. Raises TdaError where .spz needs a package that is missing."""
    return {"ply": _ply, "splat": _splat, "spz": _spz}[kind](splats, comments)


def _ply(splats: Splats, comments: Sequence[str]) -> bytes:
    """Write x y z, f_dc, f_rest (channel by channel), logit of opacity, log scales, and rotation as w x y z."""
    columns = {name: _array(splats.means[:, i]) for i, name in enumerate("xyz")}
    columns |= {f"f_dc_{i}": _array(splats.harmonics[:, 0, i]) for i in range(3)}
    rest = splats.harmonics[:, 1:].transpose(1, 2).flatten(1)
    columns |= {f"f_rest_{i}": _array(rest[:, i]) for i in range(rest.shape[1])}
    columns |= {"opacity": _array(splats.logits)}
    columns |= {f"scale_{i}": _array(splats.log_scales[:, i]) for i in range(3)}
    turned = torch.nn.functional.normalize(splats.quats, dim=-1)
    columns |= {f"rot_{i}": _array(turned[:, i]) for i in range(4)}
    return ply(columns, comments)


def _splat(splats: Splats, comments: Sequence[str]) -> bytes:
    """Write 32 bytes a splat, the most visible first: position and scales in float32, RGBA and rotation in uint8."""
    scales, opacity = splats.log_scales.exp(), torch.sigmoid(splats.logits)
    order = (-opacity * scales.prod(1)).argsort(stable=True)
    rows = np.zeros(len(splats), [("at", "<f4", 3), ("scales", "<f4", 3), ("rgba", "u1", 4), ("turned", "u1", 4)])
    rows["at"], rows["scales"] = _array(splats.means[order]), _array(scales[order])
    colours = torch.cat([splats.harmonics[:, 0] * C0 + 0.5, opacity[:, None]], 1)[order]
    rows["rgba"] = _array((colours.clamp(0, 1) * 255).round())
    turned = torch.nn.functional.normalize(splats.quats, dim=-1)[order]
    rows["turned"] = _array((turned * 128 + 128).round().clamp(0, 255))
    return rows.tobytes()


def _spz(splats: Splats, comments: Sequence[str]) -> bytes:
    gsply = _gsply()
    data = gsply.GSData(
        means=_array(splats.means),
        scales=_array(splats.log_scales),
        quats=_array(torch.nn.functional.normalize(splats.quats, dim=-1)),
        opacities=_array(splats.logits),
        sh0=_array(splats.harmonics[:, 0]),
        shN=_array(splats.harmonics[:, 1:]),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "splats.spz"
        gsply.write_spz(path, data)
        return path.read_bytes()


def require_writer(kind: str) -> None:
    """Raise TdaError where a kind of file needs a package that is missing."""
    if kind == "spz":
        _gsply()


def _gsply():
    try:
        import gsply
    except ImportError as error:
        raise TdaError(
            "Files .spz are written by the package gsply, which is not installed. Run pip install 'tda_nerfstudio[spz]'"
            " (from a clone: pip install -e '.[spz]'), or choose --formats ply."
        ) from error
    return gsply


def _array(values: torch.Tensor) -> np.ndarray:
    return values.detach().float().cpu().numpy()
