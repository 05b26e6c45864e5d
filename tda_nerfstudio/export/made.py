"""What an export of one scene is: files, and figures about them."""

from __future__ import annotations

from dataclasses import dataclass, field

from tda_nerfstudio import __version__


@dataclass(frozen=True)
class Made:
    """Files of one scene by their names in the folder, the one that others belong to last, and figures to show."""

    files: dict[str, bytes]
    figures: dict[str, float] = field(default_factory=dict)
    """By heading."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(map(len, self.files.values()))


def header(name: str, axes: str) -> list[str]:
    """Say in a file what it is and where it stands."""
    return [f"{name}, made by tda_nerfstudio {__version__}", f"Positions in world units of the atlas. {axes}"]


WORLD = "Axes of the atlas' world: z up."
Y_UP = "Axes of glTF: y up; x y z are the atlas' x, z, -y."
FRAMES = {".glb": Y_UP, ".obj": Y_UP, ".ply": WORLD, ".splat": WORLD, ".spz": WORLD, "transforms.json": WORLD}
"""How files stand, by how their names end; .splat and .spz cannot say it themselves."""
