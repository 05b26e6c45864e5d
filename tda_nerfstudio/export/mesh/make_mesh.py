"""`tda export mesh`: one scene as a textured mesh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tda_nerfstudio.base.checks import require_between
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.export.files.mesh_files import mesh_files
from tda_nerfstudio.export.made import Made
from tda_nerfstudio.export.mesh.look import mesh_images
from tda_nerfstudio.export.mesh.shape import simplified
from tda_nerfstudio.export.mesh.texture import textured
from tda_nerfstudio.export.scores import scores
from tda_nerfstudio.export.subject import Subject
from tda_nerfstudio.export.surface import SIDE

Format = Literal["glb", "obj", "ply"]
SUFFIXES = {"glb": (".glb",), "obj": (".obj", ".mtl", ".jpg"), "ply": (".mesh.ply",)}
"""How files of each kind end."""


@dataclass(frozen=True)
class MeshOptions:
    """How fine a mesh, in which files."""

    faces: int = 8000
    texture: int = 512
    """Width and height of the texture in pixels."""
    side: int = SIDE
    formats: tuple[Format, ...] = ("glb",)

    def check(self) -> None:
        """Raise TdaError for what cannot be made."""
        if not self.formats:
            raise TdaError("--formats names no kind of file. Give glb, obj or ply.")
        require_between("faces", self.faces, 100, 1_000_000)
        require_between("texture", self.texture, 16, 8192)
        require_between("side", self.side, 16, 512)

    def names(self, scene: str) -> list[str]:
        """Name the files of a scene."""
        return [f"{scene}{suffix}" for kind in self.formats for suffix in SUFFIXES[kind]]


def make_mesh(subject: Subject, options: MeshOptions) -> Made:
    """Make a closed mesh of a scene, with its colours as a texture. Raises TdaError where it has no surface."""
    mesh = simplified(subject.surface(options.side), options.faces)
    made = textured(mesh, subject.views, options.texture, subject.tolerance)
    files = {}
    for kind in options.formats:
        files |= mesh_files(made, kind, subject.name)
    held_out = subject.held_out
    figures = scores(mesh_images(made, held_out.views.view, *held_out.views.size).to(held_out.views.rgb), held_out)
    return Made(files, figures | {"faces": len(made.faces), "closed": float(mesh.is_watertight)})
