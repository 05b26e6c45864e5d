"""The background that all images are put on: white.

Another colour needs changes elsewhere, too: `measure_background` of the autoencoders and the weights that ship with the
package, `alpha_color` in the dataparser, and the silhouettes in bounds.py. Raise FORMAT in latent_cache.py and in
prepared.py (_FORMAT) then, so that what was kept on white is made anew.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, UInt8

WHITE = 255
"""8-bit sRGB value of the background in each channel."""


def on_white(rgba: UInt8[np.ndarray, "height width 4"]) -> UInt8[np.ndarray, "height width 3"]:
    """Composite straight alpha in sRGB on white: rgb * a + (1 - a)."""
    wide = rgba.astype(np.uint16)  # 255 * 255 + 127 still fits
    rgb, alpha = wide[..., :3], wide[..., 3:]
    return ((rgb * alpha + WHITE * (255 - alpha) + 127) // 255).astype(np.uint8)


def premultiplied_on_white(rgba: Float32[np.ndarray, "height width 4"]) -> UInt8[np.ndarray, "height width 3"]:
    """Composite colours that are multiplied by alpha already, both up to 255, on white; round to whole numbers."""
    return (rgba[..., :3] + (WHITE + 0.5 - rgba[..., 3:])).clip(0, 255).astype(np.uint8)
