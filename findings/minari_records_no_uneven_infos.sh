#!/usr/bin/env bash
# Minari 0.5.4: DataCollector(env, record_infos=True) cannot record an environment whose infos do not have the same keys at every step.
#
# A good guess: record_infos stores what infos there are, or leaves out what is missing somewhere. But infos are stacked as one tree, from
# reset() to the last step. Another set of keys is JAX's "ValueError: pytree structure error", which names the keys, but not that they are those
# of infos. gymnasium's MuJoCo environments have more keys in step() than in reset(): none of the four below can be recorded. With a wrapper
# that tells something at the end alone (RecordEpisodeStatistics) no environment can, and the error comes with the last step of the
# first episode. A StepDataCallback that always gives the same keys helps.
#
# Run: bash findings/minari_records_no_uneven_infos.sh    (needs the package index; a minute, in a temporary folder)
# Output seen:
#     HalfCheetah-v5: ValueError, pytree structure error: different numbers of pytree children (of Hopper-v5, Walker2d-v5, Ant-v5, too)
#     Pendulum-v1: works; with RecordEpisodeStatistics: ValueError; with a callback that keeps x_position alone, HalfCheetah-v5: works
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install "minari[create,hdf5]==0.5.4" pillow==13.0.0 "gymnasium[mujoco]==1.4.0" mujoco==4.0.0 numpy==2.4.6
cd "$folder"
cat > ask.py <<'PYTHON'
import gymnasium as gym
import minari
from gymnasium.wrappers import RecordEpisodeStatistics


class Position(minari.StepDataCallback):
    def __call__(self, env, **parts):
        data = super().__call__(env, **parts)
        return data | {"info": {"x_position": data["info"]["x_position"]}}


def record(env, **options):
    try:
        collector = minari.DataCollector(env, record_infos=True, **options)
        collector.reset(seed=0)
        ended = False
        while not ended:
            _, _, terminated, truncated, _ = collector.step(collector.action_space.sample())
            ended = terminated or truncated
        return "works"
    except ValueError as error:
        return f"ValueError, {str(error).partition(' at key')[0]}"


found = {name: record(gym.make(name)) for name in ("HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Ant-v5", "Pendulum-v1")}
wrapped = record(RecordEpisodeStatistics(gym.make("Pendulum-v1")))
position = record(gym.make("HalfCheetah-v5"), step_data_callback=Position)
print(f"HalfCheetah-v5: {found['HalfCheetah-v5']} (of Hopper-v5, Walker2d-v5, Ant-v5, too)")
print(
    f"Pendulum-v1: {found['Pendulum-v1']}; with RecordEpisodeStatistics: {wrapped.partition(',')[0]}; "
    f"with a callback that keeps x_position alone, HalfCheetah-v5: {position}"
)
failed = "ValueError, pytree structure error: different numbers of pytree children"
assert list(found.values()) == [failed] * 4 + ["works"], found
assert (wrapped, position) == (failed, "works")
PYTHON
MINARI_DATASETS_PATH=$folder/data "$folder/venv/bin/python" -W ignore ask.py 2> errors || { cat errors; exit 1; }
