"""Who may import whom, and how long a module may get."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1] / "tda_nerfstudio"
MODULES = sorted(ROOT.rglob("*.py"))
BELOW = {"learning", "store", "atlas", "autoencoder", "core", "base"}
"""What knows nothing of nerfstudio, and is there for all that does."""
ALLOWED = {
    "base": {"base"},
    "core": {"core", "base"},
    "atlas": {"atlas", "core.cameras", "core.surface", "core.view", "base"},
    "making": {"making", "atlas", "core.cameras", "core.view", "base"},
    "autoencoder": {"autoencoder", "core", "base"},
    "store": {"store", "autoencoder", "core", "base"},
    "learning": BELOW,
    "plugin": {"plugin", "looking", "making.demo"} | BELOW,
    "engine": {"engine", "__version__"} | BELOW,
    "methods": {"plugin", "learning", "autoencoder", "core"},
    "looking": {"looking", "__version__", "atlas", "store", "autoencoder", "core", "base"},
    "export": {"export", "looking", "__version__", "atlas", "store", "autoencoder", "core", "base"},
    "studies": {"studies", "looking", "engine", "plugin", "making"} | BELOW,
    "studies.bench": {"studies.bench", "learning", "autoencoder", "core", "base"},
    "cli": {
        "cli",
        "export",
        "methods",
        "studies",
        "looking",
        "plugin",
        "engine",
        "learning",
        "making",
        "store",
        "atlas",
        "autoencoder",
        "core",
        "base",
    },
}
ERRORS = ("TdaError", "counted", "listed")
HEAVY = {"diffusers", "open3d", "trimesh", "lpips", "nerfstudio", "torchvision", "torchmetrics", "matplotlib", "cv2"}
HEAVY |= {"jinja2", "pydantic", "plotly", "pymeshlab", "xatlas", "skimage", "scipy", "gsplat", "gsply"}
MAY_BE_HEAVY = {"plugin": {"nerfstudio"}, "methods": {"nerfstudio"}, "studies": {"pydantic"}}
"""What a package is about; pydantic takes 0.07 s beside torch, and nothing but commands of studies loads studies."""


def imports(tree: ast.AST, at_module_level: bool = False, for_types: bool = False) -> Iterator[str]:
    """Name what is imported, with the names taken from a package; what only type checkers read with `for_types`."""
    for node in ast.iter_child_nodes(tree):
        if not for_types and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if at_module_level and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"relative import: {ast.unparse(node)}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from imports(node, at_module_level, for_types)


def package_of(path: Path) -> str:
    """Name a module's package below the root; `methods` and the root itself count as their own."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[:2] == ("studies", "bench"):
        return "studies.bench"
    return parts[0] if parts != ("__init__",) else "root"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_arrows_and_never_go_back(path: Path) -> None:
    own = [name.removeprefix("tda_nerfstudio.") for name in imports(ast.parse(path.read_text())) if "tda_nerf" in name]
    allowed = ALLOWED.get(package_of(path), set())
    for name in own:
        assert any(f"{name}.".startswith(f"{known}.") for known in allowed), f"{path.name} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_plugin_methods_and_functions_of_studies_know_nerfstudio(path: Path) -> None:
    package, tree = package_of(path), ast.parse(path.read_text())
    if package not in ("plugin", "methods"):
        found = imports(tree, at_module_level=package == "studies")
        assert not [name for name in found if name.split(".")[0] == "nerfstudio"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_heavy_is_imported_at_module_level(path: Path) -> None:
    allowed = {"plugin": {"nerfstudio"}, "methods": {"nerfstudio"}, "studies": {"pydantic"}}.get(
        package_of(path), set()
    )
    found = {name.split(".")[0] for name in imports(ast.parse(path.read_text()), at_module_level=True)}
    assert not found & HEAVY - allowed


def test_the_command_line_imports_nothing_of_ours_but_errors_before_it_is_called() -> None:
    for path in (ROOT / "cli").glob("*.py"):
        names = {name for name in imports(ast.parse(path.read_text()), at_module_level=True) if "tda_nerf" in name}
        own = {
            f"tda_nerfstudio.cli.{name}"
            for name in (
                "store.app",
                "export.app",
                "learn.learn",
                "learn.scaling",
                "look.view",
                "look.render",
                "look.sheet",
                "look.gallery",
            )
        }
        assert names <= own | {f"tda_nerfstudio.base.errors.{name}" for name in ERRORS}


def test_the_dataparser_imports_only_what_nerfstudio_has_ready_half_way() -> None:
    ready = ("cameras.cameras", "data.dataparsers", "data.scene_box", "plugins.registry_dataparser")
    tree = ast.parse((ROOT / "plugin/tda_dataparser.py").read_text())
    for name in imports(tree):
        if name.startswith("nerfstudio."):
            assert name.removeprefix("nerfstudio.").startswith(ready), name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_have_at_most_300_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


def test_packages_are_empty_and_the_root_holds_its_version_alone() -> None:
    filled = {path for path in MODULES if path.name == "__init__.py" and path.read_text().strip()}
    assert filled == {ROOT / "__init__.py"}
    docstring, version = ast.parse((ROOT / "__init__.py").read_text()).body
    assert isinstance(docstring, ast.Expr)
    assert ast.unparse(version).startswith("__version__ = '")


def test_no_modules_import_each_other_in_a_circle_not_even_for_types() -> None:
    paths = {".".join(path.relative_to(ROOT.parent).with_suffix("").parts): path for path in MODULES}
    graph = {}
    for module, path in paths.items():
        names = imports(ast.parse(path.read_text()), for_types=True)
        graph[module] = {known for name in names for known in (name, name.rpartition(".")[0]) if known in paths}
    assert circle_in(graph) is None
    assert circle_in(graph | {"tda_nerfstudio.base.errors": {"tda_nerfstudio.cli.main"}}) is not None


def circle_in(graph: dict[str, set[str]]) -> list[str] | None:
    """Find modules that import each other: a list that ends where it begins."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return None


BARE = """
import importlib, json, sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
allowed, modules = map(json.loads, sys.argv[1:])
class Few(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        known = name.split(".")[0] in allowed or name.startswith("_sysconfigdata")
        return super().find_spec(name, path, target) if known else None
sys.meta_path[:] = [BuiltinImporter, FrozenImporter, Few]
for module in modules:
    importlib.import_module(module)
"""


def closure(packages: set[str]) -> set[str]:
    """Add what installing these packages brings along."""
    found, waiting = set(), set(packages)
    while waiting:
        name = canonicalize_name(waiting.pop())
        found.add(name)
        needs = [Requirement(text) for text in requires(name) or ()]
        needed = {need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})}
        waiting |= {canonicalize_name(one) for one in needed} - found
    return found


def test_scenes_are_learnt_and_opened_where_few_packages_are_installed() -> None:
    packages = {"torch", "numpy", "jaxtyping", "safetensors", "pyyaml", "pillow", "rich"}
    there = closure(packages)
    tops = [top for top, names in packages_distributions().items() if {canonicalize_name(n) for n in names} & there]
    modules = [path for path in MODULES if package_of(path) in ("base", "core", "autoencoder", "store", "learning")]
    names = [".".join(path.relative_to(ROOT.parent).with_suffix("").parts) for path in modules]
    words = [*sys.builtin_module_names, *sys.stdlib_module_names, *tops, "tda_nerfstudio"]
    command = [sys.executable, "-c", BARE, json.dumps(words), json.dumps(names)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT.parent, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert "tyro" not in tops and "tda_nerfstudio.store.store" in names


def test_every_folder_of_modules_is_a_known_package() -> None:
    assert {package_of(path) for path in MODULES} - {"root"} <= ALLOWED.keys()


def test_the_arrows_check_sees_an_import_inside_a_function_and_one_from_a_package() -> None:
    tree = ast.parse("def f():\n    from tda_nerfstudio.plugin import finished\n    import nerfstudio.cameras\n")
    assert list(imports(tree)) == ["tda_nerfstudio.plugin.finished", "nerfstudio.cameras"]
    assert not list(imports(tree, at_module_level=True))


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    needs = [Requirement(text) for text in requires("tda-nerfstudio") or ()]
    declared = {canonicalize_name(need.name) for need in needs if need.marker is None}
    extra = {canonicalize_name(need.name) for need in needs if need.marker is not None}
    names = {name.split(".")[0] for path in MODULES for name in imports(ast.parse(path.read_text()), for_types=True)}
    foreign = names - sys.stdlib_module_names - {"tda_nerfstudio"}
    found = packages_distributions()
    found |= {name: [name] for name in foreign - found.keys()}  # modules that are a single compiled file
    used = {canonicalize_name(dist) for name in foreign for dist in found[name]} | {"imageio-ffmpeg"}  # imageio's own
    assert not [name for name in foreign if not {canonicalize_name(dist) for dist in found[name]} & (declared | extra)]
    assert declared <= used


def test_every_module_of_the_tests_has_a_name_of_its_own() -> None:
    """Otherwise pytest collects the second one not at all, and only where both are asked for."""
    names = [path.name for path in Path(__file__).parent.rglob("*.py") if path.name != "conftest.py"]
    assert [name for name, count in Counter(names).items() if count > 1] == []
