"""Where glTF's meshes are: the node tree, GPU instances, and skins in the pose of the file's nodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.making.models.gltf_file import GltfFile
from tda_nerfstudio.making.models.parts import MAX_PARTS, check_count


class Instance(NamedTuple):
    """A mesh in one place."""

    name: str
    mesh: dict[str, Any]
    matrix: Float[np.ndarray, "4 4"]
    """From the mesh's frame to the file's."""
    weights: list[float]
    """How far each morph target is applied."""
    joints: Float[np.ndarray, "joint 4 4"] | None = None
    """From the mesh's frame to the file's, for each joint; they move the vertices in place of `matrix`."""


def instances(file: GltfFile) -> Iterator[Instance]:
    """Give every instance of every mesh in the file's scene."""
    nodes, skins = file.tree.get("nodes", []), file.tree.get("skins", [])
    check_count(len(nodes), "nodes")
    check_count(sum(len(skin["joints"]) for skin in skins), "joints")
    matrices = _matrices(file, nodes)
    joints: dict[int, Float[np.ndarray, "joint 4 4"]] = {}
    for index, matrix in matrices.items():
        node = nodes[index]
        if "mesh" not in node:
            continue
        mesh = file.tree["meshes"][node["mesh"]]
        name, weights = str(node.get("name", f"node {index}")), node.get("weights", mesh.get("weights", []))
        copies = node.get("extensions", {}).get("EXT_mesh_gpu_instancing", {}).get("attributes")
        if "skin" in node:
            if copies:
                raise TdaError(f"'{name}' has a skin and EXT_mesh_gpu_instancing. Export it without instances.")
            if node["skin"] not in joints:
                joints[node["skin"]] = _joints(file, node["skin"], matrices)
            yield Instance(name, mesh, matrix, weights, joints[node["skin"]])
        else:
            for place in _copies(file, copies) if copies else (np.eye(4),):
                yield Instance(name, mesh, matrix @ place, weights)


def _matrices(file: GltfFile, nodes: list[dict[str, Any]]) -> dict[int, Float[np.ndarray, "4 4"]]:
    """Walk the node tree of the file's scene; without a scene, start from all nodes that have no parent."""
    if scenes := file.tree.get("scenes"):
        roots = scenes[file.tree.get("scene", 0)].get("nodes", [])
    else:
        children = {child for node in nodes for child in node.get("children", [])}
        roots = [index for index in range(len(nodes)) if index not in children]
    stack = [(index, np.eye(4)) for index in roots]
    matrices: dict[int, Float[np.ndarray, "4 4"]] = {}
    while stack:
        index, above = stack.pop()
        if index in matrices:
            raise TdaError(f"Node {index} has two parents or holds itself; nodes must be a tree. Export it again.")
        node = nodes[index]
        matrices[index] = above @ _transform(node)
        stack += [(child, matrices[index]) for child in node.get("children", [])]
    return matrices


def _transform(node: dict[str, Any]) -> Float[np.ndarray, "4 4"]:
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    quaternion = np.array(node.get("rotation", [0, 0, 0, 1]), np.float64)
    x, y, z, w = quaternion / max(float(np.linalg.norm(quaternion)), 1e-12)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation = np.eye(3) + 2 * w * cross + 2 * cross @ cross
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * np.array(node.get("scale", [1, 1, 1]), np.float64)
    matrix[:3, 3] = node.get("translation", [0, 0, 0])
    return matrix


def _copies(file: GltfFile, attributes: dict[str, int]) -> Iterator[Float[np.ndarray, "4 4"]]:
    """Give the transforms of EXT_mesh_gpu_instancing, counted first."""
    wanted = {"TRANSLATION": "VEC3", "ROTATION": "VEC4", "SCALE": "VEC3"}
    for index in attributes.values():
        check_count(file.count(index), "instances", MAX_PARTS)
    columns = {key.lower(): file.access(attributes[key], wanted[key]) for key in wanted if key in attributes}
    counts = {file.count(index) for index in attributes.values()}
    if len(counts) != 1:
        raise TdaError(f"EXT_mesh_gpu_instancing has attributes of {sorted(counts)} rows. Export it again.")
    for row in range(counts.pop()):
        yield _transform({key: values[row] for key, values in columns.items()})


def _joints(
    file: GltfFile, index: int, matrices: dict[int, Float[np.ndarray, "4 4"]]
) -> Float[np.ndarray, "joint 4 4"]:
    skin = file.tree["skins"][index]
    missing = [joint for joint in skin["joints"] if joint not in matrices]
    if missing:
        raise TdaError(f"Skin {index} is moved by node {missing[0]}, which is not in the scene. Export it again.")
    stand = np.stack([matrices[joint] for joint in skin["joints"]])
    if "inverseBindMatrices" not in skin:
        return stand
    binding = file.access(skin["inverseBindMatrices"], "MAT4").reshape(-1, 4, 4).transpose(0, 2, 1)
    if len(binding) < len(stand):
        raise TdaError(f"Skin {index} has {len(stand)} joints and {len(binding)} bind matrices. Export it again.")
    return stand @ binding[: len(stand)]


def skinned(
    vertices: Float[np.ndarray, "vertex 3"],
    normals: Float[np.ndarray, "vertex 3"] | None,
    joints: Float[np.ndarray, "joint 4 4"],
    named: Int[np.ndarray, "vertex influence"],
    weights: Float[np.ndarray, "vertex influence"],
) -> tuple[Float[np.ndarray, "vertex 3"], Float[np.ndarray, "vertex 3"] | None]:
    """Move vertices and normals by the weighted mean of their joints, or by the first joint without weights."""
    weights = np.where(weights.sum(1, keepdims=True) > 0, weights, np.eye(1, weights.shape[1]))
    named = np.where(weights > 0, named, 0)
    if named.size and not 0 <= named.min() <= named.max() < len(joints):
        raise TdaError(f"A skin names joint {named.max()} of {len(joints)}. Export it again.")
    weights = weights / weights.sum(1, keepdims=True)
    mixed = np.zeros((len(vertices), 3, 4))
    for joint, weight in zip(named.T, weights.T, strict=True):
        mixed += joints[joint, :3] * weight[:, None, None]
    vertices = np.einsum("nij,nj->ni", mixed[..., :3], vertices) + mixed[..., 3]
    if normals is None:
        return vertices, None
    a, b, c = (mixed[:, row, :3] for row in range(3))
    cofactors = np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], 1)  # the inverse transpose, times det
    side = np.where((a * cofactors[:, 0]).sum(1) < 0, -1, 1)
    return vertices, np.einsum("nij,nj->ni", cofactors, normals) * side[:, None]
