"""The tables of several learners on several environments."""

from rlopt.report.methods_table import methods_tables

HEAD = "| Environment | Demos | Method | Trained for | Frames to 0.95 | Worst | Score | Area | P(IPMD is better) |"


def learner(scores, area=None, reached=None, **trained):
    return {
        "normalized_per_seed": scores,
        **({} if area is None else {"area_per_seed": area, "frames_to_0.95": reached}),
        **trained,
    }


def comparison(env, demos=1, **methods):
    return {"env": env, "demonstrations": demos, "seeds": [1, 2], "methods": methods}


TWO = [
    comparison(
        "Pendulum-v1",
        sac=learner([1.0, 1.0], [0.5, 0.5], 10, frames=500),
        ipmd=learner([1.0, 0.5], [0.5, 0.25], 1_000, frames=2_000),
        bc=learner([0.75, 0.25], epochs=100),
        gail=learner([2.0, 3.0], [1.0, 2.0], frames=2_000),
    ),
    comparison(
        "Hopper-v5",
        ipmd=learner([0.0, 0.0], [0.0, 0.0], frames=3_000),
        gail=learner([1.0, 1.0], [0.5, 0.5], frames=3_000),
    ),
]


def lines_of(tables):
    return [[line for line in table.splitlines() if "---" not in line] for table in tables.split("\n\n")]


def test_one_row_for_each_learner_of_each_environment():
    each, _, _ = lines_of(methods_tables(TWO))
    assert each == [
        HEAD,
        "| Pendulum-v1 | 1 | IPMD | 2,000 frames | 1,000 | 0.500 | 0.750 [0.500, 1.000] | 0.375 [0.250, 0.500] | - |",
        # IPMD wins 3 of 4 pairs
        "| Pendulum-v1 | 1 | BC | 100 epochs | - | 0.250 | 0.500 [0.250, 0.750] | - | 0.75 [0.00, 1.00] |",
        "| Pendulum-v1 | 1 | GAIL | 2,000 frames | - | 2.000 | 2.500 [2.000, 3.000] | 1.500 [1.000, 2.000] | 0.00 [0.00, 0.00] |",  # noqa: E501
        "| Hopper-v5 | 1 | IPMD | 3,000 frames | - | 0.000 | 0.000 [0.000, 0.000] | 0.000 [0.000, 0.000] | - |",
        "| Hopper-v5 | 1 | GAIL | 3,000 frames | - | 1.000 | 1.000 [1.000, 1.000] | 0.500 [0.500, 0.500] | 0.00 [0.00, 0.00] |",
    ]


def test_over_all_environments_only_what_each_of_them_has():
    _, over_all, _ = lines_of(methods_tables(TWO))
    assert over_all == [
        "| Environments | Demos | Method | Score | Area | P(IPMD is better) |",
        # 1, 0.5, 0, 0: a quarter goes at each end; intervals depend on draws
        *over_all[1:],
    ]
    assert [line.split(" | ")[:3] for line in over_all[1:]] == [["| 2", "1", "IPMD"], ["| 2", "1", "GAIL"]]
    assert [line.split(" | ")[3].split()[0] for line in over_all[1:]] == ["0.250", "1.500"]


def test_numbers_of_demonstrations_are_not_mixed():
    five = [{**results, "demonstrations": 5} for results in TWO]
    each, over_all, _ = lines_of(methods_tables([*TWO, *five]))
    assert [line.split(" | ")[1] for line in over_all[1:]] == ["1", "1", "5", "5"]
    assert len(each) == 11


def test_one_environment_and_one_learner_need_no_more():
    each, notes = lines_of(methods_tables([comparison("Pendulum-v1", bc=learner([None, None], epochs=9))]))
    assert each[0] == HEAD.removesuffix(" P(IPMD is better) |")
    assert each[1:] == ["| Pendulum-v1 | 1 | BC | 9 epochs | - | - | - | - |"]
    assert "interquartile" in notes[0]


def test_results_of_an_earlier_version_have_no_area():
    each = lines_of(methods_tables([comparison("Pendulum-v1", ipmd=learner([1.0, 1.0], frames=9))]))[0]
    assert each[1] == "| Pendulum-v1 | 1 | IPMD | 9 frames | - | 1.000 | 1.000 [1.000, 1.000] | - |"
