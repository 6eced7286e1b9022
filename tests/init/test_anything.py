"""Whatever a repository's names are: what is written means what was intended, and nothing else."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.init.facts import Repository
from bot.init.guess import guess
from bot.init.look import look
from bot.init.manifests import read_buckets, read_entries, read_mentions, read_parameters, read_recipes
from bot.init.source import read_script
from bot.init.write import Told, render_config, render_told
from tests.init.repositories import Made

PIECES = (
    *"{}[]:-?|>#%&*!'\"\\~,\n\t\r \0/$`@=",
    *(
        "  ",
        ": ",
        " #",
        "- ",
        "\n  - ",
        "\n#",
        "*a",
        "<<: *a",
        "!!str ",
        "null",
        "---\n",
        "...\n",
        "{{ p }}",
        "{% x %}",
    ),
    *(
        "{lr}",
        "}}",
        "..",
        "1e999",
        "~",
        "\x1b[0m",
        "\ufeff",
        "\u2028",
        "\u202e",
        "\udcff",
        "\x85",
        "\xa0",
        "é",
        "🙂",
        "a" * 70,
    ),
    *(
        "train",
        "main",
        "loss",
        "accuracy",
        "validation/",
        "lr",
        "seed",
        "LOOK: ",
        "command: ",
        "/artifacts",
        " / ",
        "_",
    ),
    *("version: 2\n", "workflows:\n", "\n      command: id\n", "$(id)", "; id", "&& id"),
)
hostile = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=6).map("".join)
words = st.sampled_from(("train", "loss", "validation/loss", "--lr", "--logdir", "seed", "runs", "metrics.json"))
names = st.one_of(words, hostile, st.tuples(hostile, words, hostile).map("".join))
numbers = st.one_of(st.floats(), st.integers(), st.just(0.1))


@st.composite
def sources(draw: st.DrawFn) -> str:
    """A training script in which names, metrics and options are anything."""
    name = draw(st.sampled_from(("add_argument", "click.option", "DEFINE_float")))
    lines = [
        "import torch, lightning, gradient_utils",
        *(f"import {module}" for module in draw(st.sets(st.sampled_from(("mpi4py", "horovod", "wandb", "hydra"))))),
        *(f"writer.add_scalar({metric!r}, 1)" for metric in draw(st.lists(names, max_size=3))),
        f"add_metrics({{{draw(names)!r}: 1}})",
        f"x = {{{draw(names)!r}: {{{draw(names)!r}: loss}}}}",
        "json.dump(x, open('gradient-model-metadata.json'))",
        f"SummaryWriter({draw(names)!r} + {draw(st.sampled_from(('a', 'args.logdir', repr('b'))))})",
        f"x.{name}({draw(names)!r}, type=float, default={draw(numbers)!r}, required={draw(st.booleans())})",
        f"x.add_argument({draw(names)!r}, {draw(names)!r}, default={draw(names)!r})",
        f"sub = x.add_parser({draw(names)!r})",
        f"sub.add_argument('--lr', type=float, default={draw(numbers)!r})",
        f"os.environ[{draw(names)!r}]; open({draw(names)!r})",
        draw(st.sampled_from(("", "init_process_group()", "ParameterServerStrategy()"))),
        "if __name__ == '__main__':",
        "    loss.backward()",
    ]
    return "\n".join(lines)


@st.composite
def repositories(draw: st.DrawFn) -> Repository:
    """Facts of a repository, read from sources and files that hold anything."""
    paths = draw(st.lists(st.tuples(hostile, names).map(lambda parts: f"{''.join(parts)}.py"), min_size=1, max_size=3))
    scripts = [script for path in paths if (script := read_script(path, draw(sources()))) is not None]
    text = "\n".join(draw(st.lists(names, max_size=4)))
    target = f"train{draw(names)}: a\n\tpython {paths[0]} {draw(names)}\n"
    table = f'[project.scripts]\ntrain-{draw(st.sampled_from("ab"))} = "a.b:train"\n'
    parameters = (
        read_parameters("params.yaml", draw(hostile)),
        read_parameters("metrics.json", f'{{"lr": {draw(hostile)}}}'),
    )
    return Repository(
        names=(*paths, *draw(st.lists(names, max_size=3)), f"train{draw(hostile)}.sh", f"{draw(hostile)}.ipynb"),
        scripts=tuple(scripts),
        recipes=read_recipes(target),
        mentions=tuple(read_mentions("README.md", f"{text}\npython {paths[0]} --lr {draw(names)}\n")),
        entries=tuple(read_entries("pyproject.toml", table)),
        parameters=tuple(one for one in parameters if one is not None),
        buckets=read_buckets(f"s3://{text} s3://bucket/{text}"),
        is_git=draw(st.booleans()),
    )


@settings(max_examples=100, deadline=None)
@given(repositories())
def test_any_names(repository: Repository) -> None:
    proposal = guess(repository)
    made = Made(repository, proposal, render_config(proposal))

    # As it is written: one workflow, one step, the command that was chosen, and nothing else.
    [workflow] = made.config.workflows
    [step] = workflow.steps
    assert (workflow.name, step.name, step.kind) == ("train", "fit", "experiment.run_single_node")
    assert made.command == proposal.command
    assert (step.gates, step.matrix, step.params.env, step.params.datasets) == ((), (), {}, ())
    assert (step.params.timeout_seconds, step.params.secret_names()) == (None, frozenset())
    assert made.config.pulls_write_storage is False

    # With its examples: what was proposed, and nothing else.
    train, *others = made.examples.workflows
    assert [other.name for other in others] == [
        name for name, is_there in (("distributed", proposal.several), ("tune", proposal.search)) if is_there
    ]
    if proposal.is_found and (proposal.gates or not proposal.unnamed):
        wanted = proposal.gates or proposal.suggested
        assert [gate.name for gate in train.steps[0].gates] == [gate.key for gate in wanted]
        assert [gate.aggregate for gate in train.steps[0].gates] == [gate.aggregate for gate in wanted]
    if proposal.search is not None:
        params = others[-1].steps[0].params
        assert params.command == proposal.search.command  # type: ignore[union-attr]
        assert list(params.search.space) == [one.name for one in proposal.search.parameters]  # type: ignore[union-attr]
    if proposal.several is not None:
        assert others[0].steps[0].params.roles()[0].command == proposal.several.command


@settings(max_examples=50, deadline=None)
@given(repositories(), names)
def test_the_terminal_is_told_nothing_that_it_obeys(repository: Repository, root: str) -> None:
    proposal = guess(repository)
    told = render_told(proposal, repository, render_config(proposal), Told(root, root))
    assert all(line.isprintable() or "\xa0" in line or not line.isascii() for line in told.splitlines())
    assert not set(told) & {chr(number) for number in (*range(10), *range(11, 32), *range(127, 160), 0x202E, 0x2028)}
    told.encode()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=20), max_size=3), sources())
def test_any_names_of_files_on_a_disk(endings: list[bytes], source: str) -> None:
    with TemporaryDirectory() as directory:
        root = Path(directory)
        for ending in endings:
            name = b"train" + ending.replace(b"/", b"").replace(b"\0", b"") + b".py"
            with open(directory.encode() + b"/" + name, "wb") as file:  # noqa: PTH123 - a path that is no text
                file.write(source.encode(errors="replace"))
        repository = look(root)
        proposal = guess(repository)
        made = Made(repository, proposal, render_config(proposal))
        assert made.command == proposal.command
        assert made.examples
