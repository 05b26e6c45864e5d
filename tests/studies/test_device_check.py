"""A device check at tiny sizes: what it needs, what it finds, and that nothing stops it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_bench import TINY

from tda_nerfstudio.studies import device_check as module
from tda_nerfstudio.studies.bench import agreement
from tda_nerfstudio.studies.device_check import DeviceCheck, Finding, judged, main
from tda_nerfstudio.studies.short_stages import Length, Quality

GIVEN = ("torch", "numpy", "jaxtyping", "safetensors", "yaml", "PIL", "rich")
THEIRS = ("torchgen", "functorch", "typing_extensions", "sympy", "mpmath", "wadler_lindig")
THEIRS += ("markdown_it", "mdurl", "pygments", "_yaml")
"""What these import themselves."""
BARE = """
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
from pathlib import Path
known = {*sys.stdlib_module_names, "tda_nerfstudio", "tiny_bench", *sys.argv[2].split()}
class Known(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        mine = name.partition(".")[0] in known or name.startswith("_sysconfigdata")
        return PathFinder.find_spec(name, path, target) if mine else None
sys.meta_path[:] = [BuiltinImporter, FrozenImporter, Known]
import torch
from tiny_bench import TINY
from tda_nerfstudio.studies.bench import timing
from tda_nerfstudio.studies.device_check import DeviceCheck
from tda_nerfstudio.studies.short_stages import Length
timing.SHORTEST = 1e-6
check = DeviceCheck(Path(sys.argv[1]), torch.device("cpu"), sizes=TINY, length=Length((2, 1), (60, 40), (6, 2)))
check.run()
"""


def tiny(out: Path, **options) -> DeviceCheck:
    return DeviceCheck(out, torch.device("cpu"), sizes=TINY, length=Length((2, 1), (60, 40), (6, 2)), **options)


@pytest.fixture
def only_row_adam(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave one part with one check."""
    monkeypatch.setattr(module, "PARTS", {"agreement": module.PARTS["agreement"]})
    monkeypatch.setattr(module, "CHECKS", {"RowAdam": agreement.CHECKS["RowAdam"]})


def rows(out: Path) -> list[list[str]]:
    lines = (out / "device_check.md").read_text().splitlines()
    return [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]


@pytest.mark.slow
def test_it_needs_nothing_but_what_it_says(tmp_path: Path):
    tests = Path(__file__).parents[1]
    words = [sys.executable, "-c", BARE, str(tmp_path), " ".join([*GIVEN, *THEIRS])]
    env = {"PYTHONPATH": f"{tests.parent}:{tests}", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "device_check.json").read_text())
    assert not [line for line in content["findings"] if line["what"] == "an error ended it"], done.stdout
    assert {line["part"] for line in content["findings"]} >= {*module.PARTS, "memory"}
    assert content["machine"]["versions"]["torch"] == torch.__version__.split("+")[0]
    assert len(content["raw"]["steps"]) == 14 and len(content["raw"]["steps"][0]["samples"]) == 7
    assert content["raw"]["stages"]["cpu"]["stage_two"] > 0 and not set(content["raw"]) - set(module.PARTS)
    table = rows(tmp_path)
    assert table[0][:2] == ["part", "what"] and table[0][3] == "wanted" and len(table) == len(content["findings"]) + 2
    assert "agreement begins" in done.stdout and "s left]" in done.stdout


def test_an_error_beyond_its_tolerance_fails(tmp_path: Path, only_row_adam, monkeypatch, capsys):
    assert tiny(tmp_path / "good").run()
    compute, _ = agreement.CHECKS["RowAdam"]
    monkeypatch.setattr(agreement, "CHECKS", {"RowAdam": (compute, 1e-12)})
    check = tiny(tmp_path / "bad")
    assert not check.run()
    assert rows(tmp_path / "bad")[-2][-1] == "FAILED" and rows(tmp_path / "good")[-2][-1] == "ok"


