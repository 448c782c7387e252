#!/usr/bin/env python3
"""Demonstrations that were recorded elsewhere, as an expert_buffer.pt for steps 2 to 4, and a page and a picture to check."""

from pathlib import Path

from rlopt.cli import add_env_flags, look_up_env, make_parser, run
from rlopt.commands import called
from rlopt.errors import UserError


def main() -> None:
    """Parse, read, write, print the page."""
    parser = make_parser(__doc__, "source")
    parser.add_argument("source", help="minari:ID, a .npz or HDF5 file, a folder, or an expert_buffer.pt")
    add_env_flags(parser, None)
    parser.add_argument("--save-dir", default="expert_data", help="the demonstrations go to SAVE_DIR/ENV/")
    parser.add_argument(
        "--actions-scaled", action="store_true", help="actions of a .npz are in [-1, 1], not the bounds' unit"
    )
    args = parser.parse_args()
    if not Path(args.source).exists() and ":" not in args.source:
        raise UserError(f"There is no {args.source}: give the path of a recording, or minari:ID.")
    env = look_up_env(args)

    from rlopt.imitation import save_demonstrations
    from rlopt.imitation.arrays import load_npz
    from rlopt.imitation.readers import environment_of, prepare_demonstrations
    from rlopt.report.demonstrations_page import demonstrations_figure, demonstrations_page, describe

    source = load_npz(args.source) | {"actions_scaled": True} if args.actions_scaled else args.source
    data = prepare_demonstrations(source, env)
    if env is not None and env.kwargs and dict(env.kwargs) != dict(data.env_kwargs):
        raise UserError(f"{args.source} was recorded with the arguments {data.env_kwargs}: leave --env-kwargs out.")
    name = environment_of(data, env).name
    path = save_demonstrations(data, Path(args.save_dir) / name)
    picture, page = path.with_name("demonstrations.png"), path.with_name("demonstrations.html")
    demonstrations_figure(data, picture)
    demonstrations_page(data, args.source, picture).write(page)
    print(f"{describe(data)}\n\nPicture: {picture}\nPage: {page}")
    print(f"Next: {called('ipmd', 'python ')} {path}")


if __name__ == "__main__":
    run(main)
