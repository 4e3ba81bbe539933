"""What a command line asks for becomes a config: a file of the user's, a shipped recipe, or none but folders and addresses."""

from voxmill.pipeline.resolve.command_config import ResolvedConfig, resolve_config
from voxmill.pipeline.resolve.saved_config import CONFIG

__all__ = ["CONFIG", "ResolvedConfig", "resolve_config"]
