"""What `som` says about itself: help in three languages, completion in three shells, no command forgotten."""

import inspect
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from node.build import VERSION
from node.cli import main
from node.cli.chain import SHELLS
from node.cli.help_emergency import HELP_OF_EMERGENCIES
from node.cli.help_money import HELP_OF_MONEY
from node.cli.help_nodes import HELP_OF_NODES
from node.cli.help_texts import FIRST_TEXTS, HELP_TEXTS
from tests.cli_lab import Som, som_lab


def tree(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from tree(each, (*path, name))


def texts(command: click.Command) -> Iterator[str]:
    """Yield all that a command's help says in words: paragraphs, options, and those defaults that are words."""
    yield from (" ".join(part.split()) for part in inspect.cleandoc(command.help or "").split("\n\n"))
    for param in command.params:
        if isinstance(param, click.Option) and param.help:
            sentence, _, default = param.help.partition(" [default: ")
            yield sentence
            if " " in default:
                yield default.removesuffix("]")


def run(*arguments: str, **environment: str) -> Result:
    clean = {"SOM_LANG": "", **environment}
    return CliRunner(env=clean).invoke(main, list(arguments), prog_name="som", catch_exceptions=False)


def test_every_help_text_is_translated() -> None:
    missing = {text: path for path, command in tree(main) for text in texts(command) if text not in HELP_TEXTS}
    assert missing == {}, "they belong into node/cli/help_texts.py, help_money.py or help_nodes.py"


def test_no_translation_is_of_a_text_that_is_gone() -> None:
    said = {"Show this message and exit."}.union(*(texts(command) for _, command in tree(main)))
    assert sorted(set(HELP_TEXTS) - said) == []


def test_no_text_is_translated_twice() -> None:
    assert len(HELP_TEXTS) == sum(map(len, (FIRST_TEXTS, HELP_OF_MONEY, HELP_OF_NODES, HELP_OF_EMERGENCIES)))


def test_what_is_no_word_stands_in_every_language() -> None:
    """Names of commands, options, files and arguments, as they are typed."""
    typed = re.compile(r"--[a-z][a-z-]+|`[^`]+`|\b[A-Z]{4,}\b|[a-z]+\.[0-9.]+[0-9]|docs/[a-z]+\.md")
    for english, others in HELP_TEXTS.items():
        for text in others:
            assert sorted(typed.findall(text)) == sorted(typed.findall(english)), text


def test_the_languages_differ_and_none_is_empty() -> None:
    assert [english for english, (ky, ru) in HELP_TEXTS.items() if not ky or not ru or english in (ky, ru)] == []


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (("--lang", "ky", "pay", "--help"), {}),
        (("pay", "--help", "--lang", "ky"), {}),
        (("pay", "--lang", "ky", "--help"), {"SOM_LANG": "ru"}),
        (("pay", "-h"), {"SOM_LANG": "ky"}),
    ],
)
def test_help_speaks_the_language_wherever_it_is_chosen(
    arguments: tuple[str, ...], environment: dict[str, str]
) -> None:
    result = run(*arguments, **environment)
    assert result.exit_code == 0
    assert "сом төлөө" in result.stdout
    assert "Маалымат JSON түрүндө." in result.stdout
    assert "Ушул билдирүүнү көрсөтүп" in result.stdout
    assert "~/.som/outbox.sqlite3" in result.stdout  # what is no word stays


def test_the_list_of_commands_is_in_the_language_and_help_in_english_stays_as_it_was() -> None:
    listed = run("--help", SOM_LANG="ru")
    assert listed.stdout.startswith("Вызов: som")
    assert "\nПараметры:\n" in listed.stdout
    assert "\nКоманды:\n" in listed.stdout
    assert "Показать эту справку" in listed.stdout
    assert "Счета: остатки" in listed.stdout
    assert "Accounts: balances" not in listed.stdout
    again = run("--help")
    assert again.stdout.startswith("Usage: som [OPTIONS] COMMAND")
    assert "Accounts: balances" in again.stdout
    assert "Show this message" in again.stdout


def test_all_that_help_says_in_kyrgyz_and_russian_is_in_their_letters() -> None:
    """No sentence of three words is left in English: what is Latin there is typed, or a name."""
    sentence = re.compile(r"(?:\b[A-Za-z][a-z']+ ){3}(?:\b[a-z]+)")
    typed = re.compile(r"(?:som|eval|\$).*|--[\w-]+ [A-Z|]+")
    for path, _ in tree(main):
        for language in ("ky", "ru"):
            said = run(*path, "--help", "--lang", language).stdout
            assert sentence.findall(typed.sub("", said)) == [], path


def test_every_command_has_help_and_its_help_ends_with_0() -> None:
    for path, command in tree(main):
        assert command.help, path
        if command.context_settings.get("help_option_names") != []:
            assert run(*path, "--help").exit_code == 0, path


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_is_printed_for_each_shell(shell: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0
    assert "_SOM_COMPLETE" in result.stdout
    if shell == "bash":
        assert subprocess.run(["bash", "-n"], input=result.stdout, text=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("typed", "offered"), [("som acc", "account"), ("som tx wa", "wait"), ("som pay --fr", "--from")]
)
def test_what_a_shell_asks_for_is_answered(typed: str, offered: str) -> None:
    asked = {"_SOM_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    assert f"plain,{offered}" in run(**asked).stdout.splitlines()


def test_the_version_is_said_both_ways() -> None:
    assert run("--version").stdout == f"som {VERSION}\n"
    assert json.loads(run("version", "--json").stdout) == {"version": VERSION}


@pytest.fixture
def som(tmp_path: Path) -> Iterator[Som]:
    with som_lab(tmp_path) as found:
        yield found


def test_net_shows_the_links_and_who_signs(som: Som) -> None:
    (peer,) = som.json("net", "peers")["peers"]
    assert (peer["name"], peer["connected"]) == ("observer", False)
    (row,) = som.json("net", "uptime", "--blocks", "3")["validators"]
    assert row["name"] == "solo"
    assert row["signed"] == row["certificates"] > 0
    shown = som.run("net", "uptime", "--lang", "ky").stdout
    assert "Кол койду" in shown
    assert "observer" in som.run("net", "peers").stdout
    assert som.run("net", "uptime", "--blocks", "0").exit_code == 2
