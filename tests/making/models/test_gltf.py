"""glTF and GLB: what small files look like, and what hostile ones are told."""

from __future__ import annotations

import base64
import json
import math
import struct
import zlib

import numpy as np
import pytest
from make_models import QUAD, png, quad_glb, see, textured, tree, write_glb

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.making.models import parts
from tda_nerfstudio.making.models.files import read_model

CORNERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [200, 100, 50]]], np.uint8)
CENTRES = ((4, 4), (4, 11), (11, 4), (11, 11))
"""Pixels in the middle of the quad's quarters: upper left, upper right, lower left, lower right."""


def quarters(image: np.ndarray) -> np.ndarray:
    return image[tuple(np.array(CENTRES).T)]


def blocks(pixels: np.ndarray = CORNERS, size: int = 8) -> np.ndarray:
    return pixels.repeat(size, 0).repeat(size, 1)


def test_a_textured_quad_shows_its_texture_upright_and_unchanged(tmp_path):
    image = see(quad_glb(tmp_path / "a.glb", textured(), [png(blocks())]))
    np.testing.assert_array_equal(quarters(image), np.concatenate([CORNERS.reshape(4, 3), np.full((4, 1), 255)], 1))
    alpha = np.zeros((16, 16))
    alpha[2:14, 2:14] = 255
    np.testing.assert_array_equal(image[..., 3], alpha)


def test_base_colour_factors_are_linear_and_textures_srgb(tmp_path):
    factor = {"baseColorFactor": [0.5, 0.002, 1.0, 1.0]}
    plain = see(quad_glb(tmp_path / "a.glb", {"pbrMetallicRoughness": factor}))
    assert plain[8, 8].tolist() == [188, 7, 255, 255]  # sRGB of 0.5 is 0.7354, of 0.002 is 0.02584
    both = {"pbrMetallicRoughness": factor | {"baseColorTexture": {"index": 0}}}
    mixed = see(quad_glb(tmp_path / "b.glb", both, [png(np.full((2, 2, 3), 188))]))
    assert mixed[8, 8].tolist() == [137, 3, 188, 255]  # 188 is 0.5029 linear: half of it is 0.2515


def test_a_quad_without_material_is_white(tmp_path):
    assert see(quad_glb(tmp_path / "a.glb"))[8, 8].tolist() == [255, 255, 255, 255]


def test_vertex_colours_are_linear_interpolated_and_multiply_the_factor(tmp_path):
    colours = np.array([[0, 0, 0], [255, 0, 0], [255, 0, 255], [0, 0, 255]], np.uint8)
    image = see(quad_glb(tmp_path / "a.glb", quad={"COLOR_0": colours}))
    assert image[8, 8].tolist() == [194, 0, 180, 255]  # 13/24 from the left, 11/24 from below, linear
    half = {"pbrMetallicRoughness": {"baseColorFactor": [0.5, 1, 1, 1]}}
    image = see(quad_glb(tmp_path / "b.glb", half, quad={"COLOR_0": [[1.0, 0.25, 0, 1]] * 4}))
    assert image[8, 8].tolist() == [188, 137, 0, 255]


def test_node_transforms_are_chained(tmp_path):
    # Half as large, turned by 90 degrees around z (what was up is left), then the parent puts it 0.5 to the right.
    nodes = [
        {"translation": [0.5, 0, 0], "children": [1]},
        {"mesh": 0, "scale": [0.5] * 3, "rotation": [0, 0, math.sqrt(0.5), math.sqrt(0.5)]},
    ]
    image = see(quad_glb(tmp_path / "a.glb", textured(), [png(blocks())], nodes=nodes), size=32, focal=48.0)
    assert np.argwhere(image[..., 3])[[0, -1]].tolist() == [[10, 22], [21, 33 - 2]]
    left_of_turned = image[[13, 18], [25, 25]]
    assert left_of_turned[:, :3].tolist() == [CORNERS[0, 1].tolist(), CORNERS[0, 0].tolist()]
    matrix = [0, 0.5, 0, 0, -0.5, 0, 0, 0, 0, 0, 0.5, 0, 0.5, 0, 0, 1]
    same = quad_glb(tmp_path / "b.glb", textured(), [png(blocks())], nodes=[{"mesh": 0, "matrix": matrix}])
    np.testing.assert_array_equal(see(same, size=32, focal=48.0), image)


