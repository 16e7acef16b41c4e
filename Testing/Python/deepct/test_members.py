"""One forward pass of each network gives what separate passes give, to the bit on every number of threads."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from DeepRadScoreLib.deepct.backbones import build_trunk
from DeepRadScoreLib.deepct.device import one_thread
from DeepRadScoreLib.deepct.gradcam import draw, grad_cams
from DeepRadScoreLib.deepct.members import MemberOutputs, member_steps
from DeepRadScoreLib.deepct.network import DeepCT, NetworkSpec, deep_outputs
from DeepRadScoreLib.progress import run_to_end

KEYS = ("EGFR", "KRAS")
FOLDS = 3


def network_of(seed: int, keys: tuple[str, ...] = KEYS, backbone: str = "densenet121") -> DeepCT:
    pixels = 64 if backbone == "densenet121" else 32
    return DeepCT(NetworkSpec(backbone, keys, pixels=pixels), build_trunk(backbone, seed=seed)[0], seed)


@pytest.fixture(scope="module")
def shared() -> list[dict[str, DeepCT]]:
    return [{"shared": network_of(seed)} for seed in range(FOLDS)]


@pytest.fixture(scope="module")
def patches() -> np.ndarray:
    return np.random.default_rng(0).normal(-600, 200, (2, 160, 160)).astype(np.float32)


def with_threads(number: int, *given, **settings) -> MemberOutputs:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        found = run_to_end(member_steps(*given, **settings))
        assert torch.get_num_threads() == number
        return found
    finally:
        torch.set_num_threads(before)


def test_outputs_and_maps_are_those_of_separate_passes(shared, patches):
    found = with_threads(1, shared, patches, KEYS)
    networks = [member["shared"] for member in shared]
    with one_thread():
        maps = grad_cams(networks, patches[0], KEYS)
        for outputs, network in zip(found.outputs, networks, strict=True):
            expected = deep_outputs(network, patches, batch=1)
            np.testing.assert_array_equal(outputs.pooled, expected.pooled)
            for key in KEYS:
                np.testing.assert_array_equal(outputs.deep[key], expected.deep[key])
                np.testing.assert_array_equal(outputs.logit[key], expected.logit[key])
    for key, values in draw(found.maps, (160, 160)).items():
        np.testing.assert_array_equal(values, maps[key])


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_the_number_of_threads_changes_no_bit(shared, patches, threads):
    alone, together = (with_threads(number, shared, patches, KEYS) for number in (1, threads))
    for one, other in zip(alone.outputs, together.outputs, strict=True):
        np.testing.assert_array_equal(one.pooled, other.pooled)
    for one, other in zip(alone.maps, together.maps, strict=True):
        assert list(one) == list(other) == list(KEYS)
        for key in KEYS:
            np.testing.assert_array_equal(one[key], other[key])


def test_networks_of_their_own_for_each_endpoint_are_joined(patches):
    members = [{key: network_of(seed, (key,), "resnet50") for key in KEYS} for seed in range(2)]
    found = with_threads(2, members, patches, KEYS[1:])
    for member, outputs, maps in zip(members, found.outputs, found.maps, strict=True):
        assert list(outputs.logit) == list(KEYS)
        assert list(maps) == ["KRAS"]
        with one_thread():
            np.testing.assert_array_equal(
                outputs.deep["KRAS"], deep_outputs(member["KRAS"], patches, batch=1).deep["KRAS"]
            )


def test_steps_are_named_and_as_many_as_threads_allow(shared, patches):
    before = torch.get_num_threads()
    try:
        labels = []
        for number in (1, 2, 8):
            torch.set_num_threads(number)
            labels.append(list(member_steps(shared, patches[:1])))
    finally:
        torch.set_num_threads(before)
    assert [len(each) for each in labels] == [3, 2, 1]
    assert labels[1] == [f"deep features and heat maps, {which} of 3" for which in ("networks 1 to 2", "network 3")]
    single = list(member_steps([{"EGFR": network_of(0, ("EGFR",), "resnet50")}], patches[:1]))
    assert single == ["deep features and heat maps for EGFR mutation, network 1 of 1"]


def test_without_networks_there_is_nothing(patches):
    assert list(member_steps([], patches)) == []
