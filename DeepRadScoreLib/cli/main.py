"""The command `deepradscore`: parses, calls the library, and turns its errors into one sentence and an exit code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from DeepRadScoreLib.cli.interrupts import COULD_NOT, end_by_signals
from DeepRadScoreLib.errors import DeepRadScoreError

if TYPE_CHECKING:
    import typer


def main() -> None:
    """Run the command line; exit 0, 1 (some cases failed) or 2 (could not do it, or was stopped)."""
    end_by_signals()
    try:
        commands()()
    except DeepRadScoreError as error:
        print(f"deepradscore: {error}", file=sys.stderr)
        sys.exit(COULD_NOT)
    except OSError as error:
        reason = f"{error.filename or 'a file'}: {error.strerror or error}"
        print(f"deepradscore: {reason}; check the path, its permissions and the space left.", file=sys.stderr)
        sys.exit(COULD_NOT)
    except MemoryError:
        print("deepradscore: there is not enough memory; end other programs, or use fewer --jobs.", file=sys.stderr)
        sys.exit(COULD_NOT)


def commands() -> typer.Typer:
    """All commands; imported here, so that a signal finds its handler while they are."""
    import typer

    from DeepRadScoreLib.cli import (
        case_commands,
        cohort_commands,
        demo_command,
        doctor_command,
        limits_command,
        outline_command,
        sign_command,
        study_commands,
    )

    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        help="Molecular and prognostic profile of a lung tumour from CT. Not a medical device.",
    )
    app.command("demo")(demo_command.demo)
    app.command("analyze")(case_commands.analyze)
    app.command("outline")(outline_command.outline)
    app.command("inspect")(case_commands.inspect)
    app.command("extract")(study_commands.extract)
    app.command("train")(study_commands.train)
    app.command("evaluate")(study_commands.evaluate)
    app.add_typer(cohort_commands.cohort, name="cohort")
    app.command("limits")(limits_command.limits)
    app.command("sign")(sign_command.sign)
    app.command("doctor")(doctor_command.doctor)
    return app


if __name__ == "__main__":
    main()