def test_a_mesh_can_stand_in_several_places_and_scenes_choose(tmp_path):
    nodes = [{"mesh": 0, "translation": [x, 0, 0], "scale": [1 / 3] * 3} for x in (-0.5, 0.5, 0)]
    path = quad_glb(tmp_path / "a.glb", nodes=nodes, scenes=[{"nodes": [2]}, {"nodes": [0, 1]}], scene=1)
    assert see(path)[8, :, 3].tolist() == [255] * 4 + [0] * 8 + [255] * 4


def test_normals_turn_with_their_node(tmp_path):
    nodes = [{"mesh": 0, "rotation": [math.sqrt(0.5), 0, 0, math.sqrt(0.5)], "scale": [1, 3, 1]}]
    path = quad_glb(tmp_path / "a.glb", nodes=nodes, quad={"NORMAL": [[0, 0, 1]] * 4})
    np.testing.assert_allclose(read_model(path).normals, np.broadcast_to([0, 0, -1], (2, 3, 3)), atol=1e-9)
    sheared = [{"mesh": 0, "scale": [1, 1, 4]}]
    path = quad_glb(tmp_path / "b.glb", nodes=sheared, quad={"NORMAL": [[0, 0.6, 0.8]] * 4})
    expected = np.array([0, -0.2, 0.6]) / math.hypot(0.2, 0.6)  # z is divided by the scale; then z is -y and y is z
    np.testing.assert_allclose(read_model(path).normals[0, 0], expected, atol=1e-6)


def test_normals_without_a_direction_are_replaced(tmp_path):
    normals = [[0, 1, 0], [0, 0, 0], [math.nan, 0, 0], [0, 5, 0]]
    found = read_model(quad_glb(tmp_path / "a.glb", quad={"NORMAL": normals})).normals
    up, front = [0, 0, 1], [0, -1, 0]  # in the atlas' frame
    np.testing.assert_allclose(found, [[up, front, front], [up, front, up]], atol=1e-9)


def test_texture_coordinates_are_placed_as_the_extension_says(tmp_path):
    # The extension's own example: the lower left quarter, turned by 90 degrees clockwise.
    place = {"offset": [0, 1], "rotation": math.pi / 2, "scale": [0.5, 0.5]}
    info = {"index": 0, "extensions": {"KHR_texture_transform": place}}
    lower_left = np.zeros((4, 4, 3), np.uint8)
    lower_left[2:, :2] = CORNERS
    samplers, textures = [{"magFilter": 9728}], [{"source": 0, "sampler": 0}]
    others = {"samplers": samplers, "textures": textures}
    material = {"pbrMetallicRoughness": {"baseColorTexture": info}}
    image = see(quad_glb(tmp_path / "a.glb", material, [png(lower_left)], **others))
    clockwise = CORNERS[::-1].transpose(1, 0, 2)
    np.testing.assert_array_equal(quarters(image)[:, :3], clockwise.reshape(4, 3))


def test_a_second_set_of_texture_coordinates_and_wrapping(tmp_path):
    twice = {"TEXCOORD_1": [[0, 2], [2, 2], [2, 0], [0, 0]]}
    material = {"pbrMetallicRoughness": {"baseColorTexture": {"index": 0, "texCoord": 1}}}
    for number, (wrap, expected) in enumerate(((10497, [0, 0, 0, 0]), (33071, [0, 1, 2, 3]), (33648, [0, 1, 2, 3]))):
        samplers = [{"magFilter": 9728, "wrapS": wrap, "wrapT": wrap}]
        others = {"samplers": samplers, "textures": [{"source": 0, "sampler": 0}], "quad": twice}
        image = see(quad_glb(tmp_path / f"{number}.glb", material, [png(CORNERS)], **others), size=16, focal=32.0)
        inner = image[[1, 1, 14, 14], [1, 14, 1, 14]] if wrap == 33648 else image[[2, 2, 9, 9], [2, 9, 2, 9]]
        corner = CORNERS.reshape(4, 3)[expected if wrap == 10497 else ([0, 1, 2, 3] if wrap == 33071 else [0, 0, 0, 0])]
        np.testing.assert_array_equal(inner[:, :3], corner, err_msg=str(wrap))


