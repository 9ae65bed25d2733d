"""The command line: one verb, one file. Parses, makes one library call, renders. click lives here and nowhere else.

The error boundary is `main`: each error of ours becomes one sentence, one hint and its exit code. Verbs
load on use, so that `clipsearch --help` imports nothing heavy.
"""

from __future__ import annotations

import importlib
import keyword
import os
import re
import sys

import click
from click.shell_completion import CompletionItem

from clipsearch import __version__
from clipsearch.cli.arguments import filled
from clipsearch.cli.complaints import complaint
from clipsearch.cli.streams import READER_GONE, ReaderGone, forget_stdout, reader_may_go, ready_streams
from clipsearch.cli.voice import choose_color, color_flag, give_voice, voice_options
from clipsearch.config import resolved_settings
from clipsearch.errors import ClipsearchError, Exit, UsageError

# Each verb lies in the module of its name (`module_of`). What it does stands here too: `--help` imports none of them.
VERBS = {
    "tui": "Search in a full-screen terminal interface.",
    "index": "Index photo folders, so that they can be searched.",
    "watch": "Index photo folders, and follow what changes in them.",
    "search": "Find photos by describing them.",
    "similar": "Find photos that look like PHOTO.",
    "duplicates": "Find photos that you have more than once, and bursts.",
    "zsl": "Label photos with words of your own.",
    "similarity": "Show how alike words and photos are: one cosine for each pair.",
    "status": "Show what the library holds.",
    "forget": "Take a folder out of the library; nothing is deleted on the disk.",
    "serve": "Keep the library open, so that searches answer at once.",
    "mcp": "Let assistants search, over the Model Context Protocol.",
    "errors": "List files that could not be read, with the reason.",
    "saved": "List saved searches, or remove one.",
    "doctor": "Check the library and this machine, and repair what can be.",
    "backup": "Copy the library into one file, also while it is written.",
    "gc": "Remove what no photo needs any more.",
    "export": "Write photos, labels and vectors into one file.",
    "import": "Add the photos of an exported file to the library.",
    "merge": "Add the photos of bundles to the library.",
    "cluster": "Encode photos on several machines at once.",
    "relocate": "Tell the library that photos lie at another place now.",
    "model": "Show, fetch and change the models that turn photos and words into vectors.",
    "backends": "Show the ways to run a model here, and which are chosen.",
    "bench": "Measure how many photos of known classes a model recognises, and how fast.",
    "eval": "Measure what a model finds, and whether it is run as it should be.",
    "lab": "Experiments: what a model can do, why, and what it costs.",
    "config": "Show the settings and where each comes from.",
    "completion": "Print the script that makes a shell complete clipsearch.",
}

COMPLETING = "_CLIPSEARCH_COMPLETE"  # the variable that click derives from the program's name

EPILOG = """\b
Examples:
  clipsearch index ~/Photos
  clipsearch search kids in yellow raincoats
  clipsearch search "beach + sunset - people" -k 5
  clipsearch search --image holiday.jpg
  clipsearch zsl ~/Photos/Inbox --labels receipt,screenshot,landscape

\b
Exit codes: 0 done, 1 nothing found, 2 usage, 3 library, 4 model, 5 system,
            130 interrupted.
"""


def module_of(verb: str) -> str:
    """The module of a verb; one that is a word of Python has _ at its end."""
    return f"clipsearch.cli.{verb}{'_' if keyword.iskeyword(verb) else ''}"


class LazyGroup(click.Group):
    """Imports a verb's module when the verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(module_of(cmd_name)).command
        give_voice(command)
        return command

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: object
    ) -> click.Context:
        with reader_may_go():  # --help writes while it is parsed
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> object:
        with reader_may_go():
            return super().invoke(ctx)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        verbs = [CompletionItem(verb, help=what) for verb, what in VERBS.items() if verb.startswith(incomplete)]
        return verbs + click.Command.shell_complete(self, ctx, incomplete)  # not Group's, which imports every verb

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-") and not ctx.resilient_parsing:
            import difflib
            import shlex

            near = difflib.get_close_matches(args[0], VERBS, n=1)
            did = f" Did you mean {near[0]}?" if near else ""
            meant = ["--help"] if args[0] == "help" else [*near, *args[1:]] if near else ["search", *args]
            raise UsageError(f'There is no command "{args[0]}".{did}', shlex.join(["clipsearch", *meant]))
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    epilog=EPILOG,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    params=[*voice_options()],
)
@click.version_option(__version__, prog_name="clipsearch")
@click.option("--library", metavar="DIR", callback=filled, help="The library to use; also CLIPSEARCH_LIBRARY.")
@click.pass_context
def cli(ctx: click.Context, library: str | None) -> int | None:
    """Find photos by describing them, on your own machine, offline."""
    ctx.obj = settings = resolved_settings({"library": library, "color": color_flag(ctx)})
    choose_color(ctx, settings.color)
    # Where a verb's option was not given, the settings decide; `config show` says which.
    ctx.default_map = {
        verb: {"backend": settings.backend, "threads": settings.threads, "count": settings.count} for verb in VERBS
    }
    if ctx.invoked_subcommand is None:
        from clipsearch.cli.output import on_terminal

        if not on_terminal():
            raise click.exceptions.NoArgsIsHelpError(ctx)
        from clipsearch.cli.tui import command

        code: int = ctx.invoke(command)
        return code
    return None


def main() -> None:
    """Runs the program and ends the process with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit code of one call; errors are told on stderr, one sentence and one hint."""
    try:
        ready_streams()
        if COMPLETING in os.environ:
            importlib.import_module("clipsearch.cli.completion")  # its classes are what click completes with
        code = cli.main(arguments, prog_name="clipsearch", standalone_mode=False)
        sys.stdout.flush()
        return int(code or Exit.DONE)
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stderr.write(error.format_message() + "\n")
        return Exit.USAGE
    except click.ClickException as error:
        _tell(*complaint(error, _command_of(error, arguments)))
        return Exit.USAGE
    except ClipsearchError as error:
        _tell(error.message, error.hint)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return Exit.INTERRUPTED
    except (ReaderGone, BrokenPipeError):  # the latter from the last flush
        forget_stdout()
        return READER_GONE
    except OSError as error:
        # An error of the disk that no part has put into words of its own.
        _tell(
            f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}",
            "Check the disk and its permissions.",
        )
        return Exit.SYSTEM
    except Exception as error:
        _tell(
            f"{type(error).__name__}: {error}. This is a mistake of clipsearch; what was committed is kept.",
            f"Report it with {_written_traceback()}",
        )
        return Exit.SYSTEM


def _written_traceback() -> str:
    """The file that now holds the traceback."""
    import tempfile  # 5 ms each of a start, for what should never happen
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="clipsearch-", suffix=".log", delete=False) as log:
        traceback.print_exc(file=log)
    return log.name


def _command_of(error: click.ClickException, arguments: list[str]) -> str:
    """What was asked for; an option without its value is refused before click has a context."""
    if isinstance(error, click.UsageError) and error.ctx:
        return error.ctx.command_path
    return " ".join(["clipsearch", *[word for word in arguments if word in VERBS][:1]])


def _tell(message: str, hint: str) -> None:
    from clipsearch.cli.output import printable

    # A message holds names of files, which must not forge lines or move the cursor; its own further lines (a query
    # and a caret) are indented.
    message = "\n".join(printable(line) for line in re.split(r"\n(?=  )", message))
    hint = printable(hint)
    sys.stderr.write(f"clipsearch: {message}\nhint: {hint}\n")
