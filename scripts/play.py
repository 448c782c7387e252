#!/usr/bin/env python3
"""Watch a policy: in a window, or as a film on a machine without one; with its returns, and a learned reward along the way."""

from argparse import Namespace
from pathlib import Path

from rlopt.checked import require_positive
from rlopt.cli import look_up_env, run
from rlopt.policy_flags import check_model, policy_parser


def main() -> None:
    """Parse, play, print."""
    parser = policy_parser(__doc__, "--policy-seed")
    parser.add_argument(
        "--seed", type=int, default=1_000_000, help="where the first episode starts: the environment's seed"
    )
    parser.add_argument("--episodes", type=int, default=1, help="how many; each starts from the next seed")
    parser.add_argument("--stochastic", action="store_true", help="samples of the policy, not its mode")
    parser.add_argument("--video", metavar="OUT.mp4", help="film it, in place of a window")
    parser.add_argument("--gif", metavar="OUT.gif", help="likewise; both may be given")
    parser.add_argument("--plain", action="store_true", help="MuJoCo without shadows: faster where no GPU draws")
    parser.add_argument(
        "--reward", metavar="MODEL", help="draw this model's learned reward under the true one, to a picture"
    )
    args = parser.parse_args()
    require_positive(episodes=args.episodes)
    for path in (args.model, args.reward):
        if path is not None:
            check_model(path)
    films = films_of(args)
    named_after = films[0] if films else Path("play")
    picture = named_after.with_name(f"{named_after.stem}_reward.png")
    if args.reward is not None:
        from rlopt.logs.files import check_writable

        check_writable(picture.parent, picture.name)
    given = look_up_env(args)

    from rlopt.envs.spec import env_spec
    from rlopt.experiments.watch import draw_rewards, load_reward, watch
    from rlopt.policies import load_policy

    policy = load_policy(args.model, args.policy_seed, best=args.best, env=given, sampling_seed=args.seed)
    if args.stochastic:
        policy.check_samples()
    reward = None if args.reward is None else load_reward(args.reward, policy)
    spec = given or env_spec(policy.spec.env_id, policy.spec.kwargs, policy.spec.max_episode_steps)
    print(f"{policy.about['kind'].upper()} on {spec.env_id}, policy of seed {policy.seeds[0]}")
    seeds = [args.seed + number for number in range(args.episodes)]
    how = {"deterministic": not args.stochastic, "window": not films, "films": films, "plain": args.plain}
    watched = []
    for each in watch(policy, spec, seeds=seeds, **how):
        watched.append(each)
        success = "" if each.success is None else f", success {'yes' if each.success else 'no'}"
        print(
            f"Start {each.seed}: return {each.episode.undiscounted_return:.1f}, length {each.length}{success}",
            flush=True,
        )
    if len(watched) > 1:
        print(f"Mean: {mean_of(watched)}")
    for path in films:
        print(f"Film: {path}")
    if reward is not None:
        correlation = draw_rewards(reward, policy, watched, picture)
        print(
            f"Learned reward (seed {reward.seed}) against true reward: correlation {correlation:.2f}. Picture: {picture}"
        )


def films_of(args: Namespace) -> list[Path]:
    """The films to be; where there are some, MuJoCo is told how to draw without a window, before anything loads it."""
    from rlopt.play.display import check_screen, draw_without_window
    from rlopt.play.video import check_film

    films = [
        check_film(path, suffix) for path, suffix in ((args.video, ".mp4"), (args.gif, ".gif")) if path is not None
    ]
    if films:
        draw_without_window()
    else:
        check_screen()
    return films


def mean_of(watched: list) -> str:
    """Returns, lengths and successes of several episodes."""
    returns = sum(each.episode.undiscounted_return for each in watched) / len(watched)
    length = sum(each.length for each in watched) / len(watched)
    told = [each.success for each in watched if each.success is not None]
    return f"return {returns:.1f}, length {length:.1f}" + f", success {sum(told)} of {len(watched)}" * bool(told)


if __name__ == "__main__":
    run(main)
