"""A file of a policy does what the policy does, without rlopt, and is not written where it does not."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import rlopt
from rlopt.errors import UserError
from rlopt.export import formats
from rlopt.export.plain import PlainPolicy
from rlopt.export.write import export_policy, sample_observations

from ..policy_files import HIGH, LOW, build, save

DOCUMENT = Path(__file__).parents[2] / "docs" / "use-a-policy.md"
KINDS = {  # without scaling of observations, with one that clips, with one that does not
    "sac": {},
    "ipmd": {"standardize_observations": True},
    "bc": {},
}


@pytest.fixture
def observations():
    """Some of them farther than five standard deviations (of 10, around 2) away, where IPMD's scaling clips."""
    return np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32) * 60


@pytest.fixture(params=KINDS)
def model(request, tmp_path):
    """A model file, and the right actions of its second seed, by the agent itself and the bounds' arithmetic."""
    agent = build(request.param, **KINDS[request.param])
    path = save(tmp_path / "model.pt", agent)

    def act(observation):
        inside = agent.policy(torch.tensor(observation).expand(3, -1, -1))[1].numpy()
        return LOW + (inside + 1) / 2 * (HIGH - LOW)

    return path, act


def exported(path, kind, **how):
    return export_policy(rlopt.load_policy(path, seed=43, **how), path.with_suffix(formats.FORMATS[kind].suffix), kind)


def test_arrays_do_what_the_document_shows(model, observations):
    path, act = model
    written = exported(path, "numpy")
    assert written.difference < 1e-6
    assert written.precision_difference == 0
    (shown,) = (block for block in re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.S) if "np.load" in block)
    names = {}
    exec(shown.replace("ipmd_model_seed43.npz", str(written.path)), names)
    np.testing.assert_allclose(names["act"](observations), act(observations), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(names["act"](observations[3]), act(observations)[3], rtol=1e-5, atol=1e-5)
    file = np.load(written.path, allow_pickle=False)
    assert (str(file["env_id"]), str(file["seed"])) == ("nowhere:Unknown-v0", "43")


def test_no_action_passes_the_bounds_by_rounding(tmp_path, observations):
    path = save(tmp_path / "model.pt", build("bc"))
    plain = PlainPolicy(rlopt.load_policy(path, seed=43))
    plain.layers[-1].bias.fill_(100)  # the largest action
    plain.low.fill_(-1.38)
    plain.high.fill_(0.82)  # less than -1.38 + (0.82 + 1.38) in float32
    arrays = formats.FORMATS["numpy"]
    for actions in (plain(torch.tensor(observations)), arrays.run(arrays.write(plain, {}), observations)):
        assert (np.asarray(actions) == np.float32(0.82)).all()


def test_torchs_file_runs_where_rlopt_is_not(tmp_path, observations):
    path = save(tmp_path / "model.pt", build("ipmd", standardize_observations=True))
    written = exported(path, "torch")
    assert written.path.suffix == ".pt2"
    np.save(tmp_path / "observations.npy", observations)
    program = (
        "import sys, numpy, torch; program = torch.export.load(sys.argv[1]).module(); "
        "o = torch.from_numpy(numpy.load('observations.npy')); a = torch.cat([program(o[:1]), program(o[1:])]); "
        "numpy.save('actions.npy', a.numpy()); assert not [name for name in sys.modules if name.startswith('rlopt')]"
    )
    subprocess.run([sys.executable, "-Ic", program, str(written.path)], cwd=tmp_path, check=True, timeout=120)
    right = rlopt.load_policy(path, seed=43)(observations)
    np.testing.assert_allclose(np.load(tmp_path / "actions.npy"), right, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("model", ["ipmd"], indirect=True)
def test_onnx_runs_in_its_own_runtime(model, observations):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    path, act = model
    written = exported(path, "onnx")
    onnx.checker.check_model(onnx.load(written.path), full_check=True)
    session = runtime.InferenceSession(written.path, providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["seed"] == "43"
    for batch in (observations, observations[:1]):
        (actions,) = session.run(["action"], {"observation": batch})
        np.testing.assert_allclose(actions, act(batch), rtol=1e-5, atol=1e-5)


def test_onnx_without_its_packages_is_refused(monkeypatch):
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"--format onnx needs onnx and onnxscript: pip install 'rlopt\[export\]'"):
        formats.check_format("onnx")
    assert formats.check_format("numpy").needs == ()


def test_a_file_that_does_something_else_is_not_written(tmp_path, monkeypatch):
    path = save(tmp_path / "model.pt", build())
    wrong = replace(formats.FORMATS["numpy"], run=lambda *given: formats.FORMATS["torch"].run(*given))
    monkeypatch.setitem(formats.FORMATS, "torch", replace(formats.FORMATS["torch"], run=a_thousandth_off))
    monkeypatch.setitem(formats.FORMATS, "numpy", wrong)
    (tmp_path / "model.npz").write_text("the old one")
    with pytest.raises(UserError, match=r"model.npz is not written: .* by up to 1.0e-03 of the bounds' width"):
        exported(path, "numpy")
    assert (tmp_path / "model.npz").read_text() == "the old one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.npz", "model.pt"]


def a_thousandth_off(content, observation):
    actions = formats._run_numpy(content, observation)
    actions[17, 1] += 1e-3 * (HIGH - LOW)[1]
    return actions


def test_the_comparison_looks_near_and_far(tmp_path):
    plain = PlainPolicy(rlopt.load_policy(save(tmp_path / "model.pt", build("ipmd", standardize_observations=True))))
    away = (sample_observations(plain) - 2) / 10  # by mean and standard deviation
    assert away.shape == (1000, 3)
    assert 200 < (abs(away) > 5).any(1).sum() < 800  # where its scaling clips
    assert 200 < (abs(away) < 1).all(1).sum() < 800


def test_bfloat16_is_told(tmp_path):
    path = save(tmp_path / "model.pt", build(matmul_precision="bfloat16"))
    written = exported(path, "numpy")
    assert written.difference < 1e-6
    assert 1e-5 < written.precision_difference < 0.05
    policy = rlopt.load_policy(path)
    export_policy(policy, tmp_path / "again.npz", "numpy")
    assert policy.policy.actor.mlp.dtype == torch.bfloat16  # as before


def test_a_file_is_of_one_seed_and_of_networks_that_are_known(tmp_path):
    path = save(tmp_path / "model.pt", build())
    with pytest.raises(UserError, match="A file holds the policy of one seed"):
        PlainPolicy(rlopt.load_policy(path, seed="all"))
    policy = rlopt.load_policy(path)
    policy.policy.actor.standardizer = torch.nn.Softmax(-1)
    with pytest.raises(UserError, match="networks of sac are not rlopt's Actor, and cannot be exported"):
        PlainPolicy(policy)
