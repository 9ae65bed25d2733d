"""`clipsearch completion`: click's shell completion, with what the query language needs.

There `camera:` must not be followed by a blank, and bash takes `:` for the end of a word. What is offered
is suggest.py's.
"""

from __future__ import annotations

import os

import click
from click.shell_completion import (
    BashComplete,
    FishComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

from clipsearch.cli import COMPLETING
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit

PROGRAM = "clipsearch"

EPILOG = """\b
SHELL is bash, zsh or fish. Put one of these where your shell reads it:
  eval "$(clipsearch completion bash)"       in ~/.bashrc
  eval "$(clipsearch completion zsh)"        in ~/.zshrc, below compinit
  clipsearch completion fish > ~/.config/fish/completions/clipsearch.fish
"""

_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n'
    local line=${COMP_LINE:0:COMP_POINT}
    local typed=${line##*[[:space:]]}
    local kept= response completion type value
    # Readline replaces only what stands behind the last colon. (An @ ends a word, too, and is replaced with it.)
    [[ $COMP_WORDBREAKS == *:* ]] && kept=${typed%%"${typed##*:}"}

    response=$(env COMP_WORDS="$line" %(complete_var)s=bash_complete "$1")

    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"

        if [[ $type == 'dir' ]]; then
            COMPREPLY=()
            compopt -o dirnames
        elif [[ $type == 'file' ]]; then
            COMPREPLY=()
            compopt -o default
        elif [[ $type == 'plain' ]]; then
            [[ $value == *: ]] && compopt -o nospace
            COMPREPLY+=("${value#"$kept"}")
        fi
    done

    return 0
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_ZSH = """\
#compdef %(prog_name)s

%(complete_func)s() {
    local -a plain described unfinished response
    local type key descr
    (( ! $+commands[%(prog_name)s] )) && return 1

    response=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \
%(complete_var)s=zsh_complete %(prog_name)s)}")

    for type key descr in ${response}; do
        if [[ $type == dir ]]; then
            _path_files -/
        elif [[ $type == file ]]; then
            _path_files -f
        elif [[ $type == plain && $key == *: ]]; then
            unfinished+=("$key:$descr")
        elif [[ $type == plain && $descr == _ ]]; then
            plain+=("$key")
        elif [[ $type == plain ]]; then
            described+=("$key:$descr")
        fi
    done

    # zsh looks elsewhere when this ends with 1, so the last test must not decide that.
    if (( $#unfinished )); then _describe -V unsorted unfinished -U -S ''; fi
    if (( $#described )); then _describe -V unsorted described -U; fi
    if (( $#plain )); then compadd -U -V unsorted -a plain; fi
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    # autoload from fpath, call function directly
    %(complete_func)s "$@"
else
    # eval/source/. command, register function for later
    compdef %(complete_func)s %(prog_name)s
fi
"""


# click's cuts descriptions at their first comma.
_FISH = """\
function %(complete_func)s;
    set -l response (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp) \
COMP_CWORD=(commandline -t) %(prog_name)s);

    for completion in $response;
        set -l metadata (string split --max 1 "," -- $completion);

        if test $metadata[1] = "dir";
            __fish_complete_directories $metadata[2];
        else if test $metadata[1] = "file";
            __fish_complete_path $metadata[2];
        else if test $metadata[1] = "plain";
            echo $metadata[2];
        end;
    end;
end;

complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)";
"""


@add_completion_class
class _Bash(BashComplete):
    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """From the line itself: bash's own words end at every colon."""
        line = os.environ["COMP_WORDS"]
        words = split_arg_string(line)
        incomplete = words.pop() if words and not line[-1].isspace() else ""
        return words[1:], incomplete


@add_completion_class
class _Zsh(ZshComplete):
    source_template = _ZSH


@add_completion_class
class _Fish(FishComplete):
    source_template = _FISH


@click.command("completion", cls=Verb, epilog=EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), metavar="SHELL")
@click.pass_context
def command(context: click.Context, shell: str) -> int:
    """Print the script that makes a shell complete clipsearch."""
    kind = get_completion_class(shell)
    assert kind is not None  # the Choice names only those that click has
    click.echo(kind(context.find_root().command, {}, PROGRAM, COMPLETING).source(), nl=False)
    return Exit.DONE
