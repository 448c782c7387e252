#!/usr/bin/env bash
# MuJoCo 4.0.0 over 3.17.0: `pip install --upgrade` leaves a mujoco that cannot be imported. Since 4.0 the bindings are in
# mujoco-core and mujoco-studio, which pip installs first; it then removes the files of 3.17.0, which have the same names.
# gymnasium 1.4.0 reports this as "MuJoCo is not installed". Neither of two repairs helps:
# - `pip uninstall mujoco` and installing it again, for pip takes mujoco-core to be there;
# - the command in mujoco's own error message, which names no versions and so brings a newer mujoco-core (4.0.1), which
#   mujoco 4.0.0 refuses.
# Expected: that one of these works. What works: to uninstall all three first. Exits with 1 if any of this changes.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cd "$folder"
install() { venv/bin/pip install -q "$@" 2> log || { cat log; exit 2; }; }
try() { venv/bin/python -W ignore -c "import mujoco; print('mujoco', mujoco.__version__)" > out 2>&1 && echo works || echo fails; }
expect() { printf '%-62s %s\n' "$2" "$1: $(grep -E '^(mujoco|ImportError)' out | cut -c1-90)"; test "$1" = "$3"; }

install mujoco==3.17.0 gymnasium==1.4.0 numpy==2.4.6 imageio packaging
expect "$(try)" "3.17.0:" works
install --upgrade mujoco==4.0.0
expect "$(try)" "upgraded to 4.0.0 in place:" fails
venv/bin/python -W ignore -c "import gymnasium; gymnasium.make('Hopper-v5')" > out 2>&1 && exit 1
grep -o "DependencyNotInstalled: .*" out
venv/bin/pip uninstall -q -y mujoco; install mujoco==4.0.0
expect "$(try)" "mujoco uninstalled and installed again:" fails
install --force-reinstall --no-deps mujoco mujoco-core mujoco-studio
expect "$(try)" "--force-reinstall --no-deps mujoco mujoco-core mujoco-studio:" fails
venv/bin/pip list 2> log | grep mujoco
venv/bin/pip uninstall -q -y mujoco mujoco-core mujoco-studio; install mujoco==4.0.0
expect "$(try)" "all three uninstalled, mujoco installed again:" works