def test_a_mask_cuts_holes_and_blending_is_straight_alpha(tmp_path):
    pixels = np.array([[[255, 0, 0, 255], [255, 0, 0, 51]], [[0, 0, 255, 153], [0, 0, 255, 0]]], np.uint8)
    images = [png(blocks(pixels))]
    alphas = {"OPAQUE": [255, 255, 255, 255], "MASK": [255, 0, 255, 0], "BLEND": [255, 51, 153, 0]}
    for mode, expected in alphas.items():
        image = quarters(see(quad_glb(tmp_path / f"{mode}.glb", textured(alphaMode=mode), images)))
        assert image[:, 3].tolist() == expected, mode
        seen = image[:, 3] > 0
        np.testing.assert_array_equal(image[seen, :3], pixels.reshape(4, 4)[seen, :3])
    strict = quarters(see(quad_glb(tmp_path / "c.glb", textured(alphaMode="MASK", alphaCutoff=0.7), images)))
    assert strict[:, 3].tolist() == [255, 0, 0, 0]


def test_what_is_behind_shows_through(tmp_path):
    glass = {"pbrMetallicRoughness": {"baseColorFactor": [1, 0, 0, 0.5]}, "alphaMode": "BLEND"}
    back = {"pbrMetallicRoughness": {"baseColorFactor": [0, 0, 1, 1]}}
    behind = QUAD | {"POSITION": (np.array(QUAD["POSITION"]) * [0.5, 2, 1] - [0, 0, 0.5]).tolist(), "material": 1}
    path = write_glb(tmp_path / "a.glb", *tree([QUAD | {"material": 0}, behind], materials=[glass, back]))
    image = see(path)
    assert image[8, 3].tolist() == [255, 0, 0, 128]
    assert image[8, 8].tolist() == [188, 0, 188, 255]  # half of each light
    assert image[1, 8].tolist() == [0, 0, 255, 255]


def test_a_texture_that_everybody_can_read_stands_in_for_ktx2_and_webp_comes_first(tmp_path):
    images = [png([[[255, 0, 0]]]), b"\xabKTX 20\xbb", png([[[0, 0, 255]]])]
    for name, other, seen in (("KHR_texture_basisu", 1, [255, 0, 0]), ("EXT_texture_webp", 2, [0, 0, 255])):
        textures = [{"source": 0, "extensions": {name: {"source": other}}}]
        path = quad_glb(tmp_path / "a.glb", textured(), images, textures=textures)
        assert see(path)[8, 8, :3].tolist() == seen, name


def test_strips_fans_and_lists_without_indices(tmp_path):
    a, b, c, d = np.array(QUAD["POSITION"])
    whole = see(quad_glb(tmp_path / "whole.glb"))
    for mode, corners in ((4, (a, b, c, a, c, d)), (5, (a, b, d, c)), (6, (a, b, c, d))):
        primitive = {"POSITION": np.array(corners), "mode": mode}
        np.testing.assert_array_equal(see(write_glb(tmp_path / f"{mode}.glb", *tree([primitive]))), whole)


def test_points_and_lines_are_passed_over(tmp_path):
    path = write_glb(tmp_path / "a.glb", *tree([QUAD, QUAD | {"mode": 1}, {"POSITION": [[0, 0, 9]], "mode": 0}]))
    assert read_model(path).faces.shape == (2, 3)


def test_gltf_files_read_buffers_and_textures_beside_them_and_in_data_uris(tmp_path):
    content, blob = tree([QUAD | {"material": 0}], materials=[textured()], images=[])
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/the mesh.bin").write_bytes(blob)
    (tmp_path / "t.png").write_bytes(png(blocks()))
    content |= {"buffers": [{"uri": "parts/the%20mesh.bin", "byteLength": len(blob)}]}
    content |= {"images": [{"uri": "t.png"}], "textures": [{"source": 0}]}
    (tmp_path / "a.gltf").write_text(json.dumps(content))
    beside = see(tmp_path / "a.gltf")
    assert quarters(beside)[:, :3].tolist() == CORNERS.reshape(4, 3).tolist()
    content["buffers"][0]["uri"] = "data:application/octet-stream;base64," + base64.b64encode(blob).decode()
    content["images"][0]["uri"] = "data:image/png;base64," + base64.b64encode(png(blocks())).decode()
    (tmp_path / "b.gltf").write_text(json.dumps(content))
    np.testing.assert_array_equal(see(tmp_path / "b.gltf"), beside)


def test_a_texture_above_the_model_is_read_inside_the_root_alone(tmp_path):
    content, blob = tree([QUAD | {"material": 0}], materials=[textured()], textures=[{"source": 0}])
    (tmp_path / "models").mkdir()
    (tmp_path / "t.png").write_bytes(png(blocks()))
    path = write_glb(tmp_path / "models/a.glb", content | {"images": [{"uri": "../t.png"}]}, blob)
    assert read_model(path, root=tmp_path).paint is not None
    with pytest.raises(TdaError, match=r"a.glb: Texture 0 '../t.png' leads out of .*models and is refused. Copy it"):
        read_model(path)


