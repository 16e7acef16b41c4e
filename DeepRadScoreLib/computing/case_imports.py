"""What a process imports before its first case."""

from __future__ import annotations

from importlib import import_module

from DeepRadScoreLib.models import Engine


def import_for_cases(engine: Engine) -> None:
    """Import what computes cases, and load the own engine where it was compiled before on this machine."""
    import_module("DeepRadScoreLib.computing.one_case")
    if engine is Engine.OWN:
        from DeepRadScoreLib.radscore.engine.compiled import compiled_folder

        if compiled_folder().is_dir():
            import_module("DeepRadScoreLib.radscore.engine.intensity")