def test_a_part_that_fails_is_recorded_and_the_next_one_goes_on(tmp_path: Path, monkeypatch, capsys):
    def broken(check, show):
        yield Finding("broken", "before", "1")
        raise RuntimeError("no kernel image | is available")

    def sound(check, show):
        yield Finding("sound", "after", "2")

    monkeypatch.setattr(module, "PARTS", {"broken": (broken, 1), "sound": (sound, 1)})
    monkeypatch.setattr(module, "choose_device", lambda name: torch.device("cpu"))
    assert main([str(tmp_path)]) == 1
    content = json.loads((tmp_path / "device_check.json").read_text())
    assert content["raw"]["errors"]["broken: an error ended it"][-1] == "RuntimeError: no kernel image | is available"
    assert any("in broken" in line for line in content["raw"]["errors"]["broken: an error ended it"])
    text = (tmp_path / "device_check.md").read_text()
    assert r"| broken | an error ended it | RuntimeError: no kernel image \| is available |  | FAILED |" in text
    assert "| broken | before | 1 |" in text and "| sound | after | 2 |" in text
    assert "SOMETHING FAILED" in capsys.readouterr().out


def test_a_check_that_fails_does_not_hide_the_others(tmp_path: Path, only_row_adam, monkeypatch, capsys):
    def broken(place):
        raise NotImplementedError("not on this device")

    monkeypatch.setattr(agreement, "CHECKS", {"new": (broken, 1.0), **agreement.CHECKS})
    monkeypatch.setattr(module, "CHECKS", agreement.CHECKS)
    check = tiny(tmp_path)
    assert not check.run()
    found = {finding.what: finding for finding in check.findings if finding.part == "agreement"}
    assert found["new"].measured == "NotImplementedError: not on this device" and found["new"].holds is False
    assert [finding.holds for what, finding in found.items() if what.startswith("RowAdam")] == [True]


def test_what_there_is_no_time_for_is_skipped_by_name(tmp_path: Path, only_row_adam, monkeypatch, capsys):
    work, _ = module.PARTS["agreement"]
    monkeypatch.setattr(module, "PARTS", {"long": (work, 1e4), "agreement": (work, 1)})
    check = tiny(tmp_path, budget=60)
    assert check.run()
    said = capsys.readouterr().out
    assert "long: skipped: it may take 10000 s, 60 s are left" in said and "agreement begins" in said
    assert [finding.part for finding in check.findings if finding.what == "all of it"] == ["long"]


def test_progress_says_how_long_a_part_still_takes(tmp_path: Path, monkeypatch, capsys):
    check, clock = tiny(tmp_path), iter([0.0, 0, 0, 1, 2, 6, 6, 8])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    show = check.shower("steps")
    show("building", 0, 0)  # at 0 s
    show("a", 10, 40)  # at 0 s
    show("b", 15, 40)  # at 1 s
    show("c", 20, 40)  # at 2 s
    show("d", 30, 40)  # at 6 s: 20 in 6 s, 10 to go
    assert capsys.readouterr().out.splitlines()[-1].endswith("steps: d, about 3 s to go")


def test_a_device_is_compared_with_blank_images_and_with_the_cpu():
    found = {"cpu": Quality(20.0, 21.0, 12.0), "cuda": Quality(20.5, 14.0, 12.0)}
    lines = [(line.what, line.measured, line.holds) for line in judged(found)]
    assert lines == [
        ("PSNR of held-out views after stage one, cpu", "20.00 dB", True),
        ("PSNR of held-out views after stage one, cuda", "20.50 dB", True),
        ("PSNR after stage one, cuda - cpu", "+0.50 dB", True),
        ("PSNR of held-out views after stage two, cpu", "21.00 dB", True),
        ("PSNR of held-out views after stage two, cuda", "14.00 dB", False),
        ("PSNR after stage two, cuda - cpu", "-7.00 dB", False),
    ]


def test_a_gpu_that_is_not_there_is_refused(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main([str(tmp_path), "--device", "cuda"]) == 1
    assert "device_check: There is no CUDA device here" in capsys.readouterr().err
