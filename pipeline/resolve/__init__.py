"""Turns the arguments of `run`, `crawl` and `plan` into a config: from a file, a shipped recipe, or folders and addresses alone."""

from voxmill.pipeline.resolve.command_config import ResolvedConfig, has_config, resolve_config, text_with
from voxmill.pipeline.resolve.saved_config import CONFIG

__all__ = ["CONFIG", "ResolvedConfig", "has_config", "resolve_config", "text_with"]
