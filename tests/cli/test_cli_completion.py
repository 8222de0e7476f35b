"""Completion of the command line: the scripts, and what real shells make of them."""

import os
import re
import shlex
import shutil
import subprocess

import pytest
from terminal import Terminal

from bayesmix import cli
from bayesmix.cli.options import OPTIONS
from bayesmix.cli.parser import TEXTS

SHELLS = ["bash", "zsh", "fish"]
# What is typed before the key TAB is pressed, and what the line is then.  The folder has
# data.csv, fit.nc and the folder results.
TYPED = {
    "bayesmix se": "select",
    "bayesmix --ver": "--version",
    "bayesmix fit --conc": "fit --concomitant",
    "bayesmix fit data.csv y~x --method n": "fit data.csv y~x --method nuts",
    "bayesmix select --method n": "select --method n",
    "bayesmix fit --family neg": "fit --family negative_binomial",
    "bayesmix fit da": "fit data.csv",
    "bayesmix fit --k 3 da": "fit --k 3 data.csv",
    "bayesmix fit --fixed da": "fit --fixed da",
    "bayesmix fit --init fi": "fit --init fit.nc",
    "bayesmix fit data.csv --out r": "fit data.csv --out results/",
    "bayesmix fit data.csv --out da": "fit data.csv --out da",
    "bayesmix report ML=fi": "report ML=fit.nc",
    "bayesmix data beta": "data betablocker",
    "bayesmix data da": "data da",
    "bayesmix completion f": "completion fish",
    "bayesmix demo da": "demo da",
}
SETUPS = {
    "bash": """\
PS1='> '
bind 'set enable-bracketed-paste off'
source ./script
bayesmix() { printf 'GOT<%s>\\n' "$*"; }
""",
    "zsh": """\
PS1='> '
unsetopt beep auto_remove_slash
autoload -Uz compinit
compinit -u -D
eval "$(cat ./script)"
bayesmix() { print -r -- "GOT<$*>" }
""",
}


@pytest.fixture
def place(tmp_path, capsys):
    """A folder with files, and a function that writes the script of a shell there."""
    (tmp_path / "data.csv").touch()
    (tmp_path / "fit.nc").touch()
    (tmp_path / "results").mkdir()

    def write(shell):
        assert cli.main(["completion", shell]) == 0
        (tmp_path / "script").write_text(capsys.readouterr().out)
        return tmp_path

    return write


def needed(shell):
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed here, so its completions were not tried")
    return program


def on_a_terminal(shell, program, folder):
    """The lines as the shell has completed them."""
    rc = folder / ".zshrc" if shell == "zsh" else folder / "rc"
    rc.write_text(SETUPS[shell])
    command = [program, "-i"] if shell == "zsh" else [program, "--rcfile", str(rc), "-i"]
    terminal = Terminal(command, folder, ZDOTDIR=str(folder), HOME=str(folder))
    try:
        terminal.wait_for("> ")
        found = {}
        for line in TYPED:
            terminal.type(f"{line}\t\r")
            terminal.wait_for("GOT<")
            found[line] = terminal.wait_for(">").strip()
        return found
    finally:
        terminal.close()


def asked_of_fish(program, folder):
    """The lines as fish would complete them; it can be asked without a terminal."""
    asked = [f"echo ==; complete -C {shlex.quote(line)}" for line in TYPED]
    code = "\n".join(["source ./script", *asked])
    done = subprocess.run(
        [program, "-c", code],
        cwd=folder, env={**os.environ, "HOME": str(folder)}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stderr == ""
    answers = [part.strip().splitlines() for part in done.stdout.split("==\n")[1:]]
    found = {}
    for line, offered in zip(TYPED, answers, strict=True):
        first, _, _ = line.rpartition(" ")
        whole = line if len(offered) != 1 else f"{first} {offered[0].split(chr(9))[0]}"
        found[line] = whole.removeprefix("bayesmix ")
    return found


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes(place, shell):
    program = needed(shell)
    folder = place(shell)
    found = (
        asked_of_fish(program, folder) if shell == "fish" else on_a_terminal(shell, program, folder)
    )
    assert found == TYPED


def test_zsh_completes_from_a_folder_of_functions(place):
    program = needed("zsh")
    folder = place("zsh")
    (folder / "_bayesmix").write_text((folder / "script").read_text())
    code = "fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D; print $_comps[bayesmix]"
    done = subprocess.run(
        [program, "-f", "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("_bayesmix\n", "")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_can_read_its_script(place, shell):
    program = needed(shell)
    done = subprocess.run([program, "-n", "script"], cwd=place(shell), capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


# --- without a shell -------------------------------------------------------------------------


def flags_in(text, shell, command):
    """The options of a command that a script knows."""
    if shell == "fish":
        lines = [line for line in text.splitlines() if f"'_shtab_bayesmix_using {command}'" in line]
        return {f"--{flag}" for line in lines for flag in re.findall(r" -l (\S+)", line)}
    if shell == "bash":
        part = re.search(rf"_shtab_bayesmix_{command}_option_strings=\((.*)\)", text)[1]
        return set(part.split()) - {"-h"}
    part = text.partition(f"_shtab_bayesmix_{command}_options=(")[2].partition("\n)")[0]
    starts = [line.partition("[")[0] for line in part.splitlines()]
    return {flag for start in starts for flag in re.findall(r"--[\w-]+", start)}


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_has_its_options_and_no_others(capsys, shell):
    assert cli.main(["completion", shell]) == 0
    text = capsys.readouterr().out
    for command in TEXTS["commands"]:
        flags = {o.flag for o in OPTIONS if command in o.commands.split()} | {"--help"}
        flags |= {"--no-progress"} if "--progress" in flags else set()
        assert flags_in(text, shell, command) == flags
