"""Where it ran, and warnings that cannot be overlooked."""

from __future__ import annotations

import torch

from tda_nerfstudio.studies.bench.machine import describe_conditions, warnings
from tda_nerfstudio.studies.bench.timing import Sample, Timing


def machine(load: float | None, device: str = "cpu") -> dict:
    return {"load": load, "cores": 4, "device": device}


def rows(cpu: float) -> list[Timing]:
    return [Timing("ours", "step", 1, None, samples=[Sample(2.0, {}, 2 * cpu)] * 3)]


def test_the_machine_is_named():
    found = describe_conditions(torch.device("cpu"))
    assert found["processor"] and found["cores"] >= 1 and found["threads"] == torch.get_num_threads()
    assert found["device"] == "cpu" and found["versions"]["torch"] == torch.__version__.split("+")[0]
    assert found["versions"].keys() >= {"python", "diffusers", "tda-nerfstudio"}


def test_a_quiet_machine_is_not_warned_of():
    assert not warnings(machine(2.0), rows(0.97)) and not warnings(machine(None), rows(1.9))


def test_load_before_the_start_is_warned_of():
    (text,) = warnings(machine(2.1))
    assert text.startswith("THE MACHINE IS BUSY: load average 2.1 on 4 cores before the start.")


def test_waiting_for_a_core_is_warned_of_but_not_waiting_for_a_gpu():
    (text,) = warnings(machine(0.1), rows(0.7))
    assert text.startswith("THE MACHINE WAS BUSY: this process got 0.70 CPU seconds a second")
    assert not warnings(machine(0.1, "NVIDIA"), rows(0.7))