def refused(path, *sentences: str) -> None:
    with pytest.raises(TdaError) as caught:
        read_model(path)
    for sentence in (f"Model {path}: ", *sentences):
        assert sentence in str(caught.value)


def damaged(path, change) -> None:
    content, blob = tree([QUAD | {"material": 0}], [png(blocks())], materials=[textured()])
    change(content)
    return write_glb(path, content, blob)


def entry(key: str, index: int, **changes):
    return lambda content: content[key][index].update(changes)


PLACES = {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": 0}}}
DAMAGES = {
    "more rows than data": (
        entry("accessors", 0, count=1_000_000),
        "Accessor 0 declares 1,000,000 rows, 12,000,000 bytes, but its data has 48. Export it again.",
    ),
    "a huge count": (
        entry("accessors", 0, count=4_000_000_000),
        "It declares 4,000,000,000 vertices; 2,000,000 are the limit. Simplify it.",
    ),
    "a huge count of indices": (entry("accessors", 2, count=2**40), "triangles; 2,000,000 are the limit. Simplify it."),
    "a negative count": (entry("accessors", 0, count=-1), "Accessor 0 has count -1. Export it again."),
    "a fractional count": (entry("accessors", 0, count=4.5), "Accessor 0 has count 4.5. Export it again."),
    "rows without data": (
        lambda content: content["accessors"][0].pop("bufferView"),
        "Accessor 0 has no data, which is not supported. Export it plainly.",
    ),
    "a negative offset": (entry("accessors", 0, byteOffset=-48), "Accessor 0 declares 4 rows"),
    "a stride of nothing": (
        lambda content: content["bufferViews"][0].update(byteStride=1),
        "Accessor 0 declares 4 rows",
    ),
    "positions of two numbers": (
        entry("accessors", 0, type="VEC2"),
        "Accessor 0 is VEC2, expected VEC3. Export it again.",
    ),
    "an unknown type": (
        entry("accessors", 0, componentType=5130),
        "Its glTF structure is broken (KeyError: 5130). Export",
    ),
    "a view beyond its buffer": (
        entry("bufferViews", 0, byteLength=10**12),
        "Buffer view 0 ends at byte 1,000,000,000,000, but buffer 0 has",
    ),
    "a view before its buffer": (
        entry("bufferViews", 0, byteOffset=-4),
        "Buffer view 0 ends at byte 44, but buffer 0 has",
    ),
    "a missing buffer": (
        entry("buffers", 0, uri="gone.bin"),
        "Buffer 'gone.bin' is missing: ",
    ),
    "a folder for a buffer": (entry("buffers", 0, uri="."), "Buffer '.' is missing: there is no file "),
    "a buffer elsewhere": (
        entry("buffers", 0, uri="../../../../etc/passwd"),
        "Buffer '../../../../etc/passwd' leads out of ",
    ),
    "an absolute buffer": (entry("buffers", 0, uri="/etc/passwd"), "Buffer '/etc/passwd' leads out of "),
    "a buffer on the web": (entry("buffers", 0, uri="http://localhost/b"), "Buffer 'http://localhost/b' is missing: "),
    "an escaped path": (
        lambda content: content.update(images=[{"uri": "%2e%2e/%2e%2e/x.png"}]),
        "Texture 0 '../../x.png' leads out of ",
    ),
    "a null byte": (
        lambda content: content.update(images=[{"uri": "a\0.png"}]),
        "Texture 0 'a\\x00.png' is not a file name.",
    ),
    "a missing texture": (
        lambda content: content.update(images=[{"uri": "skin.png"}]),
        "Texture 0 'skin.png' is missing: ",
    ),
    "a texture elsewhere": (
        lambda content: content.update(images=[{"uri": "..\\..\\skin.png"}]),
        "Texture 0 '..\\..\\skin.png' leads out of ",
    ),
    "a texture that is none": (
        lambda content: content.update(images=[{"bufferView": 0}]),
        "Texture 0 cannot be read (not an",
    ),
    "nodes in a circle": (
        lambda content: content.update(nodes=[{"children": [1]}, {"mesh": 0, "children": [0]}]),
        "Node 0 has two parents or holds itself; nodes must be a tree. Export it again.",
    ),
    "too many instances": (
        lambda content: (
            content.update(nodes=[{"mesh": 0}] * 21, scenes=[{"nodes": list(range(21))}])
            or content["meshes"][0].update(primitives=content["meshes"][0]["primitives"] * 1000)
        ),
        "It declares 20,001 primitives; 20,000 are the limit. Simplify it.",
    ),
    "too many vertices in all": (
        lambda content: (
            content.update(nodes=[{"mesh": 0}] * 3, scenes=[{"nodes": [0, 1, 2]}])
            or content["accessors"][0].update(count=700_000)
        ),
        "It declares 2,100,000 vertices; 2,000,000 are the limit. Simplify it.",
    ),
    "no such mesh": (lambda content: content.update(nodes=[{"mesh": 7}]), "Its glTF structure is broken (IndexError: "),
    "no asset": (
        lambda content: content.pop("asset"),
        "Its glTF structure is broken (KeyError: 'asset'). Export it again.",
    ),
    "an old version": (
        lambda content: content.update(asset={"version": "1.0"}),
        "It is glTF 1.0, only 2 is",
    ),
    "compression": (
        lambda content: content.update(extensionsRequired=["KHR_draco_mesh_compression"]),
        "It needs KHR_draco_mesh_compression, which is not supported. Export it without that.",
    ),
    "an extension of tomorrow": (
        lambda content: content.update(extensionsRequired=["KHR_materials_unlit", "EXT_of_tomorrow"]),
        "It needs EXT_of_tomorrow, which is not supported. Export it without that.",
    ),
    "a texture in KTX2 alone": (
        lambda content: content.update(textures=[{"extensions": {"KHR_texture_basisu": {"source": 0}}}]),
        "Texture 0: KHR_texture_basisu is not supported. Export it with PNG or JPEG textures.",
    ),
    "a texture of nothing": (lambda content: content.update(textures=[{}]), "Texture 0 has no image. Export it again."),
    "a second buffer of nothing": (
        lambda content: (content["buffers"].append({"byteLength": 99}), content["bufferViews"][0].update(buffer=1)),
        "Buffer 1 has no data. Export it again, without compression.",
    ),
    "a skin without its joint": (
        lambda content: (
            content["nodes"][0].update(skin=0) or content.update(skins=[{"joints": [1]}]) or content["nodes"].append({})
        ),
        "Skin 0 is moved by node 1, which is not in the scene. Export it again.",
    ),
    "a skin without bind matrices": (
        lambda content: (
            content["nodes"][0].update(skin=0)
            or content.update(skins=[{"joints": [0], "inverseBindMatrices": 0}])
            or content["accessors"][0].update(count=0, type="MAT4")
        ),
        "Skin 0 has 1 joints and 0 bind matrices. Export it again.",
    ),
    "a skin in many places": (
        lambda content: content["nodes"][0].update(skin=0, extensions=PLACES),
        "'node 0' has a skin and EXT_mesh_gpu_instancing. Export it without instances.",
    ),
    "places that disagree": (
        lambda content: content["nodes"][0].update(
            extensions={"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": 0, "_ID": 2}}}
        ),
        "EXT_mesh_gpu_instancing has attributes of [4, 6] rows. Export it again.",
    ),
    "endless places": (
        lambda content: (
            content["nodes"][0].update(extensions=PLACES) or content["accessors"][0].update(count=4_000_000_000)
        ),
        "It declares 4,000,000,000 instances; 20,000 are the limit. Simplify it.",
    ),
    "a morph target of other vertices": (
        lambda content: (
            content["meshes"][0].update(weights=[1]),
            content["meshes"][0]["primitives"][0].update(targets=[{"POSITION": 3}]),
            content["accessors"].append(content["accessors"][0] | {"count": 3}),
        ),
        "'node 0, primitive 0' has 4 vertices, but attributes of 3. Export again.",
    ),
    "endless morph targets": (
        lambda content: (
            content["accessors"][0].update(count=1_000_000),
            content["meshes"][0].update(weights=[1] * 21),
            content["meshes"][0]["primitives"][0].update(targets=[{}] * 21),
        ),
        "It declares 21,000,000 rows of morph targets; 20,000,000 are the limit. Simplify it.",
    ),
    "sparse rows beyond the end": (
        entry(
            "accessors",
            0,
            sparse={"count": 6, "indices": {"bufferView": 2, "componentType": 5123}, "values": {"bufferView": 0}},
            count=3,
        ),
        "The sparse part of accessor 0 names row 3 of 3. Export it again.",
    ),
    "sparse rows without data": (
        entry(
            "accessors",
            0,
            sparse={"count": 99, "indices": {"bufferView": 2, "componentType": 5123}, "values": {"bufferView": 0}},
        ),
        "The sparse part of accessor 0 declares 99 rows, 198 bytes, but its data has 12. Export it again.",
    ),
    "lists for objects": (lambda content: content.update(nodes=[[]]), "Its glTF structure is broken ("),
    "no scene content": (
        lambda content: content.update(nodes=[{}]),
        "It holds no triangle with an area (points and lines are not rendered). Export a surface.",
    ),
    "a factor of text": (
        lambda content: content["materials"][0]["pbrMetallicRoughness"].update(baseColorFactor="red!"),
        "Its glTF structure is broken (ValueError: ",
    ),
    "a factor that is no number": (
        lambda content: content["materials"][0]["pbrMetallicRoughness"].update(baseColorFactor=[1, math.nan, 1, 1]),
        "Material colours of 'node 0, primitive 0' are not finite numbers. Export the model again.",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_content_is_refused_by_name(tmp_path, name):
    change, sentence = DAMAGES[name]
    refused(damaged(tmp_path / "a.glb", change), sentence)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
def test_positions_that_are_none_are_refused(tmp_path, value):
    positions = np.array(QUAD["POSITION"], float)
    positions[2, 1] = value
    refused(
        quad_glb(tmp_path / "a.glb", quad={"POSITION": positions}),
        "Vertex 2 of 'node 0, primitive 0' is [",
        "which is no position. Export the model again.",
    )


def test_triangles_of_vertices_that_are_not_there_are_refused(tmp_path):
    refused(
        quad_glb(tmp_path / "a.glb", quad={"indices": [0, 1, 2, 0, 2, 9]}),
        "Triangle 1 of 'node 0, primitive 0' names vertices [0, 2, 9] of 4. Export the model again.",
    )


def test_a_flat_line_is_no_surface(tmp_path):
    refused(quad_glb(tmp_path / "a.glb", quad={"POSITION": [[0, 0, 0]] * 4}), "It holds no triangle with an area")


@pytest.mark.parametrize("share", [0.02, 0.2, 0.6, 0.99])
def test_truncated_files_are_refused(tmp_path, share):
    path = quad_glb(tmp_path / "a.glb", textured(), [png(blocks())])
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    refused(path, "It is truncated: " if share > 0.01 else "")


def test_chunks_that_reach_over_the_end_are_refused(tmp_path):
    path = tmp_path / "a.glb"
    path.write_bytes(b"glTF" + struct.pack("<IIII", 2, 20, 2**32 - 1, 0x4E4F534A))
    refused(path, "It is truncated: a chunk of 4,294,967,295 bytes reaches over its end.")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "Its glTF structure is broken (JSONDecodeError: "),
        (b"glTF" + struct.pack("<II", 1, 12), "It is GLB version 1, only 2 is supported. Export it as glTF 2.0."),
        (b"glTF" + struct.pack("<II", 2, 12), "Its glTF structure is broken (KeyError: b'JSON')."),
        (b"[" * 100_000, "Its glTF structure is broken (RecursionError: "),
        (b'{"asset": {"version": "2.0"}, "scene": ' + b"9" * 5000 + b"}", "Its glTF structure is broken ("),
    ],
)  # fmt: skip
def test_what_is_no_gltf_is_refused(tmp_path, data, sentence):
    path = tmp_path / "a.glb"
    path.write_bytes(data)
    refused(path, sentence)


def test_a_decompression_bomb_is_refused_from_its_header(tmp_path):
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    for size in ((12_000, 12_000), (60_000, 60_000)):
        header = struct.pack(">IIBBBBB", *size, 8, 6, 0, 0, 0)
        bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(2**20)))
        path = quad_glb(tmp_path / "a.glb", textured(), [bomb + chunk(b"IEND", b"")])
        refused(path, "Texture 0 ", "Shrink them." if size[0] < 20_000 else "decompression bomb")


def test_textures_that_are_too_large_together_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "MAX_PIXELS", 2**20)
    large = png(np.zeros((512, 512, 3)))
    materials = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": i}}} for i in range(5)]
    content, blob = tree([QUAD | {"material": i} for i in range(5)], [large], materials=materials)
    content |= {"images": content["images"] * 5, "textures": [{"source": i} for i in range(5)]}
    refused(
        write_glb(tmp_path / "a.glb", content, blob),
        "Texture 4 is 512 x 512: more than 1 million pixels in all textures of the model. Shrink them.",
    )
